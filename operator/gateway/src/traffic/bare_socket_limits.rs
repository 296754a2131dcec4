//! How much of this replica's memory sockets without a session and the bodies of create calls may take together: where clients need no
//! credentials, they are anybody's.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many there may be.
const MAX_SOCKETS: usize = 4096;
/// How many of them and of bodies may hold more than [`SMALL_BACKLOG`] bytes.
const MAX_LARGE: usize = 96;
/// Bytes of unanswered messages, or of a body, that each may hold.
pub const SMALL_BACKLOG: usize = 16 << 10;

pub struct BareSocketLimits {
    sockets: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Default for BareSocketLimits {
    fn default() -> Self {
        Self {
            sockets: Arc::new(Semaphore::new(MAX_SOCKETS)),
            large: Arc::new(Semaphore::new(MAX_LARGE)),
        }
    }
}

impl BareSocketLimits {
    /// `None`: there are too many sockets.
    pub fn acquire_socket(&self) -> Option<OwnedSemaphorePermit> {
        self.sockets.clone().try_acquire_owned().ok()
    }

    /// Waits until another large body may be read.
    pub async fn large(&self) -> Option<OwnedSemaphorePermit> {
        self.large.clone().acquire_owned().await.ok()
    }

    /// `None`: too many sockets hold large messages.
    pub fn acquire_large(&self) -> Option<OwnedSemaphorePermit> {
        self.large.clone().try_acquire_owned().ok()
    }
}
