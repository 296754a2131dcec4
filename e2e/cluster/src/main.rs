//! A real one-node Kubernetes on any Linux machine, for the tests and the
//! demo: no Docker, no registry, nothing that listens outside.

mod addresses;
mod away;
mod boot;
mod certs;
mod cgroups;
mod components;
mod containerfile;
mod debian;
mod deploy;
mod down;
mod enter;
mod hash;
mod images;
mod init;
mod kubeconfig;
mod layers;
mod logs;
mod network;
mod node;
mod packages;
mod plan;
mod process;
mod record;
mod settings;
mod status;
mod steps;
mod store;
mod supervise;
mod tools;
mod up;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::addresses::{IpFamily, Plan};
use crate::plan::Name;
use crate::record::How;
use crate::settings::Settings;

/// A real one-node Kubernetes, made from Debian packages and Go modules.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
struct Which {
    /// Which cluster; three fit on one machine
    #[arg(long, value_enum, default_value_t = Name::Dev)]
    name: Name,
}

#[derive(Subcommand)]
enum Command {
    /// Make everything, boot the cluster and install the operator; again: bring it up to date
    Up {
        #[command(flatten)]
        which: Which,
        /// Where `env`, the kubeconfig and the logs go [default: e2e/cluster/state, state-test, state-spare]
        #[arg(long)]
        state_dir: Option<PathBuf>,
        /// Compile the operator as its Containerfiles do, for measurements: slower to make, and faster
        #[arg(long)]
        release: bool,
        /// The addresses of nodes, pods and Services; another family than the running cluster's makes it anew
        #[arg(long, value_enum, default_value_t)]
        ip_family: IpFamily,
        /// Let NetworkPolicies say what they like, as clusters do whose network plugin knows none: for a kernel without
        /// ipset, or to see that the operator's other walls stand alone
        #[arg(long)]
        without_network_policy: bool,
    },
    /// Stop the cluster and remove every trace of it from the machine
    Down {
        #[command(flatten)]
        which: Which,
    },
    /// Say whether the cluster is up and which components are stopped; the exit code is 0 if it is healthy and whole
    Status {
        #[command(flatten)]
        which: Which,
    },
    /// Take a component away and keep it away, as an outage does; the rest of the cluster goes on without it
    ///
    /// The supervisor stops it, and says so in `cluster status`. Whatever it held open breaks; its pods and its data stay.
    /// A component that ends without such an order is still the end of the whole cluster. A restart is `stop` and `start`.
    Stop {
        #[command(flatten)]
        which: Which,
        /// Its name, which is its log's too: etcd, kube-apiserver, kubelet, ...
        component: String,
        /// By SIGTERM, which lets it take its leave, or by SIGKILL
        #[arg(long, value_enum, default_value_t = How::Term)]
        signal: How,
    },
    /// Bring a component back that `stop` took away, and wait until it is ready
    Start {
        #[command(flatten)]
        which: Which,
        /// Its name
        component: String,
    },
    /// Run a command inside the cluster's namespaces, such as `ctr`, `nft` or `ip`
    Exec {
        #[command(flatten)]
        which: Which,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Print the ends of the components' logs
    Logs {
        #[command(flatten)]
        which: Which,
        /// How many lines of each
        #[arg(long, default_value_t = 40)]
        lines: usize,
        /// Only this component
        component: Option<String>,
    },
    /// Build helm, kubectl and kubeconform, and print their directory
    Tools,
    /// Build kwok, which plays nodes for the benchmark, and print its path
    Kwok,
    /// Build the images, and print the archives
    Images,
    /// Be the first process of the cluster's namespaces
    #[command(hide = true)]
    Supervise {
        #[command(flatten)]
        which: Which,
        /// Be the supervisor proper, under the first process
        #[arg(long)]
        inner: bool,
    },
}

fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let settings = Settings::from_environment()?;
    match arguments.command {
        Command::Up { which, state_dir, release, ip_family, without_network_policy } => {
            let network_policy = !without_network_policy;
            let plan = Plan { name: which.name, ip_family, network_policy };
            up::up(&Settings { release, ..settings }, plan, state_dir)?;
        }
        Command::Down { which } => down::down_alone(which.name)?,
        Command::Status { which } => return status::status(which.name),
        Command::Stop { which, component, signal } => away::stop(which.name, &component, signal)?,
        Command::Start { which, component } => away::start(which.name, &component)?,
        Command::Exec { which, command } => return enter::exec(which.name, &command),
        Command::Logs { which, lines, component } => {
            logs::logs(which.name, lines, component.as_deref())?
        }
        Command::Tools => println!("{}", tools::command_line_tools(&settings)?.display()),
        Command::Kwok => println!("{}", tools::kwok(&settings)?.display()),
        Command::Images => up::images(&settings)?,
        Command::Supervise { which, inner: true } => supervise::supervise(which.name)?,
        Command::Supervise { which, inner: false } => return init::init(which.name),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}
