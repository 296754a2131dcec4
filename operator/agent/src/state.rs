//! The state of an agent.

use std::sync::{Arc, OnceLock};

use agent_api::{bind::BindReply, pod_token::TokenHash};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use crate::{driver::DriverSupervisor, egress::EgressProxy, end::EndPolicy, session::Session};

/// What the requests to one agent share.
pub struct AgentState {
    /// The hash of the token that controller and gateway present.
    pub token_hash: TokenHash,
    pub driver: DriverSupervisor,
    pub egress: EgressProxy,
    pub end_policy: EndPolicy,
    /// Owns every task of this agent.
    pub tasks: TaskTracker,
    /// The bind that succeeded. Locked while one runs.
    pub binding: Mutex<Option<Binding>>,
    /// Locked while a file is uploaded: it stands in memory while it is unpacked.
    pub uploading: Mutex<()>,
    session: OnceLock<Arc<Session>>,
}

/// A bind that succeeded.
pub struct Binding {
    /// The uid of the session's object.
    pub holder: String,
    /// The answer, given again to the same holder.
    pub reply: BindReply,
}

impl AgentState {
    /// An agent without a session.
    pub fn new(
        token_hash: TokenHash,
        driver: DriverSupervisor,
        egress: EgressProxy,
        end_policy: EndPolicy,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            token_hash,
            driver,
            egress,
            end_policy,
            tasks,
            binding: Mutex::default(),
            uploading: Mutex::default(),
            session: OnceLock::new(),
        }
    }

    /// The session, from its bind to its end.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.get().filter(|_| !self.end_policy.latch().is_set())
    }

    /// Sets the session. Only the bind calls it, once.
    pub fn set_session(&self, session: Arc<Session>) {
        if self.session.set(session).is_err() {
            tracing::error!("a second session on one agent");
        }
    }
}
