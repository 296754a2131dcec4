//! What the fault tests share.

use std::{cell::Cell, time::Duration};

use anyhow::{Context, Result, ensure};
use crds::{BrowserSession, Phase, Reason, names::SESSION_UID_LABEL};
use e2e::{
    Bidi, Namespace,
    namespace::{END_LIMIT, Live, READY_LIMIT},
    wait::{until, until_all},
};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{Api, ResourceExt, runtime::watcher::Config};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

const COMMAND_PAUSE: Duration = Duration::from_millis(20);

/// For a browser to start after the API server is back.
const READY_AFTER_OUTAGE: Duration = Duration::from_secs(120);

/// The spec of a session that speaks Classic and BiDi.
pub fn both() -> Value {
    json!({"capabilities": {"alwaysMatch": {"webSocketUrl": true}}})
}

/// A session that has a client over BiDi.
pub async fn with_client(namespace: &Namespace, name: &str, spec: Value) -> Result<(Live, Bidi)> {
    let live = namespace.create_ready(name, spec).await?;
    let mut bidi = namespace.cluster.socket(&live.id).await?;
    bidi.context().await?;
    Ok((live, bidi))
}

pub async fn pod_of(namespace: &Namespace, live: &Live) -> Result<Pod> {
    namespace.pods().get(&live.pod).await.context("the session's pod")
}

/// Waits until a session has its pod, whose browser is then on its way up.
pub async fn first_pod(namespace: &Namespace, name: &str) -> Result<Pod> {
    let uid = namespace.sessions().get(name).await.context("the session")?.uid();
    let its = format!("{SESSION_UID_LABEL}={}", uid.unwrap_or_default());
    let its = Config::default().labels(&its);
    let all = namespace.pods();
    let pods = until_all(&all, its, "a pod", READY_LIMIT, |pods| !pods.is_empty()).await?;
    pods.into_values().next().context("its pod")
}

/// Waits until a session is Ready, for as long as that may take after an outage.
pub async fn ready_at_last(namespace: &Namespace, name: &str) -> Result<()> {
    let settled = |session: Option<&BrowserSession>| {
        session.is_some_and(|session| session.is_ready() || session.is_terminal())
    };
    until(&namespace.sessions(), name, "Ready", READY_AFTER_OUTAGE, settled).await?;
    namespace.ready(name).await.map(drop)
}

/// Waits until a session has ended for a reason, which its record has and an Event says.
pub async fn ended_everywhere(
    namespace: &Namespace,
    name: &str,
    phase: Phase,
    reason: Reason,
) -> Result<BrowserSession> {
    let session = namespace.ended(name, phase, reason).await?;
    event(namespace, name, reason).await?;
    Ok(session)
}

/// Waits until an Event of a session has a reason.
pub async fn event(namespace: &Namespace, name: &str, reason: Reason) -> Result<()> {
    let events = Api::<Event>::namespaced(namespace.cluster.client.clone(), &namespace.name);
    let of_session = Config::default().fields(&format!("involvedObject.name={name}"));
    let says_it = |event: &Event| event.reason.as_deref() == Some(reason.as_str());
    until_all(&events, of_session, &format!("an Event {reason}"), END_LIMIT, |events| {
        events.values().any(says_it)
    })
    .await
    .map(drop)
}

/// Waits until a socket is closed with that code and reason.
pub async fn closed(bidi: &mut Bidi, code: u16, reason: Reason) -> Result<()> {
    let frame = bidi.closed(END_LIMIT).await?.context("a Close frame that says why")?;
    let seen = (u16::from(frame.code), frame.reason.as_str());
    let expected = (code, reason.as_str());
    ensure!(seen == expected, "closed with {seen:?}, not with {expected:?}");
    Ok(())
}

/// Drives a session over BiDi and over Classic, through the gateway, while work goes on: not one command may fail.
pub async fn while_driven<T>(
    namespace: &Namespace,
    id: &str,
    work: impl AsyncFnOnce() -> Result<T>,
) -> Result<T> {
    let cluster = &namespace.cluster;
    let classic = cluster.anonymous();
    let mut bidi = cluster.socket(id).await?;
    let context = bidi.context().await?;
    let mut commands = async || {
        ensure!(bidi.evaluate(&context, "6 * 7").await? == 42, "over BiDi");
        ensure!(classic.script(id, "return 6 * 7", json!([])).await? == 42, "over Classic");
        Ok(())
    };
    // Both are known to work before anything breaks.
    commands().await?;
    let done = Cell::new(false);
    let driving = async {
        let (mut rounds, mut slowest) = (0, Duration::ZERO);
        let mut pace = interval(COMMAND_PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !done.get() {
            pace.tick().await;
            let begun = Instant::now();
            commands().await.with_context(|| format!("after {rounds} commands of each kind"))?;
            slowest = slowest.max(begun.elapsed());
            rounds += 1;
        }
        println!(
            "{rounds} commands over each of BiDi and Classic; the slowest pair took {slowest:.1?}"
        );
        Ok::<_, anyhow::Error>(())
    };
    let working = async {
        let outcome = work().await;
        done.set(true);
        outcome
    };
    let (driven, outcome) = tokio::join!(driving, working);
    // What broke the session says less than what the session said.
    driven.context("a live session was disturbed")?;
    outcome
}

/// Rows of a table whose tests do not rest on each other: all are tried, and all that failed are told.
#[derive(Default)]
pub struct Rows {
    tried: usize,
    failed: Vec<String>,
}

impl Rows {
    pub fn row(&mut self, what: &str, outcome: Result<()>) {
        self.tried += 1;
        if let Err(error) = outcome {
            self.failed.push(format!("{what}: {error:#}"));
        }
    }

    pub fn all(self) -> Result<()> {
        let Self { tried, failed } = self;
        ensure!(failed.is_empty(), "{} of {tried} failed:\n{}", failed.len(), failed.join("\n"));
        Ok(())
    }
}
