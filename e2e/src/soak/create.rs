//! How a session is created.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

use super::{
    client::Client,
    journal::Journal,
    plan::{Action, Browser, End, Origin, Plan},
    random::Random,
    testbed::{Gateway, Testbed},
};
use crate::{Bidi, objects::session_json};

/// For a session to become Ready, behind a full queue and an outage.
pub const READY_TIMEOUT: Duration = Duration::from_secs(150);

/// Creates a session. `None` where its client gets none or does not wait for it; the journal says why.
pub async fn create(
    testbed: &Testbed<'_>,
    journal: &Journal,
    random: &mut Random,
) -> Result<Option<Client>> {
    let plan = &journal.plan;
    if plan.origin == Origin::Object {
        return as_object(testbed, journal).await;
    }
    let gateway = testbed.gateway(random).await?;
    journal.log(format!("asks {} for it: {:?} {:?}", gateway.authority, plan.origin, plan.browser));
    journal.note(|evidence| evidence.gateway = Some((gateway.pod.clone(), Instant::now())));
    let asking = async {
        match plan.origin {
            Origin::Bidi => over_bidi(testbed, plan, &gateway).await,
            _ => over_classic(testbed, plan, &gateway).await,
        }
    };
    let limit = if plan.action == Action::End(End::GaveUp) {
        journal.action(plan.action);
        plan.delay
    } else {
        READY_TIMEOUT
    };
    let answer = timeout(limit, asking).await;
    let now = Instant::now();
    match answer {
        Ok(Ok(client)) => {
            journal.log("its client has it");
            journal.note(|evidence| evidence.answered = Some(now));
            Ok(Some(client))
        }
        Ok(Err(error)) => {
            journal.note(|evidence| evidence.left = Some(now));
            journal.failed(&format!("{error:#}"));
            Ok(None)
        }
        Err(_) => {
            journal.log("its client leaves");
            journal.note(|evidence| evidence.left = Some(now));
            Ok(None)
        }
    }
}

async fn as_object(testbed: &Testbed<'_>, journal: &Journal) -> Result<Option<Client>> {
    let plan = &journal.plan;
    let mut spec = plan.fields();
    spec.insert("className".to_owned(), testbed.class(plan.browser).into());
    spec.insert("capabilities".to_owned(), json!({"alwaysMatch": capabilities(plan)}));
    if plan.expose {
        spec.insert("expose".to_owned(), json!({"type": "ClusterIP"}));
    }
    spec.extend(plan.ttl.map(|ttl| ("ttlSecondsAfterFinished".to_owned(), ttl.into())));
    let name = format!("soak-{}", plan.number);
    journal.log(format!("creates the object {name}: {:?}", plan.browser));
    let made = testbed.namespace.submit(&session_json(&name, spec.into())).await;
    let uid = made.context("create the object")?.metadata.uid.context("its uid")?;
    let settled = testbed.observer.wait_for("Ready or over", READY_TIMEOUT, |seen| {
        let history = seen.sessions.get(&uid)?;
        (history.ready.is_some() || history.is_over())
            .then(|| (history.is_over(), history.object.status.clone()))
    });
    let (is_over, status) = settled.await?;
    let now = Instant::now();
    match status.and_then(|status| status.session_id) {
        Some(id) if !is_over => {
            journal.log("it is Ready");
            journal.note(|evidence| evidence.answered = Some(now));
            Ok(Some(Client { id, socket: None }))
        }
        _ => {
            journal.log("it was over before it could be used");
            journal.note(|evidence| evidence.left = Some(now));
            Ok(None)
        }
    }
}

async fn over_classic(testbed: &Testbed<'_>, plan: &Plan, gateway: &Gateway) -> Result<Client> {
    let classic = testbed.client(gateway).await?;
    let body = json!({"capabilities": {"alwaysMatch": wanted(testbed, plan)}});
    let value = classic.value(Method::POST, "/session", Some(&body)).await?;
    let id = value["sessionId"].as_str().context("sessionId")?.to_owned();
    Ok(Client { id, socket: None })
}

async fn over_bidi(testbed: &Testbed<'_>, plan: &Plan, gateway: &Gateway) -> Result<Client> {
    let url = format!("ws://{}/session", gateway.authority);
    let mut socket = Bidi::connect_as(&url, Some(&testbed.token())).await?;
    let params = json!({"capabilities": {"alwaysMatch": wanted(testbed, plan)}});
    let result = socket.command("session.new", params).await?;
    let id = result["sessionId"].as_str().context("sessionId")?.to_owned();
    Ok(Client { id, socket: Some(socket) })
}

/// The spec, as capabilities of a gateway's client.
fn wanted(testbed: &Testbed<'_>, plan: &Plan) -> Value {
    let own =
        plan.fields().into_iter().chain([("class".to_owned(), testbed.class(plan.browser).into())]);
    let mut wanted = capabilities(plan);
    wanted.extend(own.map(|(name, value)| (format!("browser-operator:{name}"), value)));
    wanted.into()
}

fn capabilities(plan: &Plan) -> Map<String, Value> {
    let mut capabilities = Map::new();
    // The echo driver says that it is Chrome.
    if plan.browser == Browser::Firefox {
        capabilities.insert("browserName".to_owned(), "firefox".into());
    }
    if plan.bidi && plan.origin != Origin::Bidi {
        capabilities.insert("webSocketUrl".to_owned(), true.into());
    }
    capabilities
}
