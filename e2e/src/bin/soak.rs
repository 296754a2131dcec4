//! Random sessions while what runs them is killed at random: each must end for a reason that fits, and leave nothing.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use e2e::soak::{Settings, run};

/// Asks for, uses and ends sessions at random, while the operator and their pods are killed at random
#[derive(Parser)]
struct Arguments {
    /// For how many minutes new cycles begin
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// How many cycles there are at most
    #[arg(long, default_value_t = u64::MAX)]
    cycles: u64,
    /// How many there are at a time
    #[arg(long, default_value_t = 6)]
    workers: u64,
    /// What chance begins with; without it, whatever comes
    #[arg(long)]
    seed: Option<u64>,
    /// Leave the operator alone
    #[arg(long)]
    no_chaos: bool,
    /// Leave agents, browsers, drivers and pods alone
    #[arg(long)]
    no_harm: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    run(&Settings {
        seed: arguments.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0),
        length: Duration::from_secs(arguments.minutes * 60),
        cycles: arguments.cycles,
        workers: arguments.workers,
        chaos: !arguments.no_chaos,
        harm: !arguments.no_harm,
    })
    .await
}
