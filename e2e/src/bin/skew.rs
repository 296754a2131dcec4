//! Sessions that live while the operator around them becomes another version, or is of two versions at once.

use std::{collections::BTreeMap, process::ExitStatus, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use crds::BrowserSession;
use e2e::{
    Bidi, Classic, Cluster, Namespace,
    namespace::{END_LIMIT, READY_LIMIT},
    objects::session_json,
    wait::{eventually, until},
};
use kube::ResourceExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{process::Command, time::Instant};

/// How long clients may be without a gateway while one is replaced.
const UNREACHED_LIMIT: Duration = Duration::from_secs(60);
/// Where sessions of clients without credentials are.
const NAMESPACE: &str = "default";

/// Holds sessions of every road while a command changes the operator, and makes new ones meanwhile
///
/// Each held session must go on, or end for a reason that its object names; what is made behind the change must work.
#[derive(Parser)]
struct Arguments {
    /// The class of the sessions; without it, each browser's own
    #[arg(long)]
    class: Option<String>,
    /// The gateways' URLs: sessions are made at each, and driven through the next; without it, GATEWAY_URL
    #[arg(long, value_delimiter = ',')]
    gateways: Vec<String>,
    /// The shell command that changes the operator
    #[arg(long, default_value = "true")]
    during: String,
}

/// A session that lives through the change.
struct Held {
    /// How it was made.
    road: String,
    id: String,
    object: String,
    /// Its socket, through another gateway than the one that made it.
    socket: Option<(Bidi, String)>,
}

struct Run {
    namespace: Namespace,
    gateways: Vec<Classic>,
    urls: Vec<String>,
    class: Option<String>,
    /// What became of commands and sessions during the change, by their errors.
    seen: BTreeMap<String, u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let cluster = Cluster::connect().await?;
    let urls = if arguments.gateways.is_empty() {
        vec![cluster.settings.gateway_url.clone()]
    } else {
        arguments.gateways
    };
    let mut run = Run {
        namespace: Namespace { cluster, name: NAMESPACE.to_owned() },
        gateways: urls.iter().map(|url| Classic::new(url, None)).collect(),
        urls,
        class: arguments.class,
        seen: BTreeMap::new(),
    };
    let mut held = run.hold().await?;
    let changed = run.change(&mut held, &arguments.during).await;
    let mut outcome = changed.and_then(|status| {
        ensure!(status.success(), "{}: {status}", arguments.during);
        Ok(())
    });
    for (what, times) in &run.seen {
        println!("{times} times: {what}");
    }
    let (mut passed, mut failed) = (0, 0);
    for session in held {
        match run.settle(session).await {
            Ok(said) => {
                passed += 1;
                println!("{said}");
            }
            Err(error) => {
                failed += 1;
                println!("failed: {error:#}");
            }
        }
    }
    if outcome.is_ok() {
        outcome = run.works().await;
    }
    match &outcome {
        Ok(()) => passed += 1,
        Err(error) => {
            failed += 1;
            println!("failed: {error:#}");
        }
    }
    println!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "not all is well");
    Ok(())
}

impl Run {
    fn capabilities(&self, browser: &str) -> Value {
        let mut wanted = json!({"browserName": browser, "webSocketUrl": true});
        if let Some(class) = &self.class {
            wanted["browser-operator:className"] = json!(class);
        }
        wanted
    }

