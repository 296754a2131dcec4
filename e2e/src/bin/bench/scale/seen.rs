//! What a watch has seen.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    mem,
    net::IpAddr,
    pin::pin,
};

use agent_api::pod_token::TokenHash;
use anyhow::{Result, bail};
use crds::BrowserSession;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, time::Instant};

/// The names of what is there, and what else was learnt from it.
#[derive(Default)]
pub struct Seen<T> {
    /// The names.
    pub present: HashSet<String>,
    /// What was learnt. It stays when its object goes.
    pub learnt: T,
}

/// By their addresses, what the agents of pods are told at their start.
pub type Agents = HashMap<IpAddr, TokenHash>;

/// The sessions' lives.
#[derive(Default)]
pub struct Lives {
    /// When each was first seen to be Ready.
    pub ready: HashMap<String, Instant>,
    /// How the first one ended that did.
    pub ended: Option<String>,
}

pub async fn follow<K, T>(
    api: Api<K>,
    config: Config,
    seen: watch::Sender<Seen<T>>,
    learn: impl Fn(&mut T, &K),
) -> Result<()>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut stream = pin!(watcher(api, config).default_backoff());
    let mut listed = HashSet::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.insert(object.name_any());
                seen.send_modify(|seen| learn(&mut seen.learnt, &object));
            }
            Ok(Event::InitDone) => seen.send_modify(|seen| seen.present = mem::take(&mut listed)),
            Ok(Event::Apply(object)) => seen.send_modify(|seen| {
                seen.present.insert(object.name_any());
                learn(&mut seen.learnt, &object);
            }),
            Ok(Event::Delete(object)) => seen.send_modify(|seen| {
                seen.present.remove(&object.name_any());
            }),
            // The stream tries again.
            Err(error) => eprintln!("a watch: {error}"),
        }
    }
    bail!("a watch ended")
}

/// Notes a pod's address and the hash of its token.
pub fn learn_agent(agents: &mut Agents, pod: &Pod) {
    let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok());
    let arguments = pod.spec.iter().flat_map(|spec| spec.containers.iter().flat_map(|c| &c.args));
    let hash = arguments
        .flatten()
        .find_map(|argument| TokenHash::from_hex(argument.strip_prefix("--token-sha256=")?));
    agents.extend(ip.zip(hash));
}

/// Notes whether a session is Ready, or has ended.
pub fn learn_life(lives: &mut Lives, session: &BrowserSession) {
    if session.is_ready() {
        lives.ready.entry(session.name_any()).or_insert_with(Instant::now);
    }
    if session.is_terminal() && lives.ended.is_none() {
        let how =
            session.telling_condition().map(|ready| format!("{}: {}", ready.reason, ready.message));
        lives.ended = Some(format!("{} ended: {}", session.name_any(), how.unwrap_or_default()));
    }
}
