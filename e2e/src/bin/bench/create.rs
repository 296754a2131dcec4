//! Create-to-Ready beside a bare pod with a bare driver.
//!
//! bare: a client creates a pod with the same image, confinement and resources that runs the driver itself, watches for
//! its address, and posts a driver session. gateway: one POST /session. object: a BrowserSession, watched until Ready.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Classic, Namespace};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{bare, figures::Times};

/// Measures so many rounds, after one that is not measured.
pub async fn run(namespace: &Namespace, rounds: usize) -> Result<()> {
    let client = namespace.client().await?;
    let template = template(namespace).await?;
    println!("{rounds} rounds of bare, gateway, object; one round before them");
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

fn print(what: &str, times: Vec<Duration>) -> Duration {
    let times = Times::new(times);
    let [min, median, max] = times.milliseconds();
    println!("{what:<28} min {min} ms, median {median} ms, max {max} ms");
    times.median()
}

/// What both kinds of session ask for; BiDi would cost the driver more.
fn wanted() -> Value {
    json!({"browserName": "chrome"})
}

async fn template(namespace: &Namespace) -> Result<Pod> {
    let spec = json!({"capabilities": {"alwaysMatch": wanted()}});
    let live = namespace.create_ready("template", spec).await?;
    let template = bare::template(namespace, &live.pod, bare::CHROMEDRIVER).await?;
    namespace.delete("template").await?;
    bare::gone(namespace, &live.pod).await?;
    Ok(template)
}

async fn bare(namespace: &Namespace, template: &Pod) -> Result<Duration> {
    let begun = Instant::now();
    let ip = bare::start(namespace, template).await?;
    bare::new_session(&ip, wanted()).await?;
    let took = begun.elapsed();
    bare::end(namespace).await?;
    Ok(took)
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
    bare::gone(namespace, &live.pod).await?;
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
    Ok(Times::new(times).median())
}
