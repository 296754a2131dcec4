//! The subcommands.

mod agent;
mod common;
mod controller;
mod crd;
mod gateway;
mod key;
mod node;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum Command {
    /// Reconciles BrowserSessions into pods, Services and status.
    Controller(controller::Args),
    /// Serves WebDriver, BiDi, CDP and the hosted APIs, and forwards sessions' traffic.
    Gateway(gateway::Args),
    /// Runs the driver in a browser's container, as its PID 1.
    Agent(agent::Args),
    /// Keeps the browsers' seccomp profiles on a node.
    Node(node::Args),
    /// Creates, lists and revokes API keys.
    Key(key::Args),
    /// Writes the CustomResourceDefinitions.
    Crd(crd::Args),
}

pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Controller(args) => {
            common::block_on(common::on_all_cores(), controller::run(args))
        }
        Command::Gateway(args) => common::block_on(common::on_all_cores(), gateway::run(args)),
        Command::Agent(args) => common::block_on(common::on_one_thread(), agent::run(args)),
        Command::Node(args) => common::block_on(common::on_all_cores(), node::run(args)),
        Command::Key(args) => common::block_on(common::on_one_thread(), key::run(args)),
        Command::Crd(args) => crd::run(&args),
    }
}
