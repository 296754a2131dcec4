//! The controller at scale: so many sessions at a time, on nodes that kwok plays, whose pods one agent here answers for.
//! Everything else is real.

mod agent;
mod controller;
mod kwok;
mod network;
mod requests;
mod seen;

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use crds::{BrowserClass, BrowserSession, names};
use e2e::{Namespace, class_like_the_default, objects::session_json, operator};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    api::{DeleteParams, ListParams, Patch, PatchParams},
    runtime::watcher::Config,
};
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};

use self::{
    controller::{Controller, machine_time, own_processor_time},
    kwok::{LABEL, Nodes, VALUE},
    network::Addresses,
    requests::{Counters, Requests},
    seen::{Agents, Lives, Seen, follow, learn_agent, learn_life},
};
use crate::figures::Times;

/// The benchmark's own requests at a time.
const CONCURRENT_REQUESTS: usize = 64;
/// Lines that the ramp prints.
const RAMP_LINES: usize = 10;
/// For a tenth of the sessions.
const STEP_LIMIT: Duration = Duration::from_secs(600);
/// For how long the idle controller is watched.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// `ttlSecondsAfterFinished`.
const TTL_SECONDS: u64 = 5;
/// How much of a processor the controller may use when it has come to rest.
const REST_SHARE: f64 = 0.02;
const REST_LIMIT: Duration = Duration::from_secs(120);

/// Measures so many sessions, of which so many are created in a second.
pub async fn run(namespace: &Namespace, sessions: usize, rate: u32) -> Result<()> {
    ensure!((1..=network::ROOM).contains(&sessions), "sessions: from 1 to {}", network::ROOM);
    ensure!((1..=1000).contains(&rate), "creates in a second: from 1 to 1000");
    let cluster = &namespace.cluster;
    let Some(controller) = Controller::find(cluster).await? else {
        println!("left out: the controller is on another machine");
        return Ok(());
    };
    let addresses = Addresses::start(&controller).await?;
    let outcome = async {
        let counters = Counters::start(namespace, &controller.account).await?;
        let outcome =
            with_nodes(namespace, &controller, &counters, &addresses, sessions, rate).await;
        let ended = counters.end().await;
        outcome.and(ended)
    }
    .await;
    let ended = addresses.end().await;
    outcome.and(ended)
}

async fn with_nodes(
    namespace: &Namespace,
    controller: &Controller,
    counters: &Counters,
    addresses: &Addresses,
    sessions: usize,
    rate: u32,
) -> Result<()> {
    let client = namespace.cluster.client.clone();
    let listener = addresses.listen(controller.ip).await?;
    let (pods, lives) = (watch::Sender::default(), watch::Sender::default());
    let scale = Scale {
        namespace,
        controller,
        counters,
        pods: pods.subscribe(),
        lives: lives.subscribe(),
        sessions,
        rate,
    };
    let class = class(namespace, sessions).await?;
    let mut nodes = Nodes::start(client, sessions, &addresses.range).await?;
    println!(
        "{sessions} sessions of a class with room for as many, on {} nodes of kwok's; {rate} creates in a second",
        nodes.count
    );
    let mut tasks = JoinSet::new();
    let ours =
        Config::default().labels(&format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGED_BY));
    tasks.spawn(follow::<Pod, _>(namespace.pods(), ours, pods, learn_agent));
    tasks.spawn(follow::<BrowserSession, _>(
        namespace.sessions(),
        Config::default(),
        lives,
        learn_life,
    ));
    tasks.spawn(agent::serve(listener, scale.pods.clone()));

    let measured = namespace.cluster.with_class(&class, async || {
        let outcome = tokio::select! {
            outcome = scale.measure() => outcome,
            ended = nodes.ended() => ended,
            Some(ended) = tasks.join_next() => ended?.and(Err(anyhow!("a task ended"))),
            interrupted = interrupted() => interrupted,
        };
        // Nobody else could take these pods away.
        let cleared = scale.clear().await;
        outcome.and(cleared)
    });
    let outcome = measured.await;
    tasks.shutdown().await;
    let ended = nodes.end().await;
    outcome.and(ended)
}

/// The default class, on kwok's nodes only.
async fn class(namespace: &Namespace, capacity: usize) -> Result<BrowserClass> {
    let default = namespace.cluster.default_class().await?;
    let fields = json!({
        "capacity": capacity,
        "regions": [{
            "name": VALUE,
            "nodeSelector": {LABEL: VALUE},
            "tolerations": [{"key": LABEL, "operator": "Exists"}],
        }],
        // The API server may be behind.
        "startTimeoutSeconds": 3600,
    });
    let mut class = class_like_the_default(&default, &namespace.name, fields)?;
    for version in &mut class.spec.versions {
        version.version = agent::VERSION.to_owned();
    }
    Ok(class)
}

async fn interrupted() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

/// More than a controller has that has had no session yet, in MiB.
const BASELINE_MIB: f64 = 30.0;

struct Scale<'a> {
    namespace: &'a Namespace,
    controller: &'a Controller,
    counters: &'a Counters,
    pods: watch::Receiver<Seen<Agents>>,
    lives: watch::Receiver<Seen<Lives>>,
    sessions: usize,
    rate: u32,
}

