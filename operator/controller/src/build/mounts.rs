//! The volumes of a browser's container, and where they are mounted.

/// Where the browser may write.
pub const SCRATCH_MOUNT: &str = "/tmp";
pub const SHARED_MEMORY_MOUNT: &str = "/dev/shm";
pub const SCRATCH_VOLUME: &str = "scratch";
pub const SHARED_MEMORY_VOLUME: &str = "shared-memory";
