//! What every role needs beside its traffic: logs, health, signals, the Lease, reads and watches, the installation key.

pub mod backoff;
pub mod health;
pub mod installation_key;
pub mod latest;
pub mod lease;
pub mod logs;
pub mod objects;
pub mod panics;
pub mod signals;
pub mod watch;
