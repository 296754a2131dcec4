//! Giving this pod to a session: once, and to one holder only.

use std::{sync::Arc, time::Duration};

use agent_api::bind::{
    BindRefusal, BindReply, BindRequest, Driver, Egress, OLDEST_VERSION, VERSION, is_readable,
};
use crds::Reason;
use serde_json::Map;
use support::panics::essential;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite;

use crate::{
    bidi::{Multiplexer, Navigations, Router},
    driver::{NewSessionError, PROXY},
    egress::{self, RoutingError},
    end::DRIVER_EXIT_TIMEOUT,
    session::{Session, activity::Activity, browser_watch, limits, setup, start_step::StartStep},
    state::{AgentState, Binding},
};

/// By this or `se:cdp` WebdriverIO knows that it may send files; Firefox has no CDP. Selenium's servers say it too.
const REMOTE_SESSION_ID: &str = "webdriver.remote.sessionid";

/// Why a bind made no session.
#[derive(Debug, thiserror::Error)]
enum BindError {
    #[error("the agent is ending")]
    Ending,
    #[error(transparent)]
    NewSession(#[from] NewSessionError),
    #[error(transparent)]
    Routing(#[from] RoutingError),
    #[error("the driver's BiDi socket: {0}")]
    BidiSocket(tungstenite::Error),
}

/// Binds, or gives the same answer again to the same holder. Another holder is refused.
pub async fn bind(state: &Arc<AgentState>, request: BindRequest) -> Result<BindReply, BindRefusal> {
    if !is_readable(request.version) {
        return Err(BindRefusal::Incompatible { version: VERSION, oldest: Some(OLDEST_VERSION) });
    }
    let mut binding = state.binding.lock().await;
    if state.end_policy.latch().is_set() && binding.is_none() {
        return Err(refusal(state, &BindError::Ending).await);
    }
    if let Some(binding) = &*binding {
        return if binding.holder == request.session_uid {
            Ok(binding.reply.clone())
        } else {
            Err(BindRefusal::Held { holder: binding.holder.clone() })
        };
    }
    let holder = request.session_uid.clone();
    let reply = match start_session(state, request).await {
        Ok(reply) => reply,
        Err(error) => return Err(refusal(state, &error).await),
    };
    *binding = Some(Binding { holder, reply: reply.clone() });
    Ok(reply)
}

/// Why there is no session: where the driver has exited that is the reason, and not what came of it here.
async fn refusal(state: &AgentState, error: &BindError) -> BindRefusal {
    match timeout(DRIVER_EXIT_TIMEOUT, state.end_policy.latch().wait()).await {
        Ok(end) => BindRefusal::Ended(end),
        Err(_) => {
            let message = state.end_policy.output().explain(&error.to_string());
            BindRefusal::NotCreated { message }
        }
    }
}

async fn start_session(
    state: &Arc<AgentState>,
    request: BindRequest,
) -> Result<BindReply, BindError> {
    let BindRequest { session_id, mut session, settings, egress, .. } = request;
    let proxy = session.capabilities.remove(PROXY);
    let (routes, guard) = egress::of_bind(proxy.as_ref(), egress)?;
    state.egress.set_routes(routes, guard);
    let (driver, driver_session) = state.driver.take_session(&session).await?;
    let progress = state.driver.progress();
    progress.enter(StartStep::Page);
    let warnings = setup::run(&driver, &driver_session, &settings, state.egress.lost_pages()).await;
    let activity = Arc::new(Activity::new(Instant::now()));
    let (end_policy, tasks) = (&state.end_policy, &state.tasks);
    let bidi = match &driver_session.bidi {
        None => None,
        Some(endpoint) => {
            progress.enter(StartStep::BidiSocket);
            let navigations = Navigations::new(driver.kind(), state.egress.lost_pages().clone());
            let router = Router::new(activity.clone(), navigations);
            let connecting = Multiplexer::connect(endpoint, router, end_policy.clone(), tasks);
            Some(connecting.await.map_err(BindError::BidiSocket)?)
        }
    };
    progress.enter(StartStep::Idle);
    let mut capabilities = driver_session.capabilities.clone();
    if driver.kind() == Driver::Geckodriver {
        capabilities.insert(REMOTE_SESSION_ID.to_owned(), session_id.clone().into());
    }
    // As it was asked for: what the driver was told of is the agent's own.
    capabilities.insert(PROXY.to_owned(), proxy.unwrap_or_else(|| Map::new().into()));
    let reply = BindReply {
        capabilities,
        bidi: bidi.is_some(),
        dev_tools: driver_session.dev_tools.is_some(),
        egress: true,
        guard_lists: true,
        warnings,
    };
    let limits = limits::watch(activity.clone(), settings.clone(), end_policy.latch().clone());
    tasks.spawn(essential(limits));
    // With BiDi the multiplexer sees the browser's end, and knows more of it.
    if let (None, Some(browser)) = (&bidi, driver_session.browser) {
        let watch = browser_watch::watch(browser, activity.clone(), end_policy.clone());
        tasks.spawn(essential(watch));
    }
    let session = Session::new(session_id, driver, driver_session, settings, activity, bidi);
    let session = Arc::new(session);
    state.set_session(session.clone());
    // In a task of its own: a browser that has just started takes its time, and the answer to the bind does not wait.
    tasks.spawn(async move {
        if let Err(error) = session.hidden_targets().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the driver's own targets");
        }
    });
    Ok(reply)
}

/// Why a session's routes do not change.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[error("this agent has no session")]
    NoSession,
    #[error(transparent)]
    Routing(#[from] RoutingError),
}

/// Sets other routes for requests to come; connections that are open keep theirs.
pub async fn set_egress(state: &AgentState, egress: Egress) -> Result<(), RouteError> {
    if state.binding.lock().await.is_none() {
        return Err(RouteError::NoSession);
    }
    let (routes, guard) = egress::of_bind(None, Some(egress))?;
    state.egress.set_routes(routes, guard);
    Ok(())
}

/// Ends an agent that nobody has bound in time.
pub async fn end_unbound(state: Arc<AgentState>, limit: Duration) {
    let end = state.end_policy.latch();
    tokio::select! {
        () = end.token().cancelled_owned() => return,
        () = tokio::time::sleep(limit) => {}
    }
    // The lock is held until the latch is set: a bind that arrives now finds the end.
    if state.binding.lock().await.is_none() {
        let message = format!("nobody bound this pod within {} seconds", limit.as_secs());
        end.set(Reason::NeverConnected, message);
    }
}
