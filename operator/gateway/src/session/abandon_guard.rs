//! Ends a session that its client will not get.

use std::time::Duration;

use crds::{BrowserSession, Reason, names::END_ANNOTATION};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use support::backoff::Backoff;
use tokio_util::task::TaskTracker;

/// How often the end of an abandoned session is asked for, and with what pauses.
const TRIES: usize = 6;
const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(16));

/// Ends the session when dropped, unless disarmed: then its client has it, or it has ended already.
pub struct AbandonGuard {
    api: Api<BrowserSession>,
    name: String,
    tasks: TaskTracker,
    on_drop: Option<Abandon>,
}

#[derive(Clone, Copy)]
enum Abandon {
    /// The session ends for this reason, and its record stays.
    End(Reason),
    /// The object goes: nobody waited for the session, and nobody had it.
    Delete,
}

impl AbandonGuard {
    /// Ends the session as one whose client gave up. `tasks` owns the task that does so.
    pub fn new(api: Api<BrowserSession>, name: String, tasks: TaskTracker) -> Self {
        Self { api, name, tasks, on_drop: Some(Abandon::End(Reason::ClientGaveUp)) }
    }

    /// Ends it now, because its pod cannot be reached.
    pub fn end_as_agent_lost(mut self) {
        self.on_drop = Some(Abandon::End(Reason::AgentLost));
    }

    /// Deletes it now, and leaves no record.
    pub fn delete(mut self) {
        self.on_drop = Some(Abandon::Delete);
    }

    pub fn disarm(mut self) {
        self.on_drop = None;
    }
}

impl Drop for AbandonGuard {
    fn drop(&mut self) {
        let Some(abandon) = self.on_drop else { return };
        let (api, name) = (self.api.clone(), std::mem::take(&mut self.name));
        // The API server may be away for a moment, and a session without a client must not keep its place.
        self.tasks.spawn(async move {
            for pause in RETRY.pauses().take(TRIES) {
                match run(&api, &name, abandon).await {
                    Ok(()) => return,
                    Err(kube::Error::Api(status)) if status.code == 404 => return,
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "an abandoned session is not ended yet");
                    }
                }
                tokio::time::sleep(pause).await;
            }
        });
    }
}

async fn run(api: &Api<BrowserSession>, name: &str, abandon: Abandon) -> kube::Result<()> {
    match abandon {
        Abandon::End(reason) => {
            let end = json!({"metadata": {"annotations": {END_ANNOTATION: reason.as_str()}}});
            let patch = Patch::Merge(&end);
            api.patch_metadata(name, &PatchParams::default(), &patch).await.map(drop)
        }
        Abandon::Delete => api.delete(name, &DeleteParams::default()).await.map(drop),
    }
}
