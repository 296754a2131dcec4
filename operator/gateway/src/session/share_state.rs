//! What this replica keeps of a live session for those who view its share.

use bytes::Bytes;
use crds::BrowserSession;
use jiff::Timestamp;
use parking_lot::Mutex;
use support::latest::Latest;
use tokio::sync::Semaphore;

use super::share::Share;

/// How many may wait for a picture of one session.
const MAX_VIEWERS: usize = 64;

#[derive(Debug)]
pub struct ShareState {
    /// The nonce of the share; `None` while the session is not shared.
    nonce: Mutex<Option<String>>,
    pub unwritten_views: Mutex<UnwrittenViews>,
    /// The last picture; `None` inside where none could be taken.
    pub picture: Latest<Option<Bytes>>,
    pub viewers: Semaphore,
}

impl ShareState {
    pub fn of(session: &BrowserSession) -> Self {
        Self {
            nonce: Mutex::new(nonce(session)),
            unwritten_views: Mutex::default(),
            picture: Latest::default(),
            viewers: Semaphore::new(MAX_VIEWERS),
        }
    }

    /// Takes over what the object says now.
    pub fn update(&self, session: &BrowserSession) {
        *self.nonce.lock() = nonce(session);
    }

    pub fn has_nonce(&self, nonce: &str) -> bool {
        self.nonce.lock().as_deref() == Some(nonce)
    }
}

/// The nonce of the share that an object has.
pub fn nonce(session: &BrowserSession) -> Option<String> {
    Share::of(session).map(|share| share.nonce)
}

/// Views that are not written to the object yet.
#[derive(Debug, Default)]
pub struct UnwrittenViews {
    pub count: u64,
    pub last_viewed_at: Option<Timestamp>,
    /// Whether a task waits to write them.
    pub is_scheduled: bool,
}

impl UnwrittenViews {
    pub fn add(&mut self, now: Timestamp) {
        self.count += 1;
        self.last_viewed_at = Some(now);
    }
}
