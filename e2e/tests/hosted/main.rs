//! The APIs of hosted browser services, as the gateway serves them: each session's life by plain HTTP, what is refused and
//! how, what the fields mean, and who may.

mod browser_use;
mod browserbase;
mod fields;
mod full;
mod keys;
mod proxies;
mod refused;
mod sdks;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{BrowserSession, Phase, Reason};
use e2e::{Namespace, hosted};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;

/// A time of a reply's, which must have its zone.
fn time(reply: &Value, name: &str) -> Result<Timestamp> {
    let text = reply[name].as_str().with_context(|| format!("no {name} in {reply}"))?;
    text.parse().with_context(|| format!("{name} is {text}"))
}

/// The object of a session that a reply shows.
async fn object(namespace: &Namespace, reply: &Value) -> Result<BrowserSession> {
    let object = namespace.cluster.session_with_id(&hosted::id(reply)?).await?;
    ensure!(object.namespace().as_deref() == Some(namespace.name.as_str()), "{object:?}");
    Ok(object)
}

/// Waits until the session that a reply shows has been released, and its pod is gone.
async fn released(namespace: &Namespace, object: &BrowserSession) -> Result<BrowserSession> {
    namespace.ended(&object.name_any(), Phase::Completed, Reason::Released).await
}

fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.duration_since(other).unsigned_abs()
}
