//! What gateway and agent add to a command: straight to the driver in a pod, and through the gateway, in pairs. Each goes
//! first in every other pair. With Chromium as users have it, and with the echo driver, which takes no time of its own.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    Classic, Namespace, agent, echo,
    raw::{Connection, Socket},
};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    bare,
    endpoint::Endpoint,
    figures::{Times, median, micros},
    relay::Relay,
};

/// Pairs before the measured ones.
const WARM_UP: usize = 50;

/// Method, path behind the session's, body.
type Command = (Method, &'static str, &'static str);

const TITLE: Command = (Method::GET, "title", "");
const SCRIPT: Command =
    (Method::POST, "execute/sync", r#"{"script":"return document.title","args":[]}"#);
const CLASSIC: [Command; 4] = [
    TITLE,
    (Method::GET, "url", ""),
    (Method::POST, "element", r#"{"using":"css selector","value":"h1"}"#),
    SCRIPT,
];
const ECHO_CLASSIC: [Command; 2] = [TITLE, SCRIPT];

pub async fn chromium(namespace: &Namespace, pairs: usize) -> Result<()> {
    let wanted = json!({"browserName": "chrome", "webSocketUrl": true});
    let spec = json!({"capabilities": {"alwaysMatch": wanted}});
    let live = namespace.create_ready("chromium", spec).await?;
    let template = bare::template(namespace, &live.pod, bare::CHROMEDRIVER).await?;
    let ip = bare::start(namespace, &template).await?;
    let id = bare::new_session(&ip, wanted).await?;
    let page = namespace.cluster.page("/");
    Classic::new(&format!("http://{}", agent::address(&ip)), None).open(&id, &page).await?;
    namespace.cluster.anonymous().open(&live.id, &page).await?;
    Ways::new(namespace, &ip, &id, &live.id).measure(&CLASSIC, pairs).await?;
    bare::end(namespace).await
}

pub async fn echo(namespace: &Namespace, pairs: usize) -> Result<()> {
    echo::with_echo(namespace, json!({}), async |live| {
        let template = bare::template(namespace, &live.pod, bare::ECHO_DRIVER).await?;
        let ip = bare::start(namespace, &template).await?;
        let id = bare::new_session(&ip, json!({"webSocketUrl": true})).await?;
        let ways = Ways::new(namespace, &ip, &id, &live.id);
        ways.measure(&ECHO_CLASSIC, pairs).await?;
        // What two processes on the way add at the least, whatever they do.
        let inner = Relay::start(&ways.straight.authority).await?;
        let outer = Relay::start(&inner.authority).await?;
        let through = Endpoint { authority: outer.authority.clone(), id: ways.straight.id.clone() };
        println!("through two programs that only carry bytes:");
        Ways { through, ..ways }.measure(&ECHO_CLASSIC, pairs).await?;
        bare::end(namespace).await
    })
    .await
}

/// Both ways.
struct Ways {
    straight: Endpoint,
    through: Endpoint,
}

impl Ways {
    fn new(namespace: &Namespace, ip: &str, driver_id: &str, id: &str) -> Self {
        let gateway = namespace.cluster.settings.gateway_url.trim_start_matches("http://");
        Self {
            straight: Endpoint { authority: agent::address(ip), id: driver_id.to_owned() },
            through: Endpoint { authority: gateway.to_owned(), id: id.to_owned() },
        }
    }

    async fn measure(&self, commands: &[Command], count: usize) -> Result<()> {
        println!("{count} pairs of each, {WARM_UP} before them; in microseconds");
        println!(
            "{:<30} {:>15} {:>15} {:>15} {:>18}",
            "", "straight p50/99", "through p50/99", "added p50/99", "median difference"
        );
        self.classic(commands, count).await?;
        self.bidi("browsingContext.getTree", &json!({}), count).await
    }

    async fn classic(&self, commands: &[Command], count: usize) -> Result<()> {
        let mut straight = Connection::open(&self.straight.authority).await?;
        let mut through = Connection::open(&self.through.authority).await?;
        for (method, rest, body) in commands {
            let paths = [self.straight.path(rest), self.through.path(rest)];
            let pairs = pairs(
                count,
                async || straight.ask(method, &paths[0], body).await.map(drop),
                async || through.ask(method, &paths[1], body).await.map(drop),
            );
            print(&format!("{method} {rest}"), pairs.await?);
        }
        Ok(())
    }

    async fn bidi(&self, method: &str, params: &Value, count: usize) -> Result<()> {
        let mut straight = Socket::open(&self.straight.socket()).await?;
        let mut through = Socket::open(&self.through.socket()).await?;
        let command = json!({"id": 1, "method": method, "params": params}).to_string();
        let ask = async |socket: &mut Socket| {
            let reply = socket.ask(command.as_str()).await?;
            ensure!(reply.contains(r#""type":"success""#), "{reply}");
            Ok(())
        };
        let pairs =
            pairs(count, async || ask(&mut straight).await, async || ask(&mut through).await);
        print(&format!("BiDi {method}"), pairs.await?);
        Ok(())
    }
}

/// Times of the one and of the other, in pairs.
type Pairs = Vec<(Duration, Duration)>;

async fn pairs(
    count: usize,
    mut straight: impl AsyncFnMut() -> Result<()>,
    mut through: impl AsyncFnMut() -> Result<()>,
) -> Result<Pairs> {
    let mut pairs = Vec::with_capacity(count);
    for number in 0..WARM_UP + count {
        let pair = if number % 2 == 0 {
            let straight = time(&mut straight).await.context("straight")?;
            (straight, time(&mut through).await.context("through")?)
        } else {
            let through = time(&mut through).await.context("through")?;
            (time(&mut straight).await.context("straight")?, through)
        };
        if number >= WARM_UP {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

async fn time(work: &mut impl AsyncFnMut() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    work().await?;
    Ok(begun.elapsed())
}

fn print(what: &str, pairs: Pairs) {
    let difference = pairs.iter().map(|(straight, through)| micros(*through) - micros(*straight));
    let difference = median(difference.collect());
    let (straight, through): (Vec<Duration>, Vec<Duration>) = pairs.into_iter().unzip();
    let of = |times: Vec<Duration>| {
        let times = Times::new(times);
        [50, 99].map(|percent| micros(times.percentile(percent)))
    };
    let ([s50, s99], [t50, t99]) = (of(straight), of(through));
    let (a50, a99) = (t50 - s50, t99 - s99);
    println!(
        "{what:<30} {s50:>7.0} {s99:>7.0} {t50:>7.0} {t99:>7.0} {a50:>7.0} {a99:>7.0} {difference:>18.0}"
    );
}
