//! What every role needs: logs, metrics, health, signals, HTTP in and out, and the installation key.

pub mod admin;
pub mod agents;
pub mod fresh;
pub mod http;
pub mod installation;
pub mod lease;
pub mod logs;
pub mod signals;
pub mod watch;
