//! Giving this pod to a session: once, and to one holder only.

use crds::Reason;
use std::{sync::Arc, time::Duration};

use agent_api::bind::{BindRefusal, BindReply, BindRequest, VERSION};
use rustix::process::Pid;
use tokio::time::{Instant, timeout};

use crate::{
    bidi::Hub,
    driver::browser,
    ending::Ending,
    session::{Session, life::Life, setup, watch_limits},
    shared::{Bound, Shared},
};

/// How long the driver's end may take to be seen, after it gave no answer.
const SAY_SO: Duration = Duration::from_millis(300);

/// Binds, or gives the same answer again to the same holder.
///
/// # Errors
/// Why not; another holder keeps the pod.
pub async fn bind(shared: &Arc<Shared>, request: BindRequest) -> Result<BindReply, BindRefusal> {
    if request.version != VERSION {
        return Err(BindRefusal::Incompatible { version: VERSION });
    }
    let mut bound = shared.bound.lock().await;
    if shared.ending.has_begun() && bound.is_none() {
        return Err(not_created(shared, "the agent is ending".to_owned()).await);
    }
    if let Some(bound) = &*bound {
        return if bound.holder == request.session_uid {
            Ok(bound.reply.clone())
        } else {
            Err(BindRefusal::Held { holder: bound.holder.clone() })
        };
    }
    let holder = request.session_uid.clone();
    let reply = match make(shared, request).await {
        Ok(reply) => reply,
        Err(message) => return Err(not_created(shared, message).await),
    };
    *bound = Some(Bound { holder, reply: reply.clone() });
    Ok(reply)
}

/// Why there is no session: where the driver has ended it is that, and not what came of it here.
async fn not_created(shared: &Shared, message: String) -> BindRefusal {
    match timeout(SAY_SO, shared.ending.wait()).await {
        Ok(end) => BindRefusal::Ended(end),
        Err(_) => BindRefusal::NotCreated { message },
    }
}

async fn make(shared: &Arc<Shared>, request: BindRequest) -> Result<BindReply, String> {
    let BindRequest { session_id, session, settings, .. } = request;
    let (driver, upstream) =
        shared.prepared.session(&session).await.map_err(|error| error.to_string())?;
    let warnings = setup::run(&driver, &upstream, &settings).await;
    let life = Arc::new(Life::begin(Instant::now()));
    let hub = match &upstream.bidi {
        None => None,
        Some(endpoint) => {
            let connecting =
                Hub::connect(endpoint, life.clone(), shared.ending.clone(), &shared.tasks);
            Some(connecting.await.map_err(|error| format!("the driver's BiDi socket: {error}"))?)
        }
    };
    let reply = BindReply {
        capabilities: upstream.capabilities.clone(),
        bidi: hub.is_some(),
        dev_tools: upstream.dev_tools.is_some(),
        warnings,
    };
    shared.tasks.spawn(watch_limits(life.clone(), settings.clone(), shared.ending.clone()));
    // The hub knows more of the end of a browser that speaks BiDi.
    if let (None, Some(process)) = (&hub, upstream.browser) {
        shared.tasks.spawn(watch_browser(process, life.clone(), shared.ending.clone()));
    }
    let session = Arc::new(Session::new(session_id, driver, upstream, settings, life, hub));
    shared.begin(session.clone());
    // Beside the answer to the bind: a browser that has just begun takes its time.
    shared.tasks.spawn(async move {
        if let Err(error) = session.hidden().await {
            tracing::warn!(error, "the driver's own targets");
        }
    });
    Ok(reply)
}

/// Ends the session with its browser.
async fn watch_browser(process: Pid, life: Arc<Life>, ending: Ending) {
    let ended = tokio::select! {
        ended = browser::ended(process) => ended,
        () = ending.begun().cancelled_owned() => return,
    };
    match ended {
        Ok(()) => ending.browser_gone(&life, "its process has ended").await,
        Err(error) => {
            let cause = &error as &dyn std::error::Error;
            tracing::warn!(error = cause, "the browser's end is seen at its next command only");
        }
    }
}

/// Ends an agent that nobody has bound in time.
pub async fn give_up_unbound(shared: Arc<Shared>, limit: Duration) {
    tokio::select! {
        () = shared.ending.begun().cancelled_owned() => return,
        () = tokio::time::sleep(limit) => {}
    }
    // Held for good where nobody came: a bind that arrives now finds the end.
    if shared.bound.lock().await.is_none() {
        let message = format!("nobody bound this pod within {} seconds", limit.as_secs());
        shared.ending.begin(Reason::NeverConnected, message);
    }
}
