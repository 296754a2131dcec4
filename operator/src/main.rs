//! `browser-operator`: one binary, a subcommand for each role. Only this crate reads flags and the environment.

mod command;

use clap::Parser;

/// Browser sessions as Kubernetes objects.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> anyhow::Result<()> {
    command::run(Args::parse().command)
}
