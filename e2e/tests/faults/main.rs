//! Whatever breaks: live sessions go on where they can; where they cannot, each says why, in the same word everywhere.
//!
//! Tests that disturb nobody come after the others, in the order of their modules: they run beside each other.

mod addresses;
mod control_plane;
mod helpers;
mod nodes;
mod operator;
mod orphans;
mod pods;
mod resources;
mod services;