    fn browsers(&self) -> &'static [&'static str] {
        if self.class.is_some() { &["chrome"] } else { &["chrome", "firefox"] }
    }

    /// A session of each browser from each gateway, and one of a manifest.
    async fn hold(&self) -> Result<Vec<Held>> {
        let mut held = Vec::new();
        for (number, gateway) in self.gateways.iter().enumerate() {
            for browser in self.browsers() {
                let road = format!("{browser} from {}", self.urls[number]);
                let made = gateway.new_session(self.capabilities(browser)).await;
                let id = made.with_context(|| road.clone())?.id;
                held.push(self.held(road, id, number + 1).await?);
            }
        }
        let name = format!("skew-{}", uuid::Uuid::new_v4());
        let wanted = json!({"browserName": "chrome", "webSocketUrl": true});
        let mut spec =
            json!({"capabilities": {"alwaysMatch": wanted}, "ttlSecondsAfterFinished": 600});
        if let Some(class) = &self.class {
            spec["className"] = json!(class);
        }
        self.namespace.submit(&session_json(&name, spec)).await.context("a manifest")?;
        let live = self.namespace.ready(&name).await?;
        held.push(self.held("chrome of a manifest".to_owned(), live.id, 0).await?);
        Ok(held)
    }

    /// Looks at a page in a session, over Classic and over BiDi.
    async fn held(&self, road: String, id: String, gateway: usize) -> Result<Held> {
        let gateway = gateway % self.gateways.len();
        let page = self.namespace.cluster.page("/");
        self.gateways[gateway].open(&id, &page).await.with_context(|| road.clone())?;
        let object = self.namespace.cluster.session_with_id(&id).await?.name_any();
        let url = format!("{}/session/{id}", self.urls[gateway].replacen("http", "ws", 1));
        let mut socket = Bidi::connect(&url).await.with_context(|| road.clone())?;
        let context = socket.context().await?;
        socket.evaluate(&context, "globalThis.held = 'here'").await?;
        Ok(Held { road, id, object, socket: Some((socket, context)) })
    }

    /// Runs the command, while every session is driven and others come and go.
    async fn change(&mut self, held: &mut [Held], during: &str) -> Result<ExitStatus> {
        let begun = Instant::now();
        let mut changing = Command::new("bash")
            .args(["-c", during])
            .kill_on_drop(true)
            .spawn()
            .context("run bash")?;
        let mut pace = tokio::time::interval(Duration::from_millis(200));
        let mut round = 0;
        loop {
            pace.tick().await;
            let ended = changing.try_wait().context("wait for the command")?;
            round += 1;
            for session in held.iter() {
                let gateway = &self.gateways[round % self.gateways.len()];
                let path = format!("/session/{}/title", session.id);
                let what = match gateway.send(Method::GET, &path, None).await {
                    Ok(reply) if reply.status == 200 => "a command: done".to_owned(),
                    Ok(reply) => format!("a command: {} {}", reply.status, reply.error()),
                    Err(_) => "a command: no reply".to_owned(),
                };
                *self.seen.entry(what).or_default() += 1;
            }
            let gateway = &self.gateways[round % self.gateways.len()];
            let what = match gateway.new_session(self.capabilities("chrome")).await {
                Ok(made) => match gateway.delete(&format!("/session/{}", made.id)).await {
                    Ok(_) => "a new session: made and ended".to_owned(),
                    Err(error) => format!("a new session: made, its end: {}", first_words(&error)),
                },
                Err(error) => format!("a new session: {}", first_words(&error)),
            };
            *self.seen.entry(what).or_default() += 1;
            if let Some(status) = ended {
                println!("the change took {:?}", begun.elapsed());
                return Ok(status);
            }
        }
    }

    /// A session goes on, or its object says why not. It is ended afterwards.
    async fn settle(&self, mut held: Held) -> Result<String> {
        let road = held.road.clone();
        let gateway = &self.gateways[0];
        let sessions = self.namespace.sessions();
        let alive = eventually(UNREACHED_LIMIT, async || {
            let object = sessions.get(&held.object).await?;
            if object.is_terminal() {
                return reason(&object).map(Some);
            }
            assert_title(gateway, &held.id).await?;
            Ok(None)
        })
        .await
        .with_context(|| format!("{road}: neither goes on nor ends"))?;
        if let Some(reason) = alive {
            return Ok(format!("{road}: ended as {reason}"));
        }
        let (mut socket, context) = held.socket.take().context("a socket")?;
        let socket = match socket.evaluate(&context, "globalThis.held").await {
            Ok(value) if value["value"] == "here" || value == json!("here") => "its socket too",
            Ok(value) => bail!("{road}: its page is another: {value}"),
            // A gateway that goes takes its sockets along; clients come back.
            Err(_) => {
                let url = format!("{}/session/{}", self.urls[0].replacen("http", "ws", 1), held.id);
                let mut again = Bidi::connect(&url).await.with_context(|| road.clone())?;
                let value = again.evaluate(&context, "globalThis.held").await?;
                ensure!(value.to_string().contains("here"), "{road}: its page is another: {value}");
                "its socket after it connected again"
            }
        };
        gateway.delete(&format!("/session/{}", held.id)).await.with_context(|| road.clone())?;
        let over = |object: Option<&BrowserSession>| object.is_none_or(BrowserSession::is_terminal);
        until(&sessions, &held.object, "ended", END_LIMIT, over).await?;
        Ok(format!("{road}: goes on, {socket}"))
    }

    /// What is new behind the change works.
    async fn works(&self) -> Result<()> {
        for gateway in &self.gateways {
            for browser in self.browsers() {
                let made = eventually(READY_LIMIT, async || {
                    gateway.new_session(self.capabilities(browser)).await
                })
                .await
                .with_context(|| format!("{browser} behind the change"))?;
                gateway.open(&made.id, &self.namespace.cluster.page("/")).await?;
                assert_title(gateway, &made.id).await?;
                gateway.delete(&format!("/session/{}", made.id)).await?;
            }
        }
        Ok(())
    }
}

async fn assert_title(gateway: &Classic, id: &str) -> Result<()> {
    let title = gateway.title(id).await?;
    ensure!(title == "browser-operator", "the title is {title}");
    Ok(())
}

/// The reason of a session's end; versions differ in the condition that has it.
fn reason(object: &BrowserSession) -> Result<String> {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice());
    let reasons = conditions.unwrap_or_default().iter().map(|one| one.reason.clone());
    reasons.into_iter().find(|reason| !reason.is_empty()).context("it ended without a reason")
}

fn first_words(error: &anyhow::Error) -> String {
    format!("{error:#}").chars().take(160).collect()
}
