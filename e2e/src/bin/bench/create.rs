//! Create-to-Ready beside a bare pod with a bare driver.
//!
//! bare: a client creates a pod with the same image, confinement and resources that runs the driver itself, watches for
//! its address, and posts a driver session. Beside it a BrowserSession, watched until Ready, and one call of each front of the
//! gateway, for the same browser without BiDi.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    Classic, Namespace,
    hosted::{Hosted, id, with_key},
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    bare,
    figures::{Times, median},
};

/// What is measured, as it is printed.
const WAYS: [&str; 5] = [
    "bare pod and driver session",
    "BrowserSession until Ready",
    "POST /session",
    "Browserbase's create",
    "Browser Use's create",
];
/// Where the first, and the gateway's first front, stand among them.
const BARE: usize = 0;
const CLASSIC: usize = 2;

/// Measures `rounds` rounds, after a warm-up. All of the gateway's APIs get the same key.
pub async fn run(namespace: &Namespace, rounds: usize) -> Result<()> {
    with_key(namespace, async |key| {
        let classic = Classic::new(&namespace.cluster.settings.gateway_url, Some(key.text.clone()));
        let fronts = Fronts { namespace, classic, hosted: Hosted::of(namespace, &key) };
        measure(&fronts, rounds).await
    })
    .await
}

async fn measure(fronts: &Fronts<'_>, rounds: usize) -> Result<()> {
    let namespace = fronts.namespace;
    let template = template(namespace).await?;
    println!("{rounds} rounds, one round before them: {}", WAYS.join("; "));
    let mut times = WAYS.map(|_| Vec::new());
    for round in 0..=rounds {
        let mut this = WAYS.map(|_| Duration::ZERO);
        // Each has every turn equally often: what one leaves running is the next one's load.
        for turn in 0..WAYS.len() {
            let way = (round + turn) % WAYS.len();
            let measured = match way {
                BARE => bare(namespace, &template).await,
                1 => object(namespace).await,
                _ => fronts.create(way).await,
            };
            this[way] = measured.context(WAYS[way])?;
        }
        println!(
            "  {round:>2}: {} ms",
            this.map(|time| format!("{:>5}", time.as_millis())).join(" ")
        );
        if round > 0 {
            times.iter_mut().zip(this).for_each(|(times, time)| times.push(time));
        }
    }
    let api = api_create(namespace).await?;
    for (what, times) in WAYS.iter().zip(&times) {
        print(what, times.clone());
    }
    // Of each round's own ratio: what else the machine does comes and goes.
    let ratio = |way: usize, base: usize| {
        let of_round =
            |(time, base): (&Duration, &Duration)| time.as_secs_f64() / base.as_secs_f64();
        let ratio = median(times[way].iter().zip(&times[base]).map(of_round).collect());
        println!("{:<28} / {}: {ratio:.3}", WAYS[way], WAYS[base]);
    };
    (BARE + 1..WAYS.len()).for_each(|way| ratio(way, BARE));
    (CLASSIC + 1..WAYS.len()).for_each(|way| ratio(way, CLASSIC));
    println!("one bare API create, p50: {api:.1?}");
    Ok(())
}

/// The gateway's APIs.
struct Fronts<'a> {
    namespace: &'a Namespace,
    classic: Classic,
    hosted: Hosted,
}

impl Fronts<'_> {
    /// From the call to its answer.
    async fn create(&self, way: usize) -> Result<Duration> {
        let begun = Instant::now();
        let id = match way {
            CLASSIC => self.classic.new_session(wanted()).await?.id,
            3 => id(&self.hosted.browserbase(json!({"keepAlive": true})).await?)?,
            _ => id(&self.hosted.browser_use("sessions", json!({})).await?)?,
        };
        let took = begun.elapsed();
        self.classic.delete(&format!("/session/{id}")).await?;
        self.namespace.nothing_left().await?;
        Ok(took)
    }
}

fn print(what: &str, times: Vec<Duration>) {
    let [min, median, max] = Times::new(times).milliseconds();
    println!("{what:<28} min {min} ms, median {median} ms, max {max} ms");
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
