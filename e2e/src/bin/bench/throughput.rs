//! How many requests in a second a gateway carries, beside an HAProxy with as many threads before the same upstream: the
//! agent in an exposed session's pod, whose driver answers at once.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{
    Namespace, agent, echo,
    gateway::{Gateway, with_gateway},
    namespace::Live,
};
use serde_json::json;

use crate::{bare, figures::median, haproxy::HaProxy, load};

const CONNECTIONS: usize = 64;
const ROUND: Duration = Duration::from_secs(3);
/// HAProxy's ports for the agent, and for the driver alone.
const AGENT_PORT: u16 = 4480;
const BARE_PORT: u16 = 4481;

/// Measures `rounds` rounds, after a warm-up.
pub async fn run(namespace: &Namespace, rounds: usize) -> Result<()> {
    with_gateway(namespace, &[], async |gateway| {
        let exposed = json!({"expose": {"type": "ClusterIP"}});
        echo::with_echo(namespace, exposed, async |live| {
            measure(namespace, gateway, live, rounds).await
        })
        .await
    })
    .await
}

async fn measure(
    namespace: &Namespace,
    gateway: &Gateway,
    live: &Live,
    rounds: usize,
) -> Result<()> {
    let Some(process) = echo::gateway_process(namespace, &gateway.name).await? else {
        println!("left out: the gateway is on another machine");
        return Ok(());
    };
    // One for each processor, which is the gateway's choice.
    let threads = std::thread::available_parallelism()?.get();
    let template = bare::template(namespace, &live.pod, bare::ECHO_DRIVER).await?;
    let bare_ip = bare::start(namespace, &template).await?;
    bare::new_session(&bare_ip, json!({})).await?;
    let upstreams = [(AGENT_PORT, agent::address(&live.ip)), (BARE_PORT, agent::address(&bare_ip))];
    let haproxy = HaProxy::start(process, &gateway.ip, threads, &upstreams).await?;
    println!(
        "{CONNECTIONS} connections, {threads} threads each, {rounds} rounds of {ROUND:?}, one before them; requests in a second"
    );

    let path = format!("/session/{}/title", live.id);
    let through = async |port: u16| {
        load::run(&format!("{}:{port}", gateway.ip), &path, CONNECTIONS, ROUND).await
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (gateway, haproxy);
        if round % 2 == 0 {
            gateway = through(4444).await.context("the gateway")?;
            haproxy = through(AGENT_PORT).await.context("HAProxy")?;
        } else {
            haproxy = through(AGENT_PORT).await.context("HAProxy")?;
            gateway = through(4444).await.context("the gateway")?;
        }
        println!("  {round:>2}: gateway {gateway:>7.0}  haproxy {haproxy:>7.0}");
        if round > 0 {
            ours.push(gateway);
            theirs.push(haproxy);
        }
    }
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    println!("median: gateway {:.0}, haproxy {:.0}", median(ours), median(theirs));
    println!("gateway / haproxy, median of the rounds: {:.2}", median(ratios));
    let straight = load::run(&agent::address(&live.ip), &path, CONNECTIONS, ROUND).await;
    println!("without either, straight to the agent: {:.0}", straight.context("the agent")?);
    let bare = through(BARE_PORT).await.context("HAProxy and the driver")?;
    println!("haproxy before the driver alone: {bare:.0}");
    haproxy.end().await?;
    bare::end(namespace).await
}
