//! Checks of this repository that neither rustc nor clippy makes.

mod cycles;
mod graph;
mod names;
mod packages;
mod references;
mod subjects;
mod tour;
mod tree;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find files of one crate that import each other in a circle
    Cycles {
        /// Packages to look at [default: all of the workspace]
        packages: Vec<String>,
        /// Print every import within each group of files, not only one circle
        #[arg(long)]
        all: bool,
    },
    /// Find commits whose subject is not one line of at most 72 characters
    Subjects {
        /// The commit after which to begin [default: the last one from before this rule, where the history has it]
        base: Option<String>,
    },
    /// Find files and functions that CONTRIBUTING.md and README.md name and that do not exist
    Tour,
}

fn main() -> Result<ExitCode> {
    let clean = match Arguments::parse().command {
        Command::Cycles { packages, all } => cycles::run(&packages, all)?,
        Command::Subjects { base } => subjects::run(base.as_deref())?,
        Command::Tour => tour::run()?,
    };
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
