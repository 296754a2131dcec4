//! A pod that runs a driver alone, made by hand: what the operator is compared with.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result, bail};
use e2e::{Classic, Namespace, namespace::GONE_LIMIT, wait::until};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    api::{DeleteParams, ObjectMeta, PostParams},
    runtime::watcher::watch_object,
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

const NAME: &str = "bare";
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// The agent's switches, so that both browsers are alike.
const SWITCHES: [&str; 4] =
    ["--headless=new", "--disable-background-networking", "--disable-quic", "--no-first-run"];
const BROWSER: &str = "/usr/lib/chromium/chromium";

/// Chromium's driver.
pub const CHROMEDRIVER: &str = "/usr/bin/chromedriver";
pub const ECHO_DRIVER: &str = "/usr/bin/echo-driver";

/// A session's own pod, made to run the driver alone.
pub async fn template(namespace: &Namespace, pod: &str, driver: &str) -> Result<Pod> {
    let mut pod = namespace.pods().get(pod).await?;
    let spec = pod.spec.as_mut().context("the pod's spec")?;
    (spec.hostname, spec.subdomain, spec.node_name) = (None, None, None);
    // As PID 1 the driver hears no SIGTERM.
    spec.termination_grace_period_seconds = Some(1);
    let driver = [driver, "--port=4444", "--allowed-ips=", "--allowed-origins=*"];
    spec.containers[0].command = Some(driver.map(ToOwned::to_owned).into());
    spec.containers[0].args = None;
    let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
    Ok(Pod { metadata, spec: pod.spec, status: None })
}

/// Creates the pod and returns its IP as soon as it has one.
pub async fn start(namespace: &Namespace, template: &Pod) -> Result<String> {
    let pods = namespace.pods();
    pods.create(&PostParams::default(), template).await.context("create the pod")?;
    let mut stream = pin!(watch_object(pods, NAME));
    timeout(READY_TIMEOUT, async {
        while let Some(pod) = stream.next().await {
            if let Some(ip) = pod?.and_then(|pod| pod.status?.pod_ip) {
                return Ok(ip);
            }
        }
        bail!("the watch ended")
    })
    .await
    .context("no address in time")?
}

/// Makes a driver session as soon as the driver listens, and gives its id.
pub async fn new_session(ip: &str, mut wanted: Value) -> Result<String> {
    wanted["goog:chromeOptions"] = json!({"args": SWITCHES, "binary": BROWSER});
    let body = json!({"capabilities": {"alwaysMatch": wanted}});
    let driver = Classic::new(&format!("http://{ip}:4444"), None);
    let reply = timeout(READY_TIMEOUT, async {
        loop {
            match driver.post("/session", body.clone()).await {
                Ok(value) => return Ok(value),
                // Nothing listens yet.
                Err(error) if is_refused(&error) => sleep(Duration::from_millis(5)).await,
                Err(error) => return Err(error),
            }
        }
    })
    .await
    .context("no driver in time")??;
    Ok(reply["sessionId"].as_str().with_context(|| reply.to_string())?.to_owned())
}

fn is_refused(error: &anyhow::Error) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect)
}

/// Deletes the pod, and waits until it is gone.
pub async fn end(namespace: &Namespace) -> Result<()> {
    namespace.pods().delete(NAME, &DeleteParams::default()).await?;
    gone(namespace, NAME).await
}

/// Waits until a pod is gone.
pub async fn gone(namespace: &Namespace, pod: &str) -> Result<()> {
    until(&namespace.pods(), pod, "gone", GONE_LIMIT, |pod| pod.is_none()).await.map(drop)
}
