//! How a session is asked for.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

use super::{
    client::Client,
    plan::{Birth, Browser, Deed, End, Plan},
    random::Random,
    record::Record,
    stage::{Gateway, Stage},
};
use crate::{Bidi, objects::session_json};

/// How long a session may take to be Ready: the whole queue may be before it, and an outage in between.
pub const READY: Duration = Duration::from_secs(150);

/// Asks for a session. `None` where its client gets none, or does not wait for it; the record says why.
pub async fn make(
    stage: &Stage<'_>,
    record: &Record,
    random: &mut Random,
) -> Result<Option<Client>> {
    let plan = &record.plan;
    if plan.birth == Birth::Object {
        return as_object(stage, record).await;
    }
    let gateway = stage.gateway(random).await?;
    record.tell(format!("asks {} for it: {:?} {:?}", gateway.authority, plan.birth, plan.browser));
    record.keep(|kept| kept.gateway = Some((gateway.pod.clone(), Instant::now())));
    let asking = async {
        match plan.birth {
            Birth::Bidi => over_bidi(stage, plan, &gateway).await,
            _ => over_classic(stage, plan, &gateway).await,
        }
    };
    let limit = if plan.deed == Deed::End(End::GaveUp) {
        record.deed(plan.deed);
        plan.patience
    } else {
        READY
    };
    let answer = timeout(limit, asking).await;
    let now = Instant::now();
    match answer {
        Ok(Ok(client)) => {
            record.tell("its client has it");
            record.keep(|kept| kept.answered = Some(now));
            Ok(Some(client))
        }
        Ok(Err(error)) => {
            record.keep(|kept| kept.left = Some(now));
            record.broke(&format!("{error:#}"));
            Ok(None)
        }
        Err(_) => {
            record.tell("its client leaves");
            record.keep(|kept| kept.left = Some(now));
            Ok(None)
        }
    }
}

async fn as_object(stage: &Stage<'_>, record: &Record) -> Result<Option<Client>> {
    let plan = &record.plan;
    let mut spec = plan.fields();
    spec.insert("className".to_owned(), stage.class(plan.browser).into());
    spec.insert("capabilities".to_owned(), json!({"alwaysMatch": capabilities(plan)}));
    if plan.expose {
        spec.insert("expose".to_owned(), json!({"type": "ClusterIP"}));
    }
    spec.extend(plan.ttl.map(|ttl| ("ttlSecondsAfterFinished".to_owned(), ttl.into())));
    let name = format!("soak-{}", plan.number);
    record.tell(format!("creates the object {name}: {:?}", plan.browser));
    let made = stage.namespace.submit(&session_json(&name, spec.into())).await;
    let uid = made.context("create the object")?.metadata.uid.context("its uid")?;
    let settled = stage.observer.until("Ready or over", READY, |seen| {
        let life = seen.lives.get(&uid)?;
        (life.ready.is_some() || life.is_over())
            .then(|| (life.is_over(), life.object.status.clone()))
    });
    let (is_over, status) = settled.await?;
    let now = Instant::now();
    match status.and_then(|status| status.session_id) {
        Some(id) if !is_over => {
            record.tell("it is Ready");
            record.keep(|kept| kept.answered = Some(now));
            Ok(Some(Client { id, socket: None }))
        }
        _ => {
            record.tell("it was over before it could be used");
            record.keep(|kept| kept.left = Some(now));
            Ok(None)
        }
    }
}

async fn over_classic(stage: &Stage<'_>, plan: &Plan, gateway: &Gateway) -> Result<Client> {
    let classic = stage.client(gateway).await?;
    let body = json!({"capabilities": {"alwaysMatch": wanted(stage, plan)}});
    let value = classic.value(Method::POST, "/session", Some(&body)).await?;
    let id = value["sessionId"].as_str().context("sessionId")?.to_owned();
    Ok(Client { id, socket: None })
}

async fn over_bidi(stage: &Stage<'_>, plan: &Plan, gateway: &Gateway) -> Result<Client> {
    let url = format!("ws://{}/session", gateway.authority);
    let mut socket = Bidi::connect_as(&url, Some(&stage.token())).await?;
    let params = json!({"capabilities": {"alwaysMatch": wanted(stage, plan)}});
    let result = socket.command("session.new", params).await?;
    let id = result["sessionId"].as_str().context("sessionId")?.to_owned();
    Ok(Client { id, socket: Some(socket) })
}

/// The spec, as a gateway's client says it.
fn wanted(stage: &Stage<'_>, plan: &Plan) -> Value {
    let own =
        plan.fields().into_iter().chain([("class".to_owned(), stage.class(plan.browser).into())]);
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
    if plan.bidi && plan.birth != Birth::Bidi {
        capabilities.insert("webSocketUrl".to_owned(), true.into());
    }
    capabilities
}