/// What has been used at some time, in seconds of a processor.
struct Used {
    at: Instant,
    controller: f64,
    api_server: f64,
    own: f64,
    busy: f64,
    had: f64,
}

impl Scale<'_> {
    async fn measure(&self) -> Result<()> {
        self.rest().await?;
        self.controller.forget_most_memory()?;
        let (begin, memory) = (self.counters.read().await?, self.controller.memory()?);
        let own = self.own_count().await;
        if memory > BASELINE_MIB {
            println!(
                "the controller has kept memory from before, which these sessions use first: restart it to know \
                 what each takes"
            );
        }

        self.ramp(memory).await?;
        self.rest().await?;
        let live = self.counters.read().await?;
        let memory_live = self.controller.memory()?;
        println!(
            "the controller's memory: {memory:.1} MiB before, {memory_live:.1} MiB at rest with {} live sessions \
             ({:.1} KiB each), {:.1} MiB at most",
            self.sessions,
            (memory_live - memory) * 1024.0 / self.sessions as f64,
            self.controller.most_memory()?,
        );
        let idle = self.idle(live).await?;

        self.end().await?;
        self.rest().await?;
        let end = self.counters.read().await?;
        println!(
            "the controller's memory: {:.1} MiB at rest after all, {:.1} MiB at most",
            self.controller.memory()?,
            self.controller.most_memory()?
        );
        println!("requests of the controller, as the API server counts them, of each session:");
        let phases = [
            ("to Ready", live.since(begin)),
            ("to the end", end.since(idle)),
            ("whole life", end.since(begin)),
        ];
        requests::print(&phases, self.sessions);
        if let (Some(before), Some(after)) = (own, self.own_count().await) {
            let each = (after - before) / self.sessions as f64;
            println!("  {:<32} {:>12} {:>12} {each:>12.3}", "writes, as it counts itself", "", "");
        }
        Ok(())
    }

    async fn ramp(&self, memory: f64) -> Result<()> {
        let before = self.used().await?;
        println!("  {:>8} {:>8} {:>10} {:>12}", "Ready", "seconds", "memory MiB", "processor s");
        println!("  {:>8} {:>8.1} {memory:>10.1} {:>12.1}", 0, 0.0, 0.0);
        let (begun, ()) = tokio::try_join!(self.create_all(), self.follow_ramp(&before))?;
        let after = self.used().await?;

        let ready: HashMap<String, Instant> = self.lives.borrow().learnt.ready.clone();
        let count = self.sessions as f64;
        let created = begun.values().map(|(_, created)| *created).max().context("a session")?;
        let all_ready = ready.values().max().context("a session")?;
        let attained = count / created.duration_since(before.at).as_secs_f64();
        println!(
            "{} sessions were created at {attained:.1} in a second, and became Ready at {:.1}",
            self.sessions,
            count / all_ready.duration_since(before.at).as_secs_f64()
        );
        let times = |until: &dyn Fn(&str, Instant) -> Option<Instant>| {
            let times = begun.iter().filter_map(|(name, (begun, created))| {
                Some(until(name, *created)?.duration_since(*begun))
            });
            let times = Times::new(times.collect());
            [50, 99, 100].map(|percent| times.percentile(percent).as_millis())
        };
        let [c50, c99, c100] = times(&|_, created| Some(created));
        let [r50, r99, r100] = times(&|name, _| ready.get(name).copied());
        println!("the API create's answer: p50 {c50} ms, p99 {c99} ms, the longest {c100} ms");
        println!("create to Ready: p50 {r50} ms, p99 {r99} ms, the longest {r100} ms");
        self.print_used(&before, &after);
        let share = (after.busy - before.busy) / (after.had - before.had);
        if attained < 0.95 * f64::from(self.rate) {
            let limit = if share > 0.9 { "the machine" } else { "the API server" };
            println!("not the {} that were wanted: {limit} is the limit", self.rate);
        }
        Ok(())
    }

    /// Creates at the rate, and gives when each was begun and when the API server had answered.
    async fn create_all(&self) -> Result<HashMap<String, (Instant, Instant)>> {
        let pace = interval(Duration::from_secs(1) / self.rate);
        stream::unfold((pace, 0), async |(mut pace, number)| {
            (number < self.sessions).then_some(())?;
            pace.tick().await;
            Some((number, (pace, number + 1)))
        })
        .map(async |number| {
            let name = name(number);
            let session = session_json(
                &name,
                json!({
                    "className": self.namespace.name,
                    "capabilities": {"alwaysMatch": {"browserName": "chrome"}},
                    "timeoutSeconds": 7200,
                    "ttlSecondsAfterFinished": TTL_SECONDS,
                    "userMetadata": {"build": "4711"},
                }),
            );
            let begun = Instant::now();
            self.namespace.submit(&session).await.with_context(|| format!("create {name}"))?;
            Ok((name, (begun, Instant::now())))
        })
        .buffer_unordered(CONCURRENT_REQUESTS)
        .try_collect()
        .await
    }

    /// Prints how far it is, and waits until all are Ready.
    async fn follow_ramp(&self, before: &Used) -> Result<()> {
        for step in 1..=RAMP_LINES {
            let wanted = (self.sessions * step).div_ceil(RAMP_LINES);
            let mut lives = self.lives.clone();
            let reached = lives
                .wait_for(|seen| seen.learnt.ready.len() >= wanted || seen.learnt.ended.is_some());
            let ended = timeout(STEP_LIMIT, reached)
                .await
                .with_context(|| format!("{wanted} are not Ready within {STEP_LIMIT:?}"))??
                .learnt
                .ended
                .clone();
            if let Some(ended) = ended {
                bail!("{ended}");
            }
            println!(
                "  {wanted:>8} {:>8.1} {:>10.1} {:>12.1}",
                before.at.elapsed().as_secs_f64(),
                self.controller.memory()?,
                self.controller.processor_time()? - before.controller
            );
        }
        Ok(())
    }

    /// Watches the idle controller.
    async fn idle(&self, before: Requests) -> Result<Requests> {
        let used = self.used().await?;
        sleep(IDLE_TIME).await;
        let after = self.counters.read().await?;
        let asked = after.since(before);
        println!(
            "idle for {} s: the controller used {:.2} s of a processor, and made {} requests, {} of them writes",
            IDLE_TIME.as_secs(),
            self.controller.processor_time()? - used.controller,
            asked.all(),
            asked.writes()
        );
        Ok(after)
    }

    /// Ends all: every other one by its deletion, the rest by annotation.
    async fn end(&self) -> Result<()> {
        let before = self.used().await?;
        let sessions = self.namespace.sessions();
        let asking = stream::iter(0..self.sessions)
            .map(async |number| {
                let name = name(number);
                if number % 2 == 0 {
                    sessions.delete(&name, &DeleteParams::default()).await.map(drop)
                } else {
                    let end = json!({"metadata": {"annotations": {names::END_ANNOTATION: "ClientEnded"}}});
                    sessions.patch(&name, &PatchParams::default(), &Patch::Merge(end)).await.map(drop)
                }
                .with_context(|| format!("end {name}"))
            })
            .buffer_unordered(CONCURRENT_REQUESTS)
            .try_collect::<()>();
        asking.await?;
        let asked = before.at.elapsed().as_secs_f64();
        let (mut pods, mut lives) = (self.pods.clone(), self.lives.clone());
        let limit = STEP_LIMIT * RAMP_LINES as u32;
        timeout(limit, pods.wait_for(|pods| pods.present.is_empty()))
            .await
            .with_context(|| format!("there are pods left after {limit:?}"))??;
        let no_pod = before.at.elapsed().as_secs_f64();
        timeout(limit, lives.wait_for(|lives| lives.present.is_empty()))
            .await
            .with_context(|| format!("there are records left after {limit:?}"))??;
        println!(
            "half were deleted, half ended by annotation: asked for after {asked:.1} s, no pod left after {no_pod:.1} s, \
             no record (their TTL is {TTL_SECONDS} s) after {:.1} s",
            before.at.elapsed().as_secs_f64()
        );
        self.print_used(&before, &self.used().await?);
        Ok(())
    }

    /// Waits until the controller has done what there was to do.
    async fn rest(&self) -> Result<()> {
        let second = Duration::from_secs(1);
        let begun = Instant::now();
        loop {
            let before = self.controller.processor_time()?;
            sleep(second).await;
            if self.controller.processor_time()? - before <= REST_SHARE {
                return Ok(());
            }
            ensure!(begun.elapsed() < REST_LIMIT, "the controller is busy after {REST_LIMIT:?}");
        }
    }

    async fn used(&self) -> Result<Used> {
        let (busy, had) = machine_time()?;
        Ok(Used {
            api_server: self.counters.processor_time().await?,
            controller: self.controller.processor_time()?,
            own: own_processor_time()?,
            busy,
            had,
            at: Instant::now(),
        })
    }

    fn print_used(&self, before: &Used, after: &Used) {
        let controller = after.controller - before.controller;
        println!(
            "seconds of a processor: the controller {controller:.1} ({:.2} ms each session), the API server {:.1}, this \
             benchmark {:.1}, the machine {:.1} of {:.1}",
            controller * 1000.0 / self.sessions as f64,
            after.api_server - before.api_server,
            after.own - before.own,
            after.busy - before.busy,
            after.had - before.had
        );
    }

    /// The writes that the controller says it made, if it says so.
    async fn own_count(&self) -> Option<f64> {
        let counter = "browser_operator_api_writes_total";
        operator::metric(&self.namespace.cluster, "controller", counter).await.ok()
    }

    async fn clear(&self) -> Result<()> {
        let sessions = self.namespace.sessions();
        let (now, all) = (DeleteParams::default(), ListParams::default());
        sessions.delete_collection(&now, &all).await.context("delete the sessions")?;
        let mut pods = self.pods.clone();
        timeout(STEP_LIMIT, pods.wait_for(|pods| pods.present.is_empty()))
            .await
            .context("there are pods left")??;
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("scale-{number:05}")
}
