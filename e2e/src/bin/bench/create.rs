//! Create-to-Ready beside a bare pod with a bare driver, in interleaved pairs of one run.
//!
//! bare: a client creates a pod with the same image, confinement and resources that runs the driver itself, watches for
//! its address, and posts a driver session. gateway: one POST /session. object: a BrowserSession, watched until Ready.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use e2e::{Classic, Namespace, namespace::GONE_LIMIT, wait::until, with_namespace};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
    runtime::watcher::watch_object,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

/// Measures create-to-Ready beside a bare pod with a bare driver
#[derive(Parser)]
struct Arguments {
    /// How many rounds are measured, after one that is not
    #[arg(long, default_value_t = 10)]
    rounds: usize,
}

/// The agent's, so that both browsers are the same.
const SWITCHES: [&str; 4] =
    ["--headless=new", "--disable-background-networking", "--disable-quic", "--no-first-run"];
const BROWSER: &str = "/usr/lib/chromium/chromium";
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Arguments { rounds } = Arguments::parse();
    with_namespace(async |namespace| run(&namespace, rounds).await).await
}

async fn run(namespace: &Namespace, rounds: usize) -> Result<()> {
    let client = namespace.client().await?;
    let template = template(namespace).await?;
    println!(
        "{rounds} rounds of bare, gateway, object; {LIMIT:?} each at most; one round before them"
    );
    let (mut bare_times, mut gateway_times, mut object_times) =
        (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (mut bare_time, mut gateway_time, mut object_time) = Default::default();
        // Each goes first, second and third equally often: what one leaves running is the next one's load.
        for turn in 0..3 {
            match (round + turn) % 3 {
                0 => bare_time = bare(namespace, &template).await.context("bare")?,
                1 => gateway_time = gateway(namespace, &client).await.context("gateway")?,
                _ => object_time = object(namespace).await.context("object")?,
            }
        }
        let [b, g, o] = [bare_time, gateway_time, object_time].map(|time| time.as_millis());
        println!("  {round:>2}: bare {b:>5} ms  gateway {g:>5} ms  object {o:>5} ms");
        if round > 0 {
            bare_times.push(bare_time);
            gateway_times.push(gateway_time);
            object_times.push(object_time);
        }
    }
    let api = api_create(namespace).await?;
    let bare = print("bare pod and driver session", bare_times);
    let gateway = print("POST /session at the gateway", gateway_times);
    let object = print("BrowserSession until Ready", object_times);
    println!("gateway / bare: {:.2}", gateway.as_secs_f64() / bare.as_secs_f64());
    println!("object / bare:  {:.2}", object.as_secs_f64() / bare.as_secs_f64());
    println!("one bare API create, p50: {api:.1?}");
    Ok(())
}

fn print(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let median = times[times.len() / 2];
    let [min, middle, max] =
        [times[0], median, times[times.len() - 1]].map(|time| time.as_millis());
    println!("{what:<28} min {min} ms, median {middle} ms, max {max} ms");
    median
}

/// What both kinds of session ask for; BiDi would cost the driver more.
fn wanted() -> Value {
    json!({"browserName": "chrome"})
}

/// The operator's own pod, made to run the driver alone.
async fn template(namespace: &Namespace) -> Result<Pod> {
    let live = namespace
        .create_ready("template", json!({"capabilities": {"alwaysMatch": wanted()}}))
        .await?;
    let mut pod = namespace.pods().get(&live.pod).await?;
    namespace.delete("template").await?;
    gone(namespace, &live.pod).await?;
    let spec = pod.spec.as_mut().context("the pod's spec")?;
    (spec.hostname, spec.subdomain, spec.node_name) = (None, None, None);
    let driver = ["/usr/bin/chromedriver", "--port=4444", "--allowed-ips=", "--allowed-origins=*"];
    spec.containers[0].command = Some(driver.map(ToOwned::to_owned).into());
    spec.containers[0].args = None;
    Ok(Pod { metadata: ObjectMeta::default(), spec: pod.spec, status: None })
}

async fn gone(namespace: &Namespace, pod: &str) -> Result<()> {
    until(&namespace.pods(), pod, "gone", GONE_LIMIT, |pod| pod.is_none()).await.map(drop)
}

async fn bare(namespace: &Namespace, template: &Pod) -> Result<Duration> {
    let mut pod = template.clone();
    pod.metadata.name = Some("bare".to_owned());
    let begun = Instant::now();
    let pods = namespace.pods();
    pods.create(&PostParams::default(), &pod).await.context("create the pod")?;
    let mut stream = pin!(watch_object(pods.clone(), "bare"));
    let ip = timeout(LIMIT, async {
        while let Some(pod) = stream.next().await {
            if let Some(ip) = pod?.and_then(|pod| pod.status?.pod_ip) {
                return Ok(ip);
            }
        }
        bail!("the watch ended")
    })
    .await
    .context("no address in time")??;
    let chrome = json!({"args": SWITCHES, "binary": BROWSER});
    let body = json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome", "goog:chromeOptions": chrome,
    }}});
    let driver = Classic::new(&format!("http://{ip}:4444"), None);
    let reply = timeout(LIMIT, async {
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
    let took = begun.elapsed();
    ensure!(reply["sessionId"].is_string(), "{reply}");
    // As PID 1 it hears no SIGTERM.
    driver.get("/shutdown").await.context("end the driver")?;
    pods.delete("bare", &DeleteParams::default()).await?;
    gone(namespace, "bare").await?;
    Ok(took)
}

fn is_refused(error: &anyhow::Error) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect)
}

async fn gateway(namespace: &Namespace, client: &Classic) -> Result<Duration> {
    let begun = Instant::now();
    let id = client.new_session(wanted()).await?.id;
    let took = begun.elapsed();
    client.delete(&format!("/session/{id}")).await?;
    namespace.nothing_left().await?;
    Ok(took)
}

async fn object(namespace: &Namespace) -> Result<Duration> {
    let begun = Instant::now();
    namespace.create("object", json!({"capabilities": {"alwaysMatch": wanted()}})).await?;
    let live = namespace.ready("object").await?;
    let took = begun.elapsed();
    namespace.delete("object").await?;
    gone(namespace, &live.pod).await?;
    Ok(took)
}

/// The median of creating an object that nobody reacts to.
async fn api_create(namespace: &Namespace) -> Result<Duration> {
    let maps = Api::<ConfigMap>::namespaced(namespace.cluster.client.clone(), &namespace.name);
    let map = ConfigMap {
        metadata: ObjectMeta { generate_name: Some("bench-".to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    let mut times = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        let made = maps.create(&PostParams::default(), &map).await?;
        times.push(begun.elapsed());
        ensure!(!made.name_any().is_empty());
    }
    maps.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    times.sort();
    Ok(times[times.len() / 2])
}
