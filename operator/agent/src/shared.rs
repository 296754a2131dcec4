//! What the parts of an agent share.

use std::sync::{Arc, OnceLock};

use agent_api::{bind::BindReply, token::TokenHash};
use tokio_util::task::TaskTracker;

use crate::{driver::Prepared, ending::Ending, session::Session};

/// One agent.
pub struct Shared {
    /// What the token of controller and gateway hashes to.
    pub token_hash: TokenHash,
    /// The driver, and the session that was prepared with it.
    pub prepared: Prepared,
    /// The end of it all.
    pub ending: Ending,
    /// Owns every task of this agent.
    pub tasks: TaskTracker,
    /// Held while a bind runs; what it answered, and for whom.
    pub bound: tokio::sync::Mutex<Option<Bound>>,
    /// Held while an upload is taken: what is unpacked stands in memory.
    pub uploading: tokio::sync::Mutex<()>,
    session: OnceLock<Arc<Session>>,
}

/// A bind that succeeded.
pub struct Bound {
    /// The uid of the session's object.
    pub holder: String,
    /// The answer, given again to the same holder.
    pub reply: BindReply,
}

impl Shared {
    /// A blank agent.
    pub fn new(
        token_hash: TokenHash,
        prepared: Prepared,
        ending: Ending,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            token_hash,
            prepared,
            ending,
            tasks,
            bound: tokio::sync::Mutex::default(),
            uploading: tokio::sync::Mutex::default(),
            session: OnceLock::new(),
        }
    }

    /// The session, once there is one and until it ends.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.get().filter(|_| !self.ending.has_begun())
    }

    /// Makes it the session of this agent. Only the bind calls it, once.
    pub fn begin(&self, session: Arc<Session>) {
        if self.session.set(session).is_err() {
            tracing::error!("a second session on one agent");
        }
    }
}
