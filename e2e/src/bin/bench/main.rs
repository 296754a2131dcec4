//! What the operator costs: each figure beside the bare thing's, interleaved in one run.

mod bare;
mod create;
mod endpoint;
mod figures;
mod haproxy;
mod load;
mod overhead;
mod relay;
mod scale;
mod sockets;
mod streaming;
mod throughput;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use e2e::with_namespace;

/// Measures the operator beside the bare thing
#[derive(Parser)]
struct Arguments {
    /// What is measured; without a word everything
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Be a relay before this server instead, for `overhead-echo`
    #[arg(long, hide = true)]
    relay: Option<String>,
    /// How many rounds of `create` are measured, after one that is not
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// How many pairs of each command `overhead` measures, after some that are not
    #[arg(long, default_value_t = 1000)]
    pairs: usize,
    /// How many rounds of `throughput` are measured
    #[arg(long, default_value_t = 6)]
    load_rounds: usize,
    /// How many sockets `sockets` opens
    #[arg(long, default_value_t = 2000)]
    sockets: usize,
    /// How many sessions `scale` has at a time
    #[arg(long, default_value_t = 10_000)]
    scale_sessions: usize,
    /// How many of them it creates in a second, at most
    #[arg(long, default_value_t = 100)]
    scale_rate: u32,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// From a client's call to a session that can be used
    Create,
    /// What gateway and agent add to a command of Chromium's
    Overhead,
    /// The same with a driver that takes no time of its own
    OverheadEcho,
    /// How many requests in a second, beside HAProxy
    Throughput,
    /// The memory of idle sockets
    Sockets,
    /// Long bodies and messages
    Streaming,
    /// Thousands of sessions, on nodes that kwok plays
    Scale,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Arguments { relay, parts, rounds, pairs, load_rounds, sockets, scale_sessions, scale_rate } =
        Arguments::parse();
    if let Some(target) = relay {
        return relay::run(&target).await;
    }
    let parts = if parts.is_empty() { Part::value_variants().to_vec() } else { parts };
    for part in parts {
        println!("\n==> {part:?}");
        with_namespace(async |namespace| match part {
            Part::Create => create::run(&namespace, rounds).await,
            Part::Overhead => overhead::chromium(&namespace, pairs).await,
            Part::OverheadEcho => overhead::echo(&namespace, pairs).await,
            Part::Throughput => throughput::run(&namespace, load_rounds).await,
            Part::Sockets => sockets::run(&namespace, sockets).await,
            Part::Streaming => streaming::run(&namespace).await,
            Part::Scale => scale::run(&namespace, scale_sessions, scale_rate).await,
        })
        .await
        .with_context(|| format!("{part:?}"))?;
    }
    Ok(())
}
