//! The supervisor: it starts the components and watches them. If one ends, it
//! says which and why, and ends; that is the end of the whole cluster.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

use crate::components::Component;
use crate::network;
use crate::node;
use crate::plan::Name;
use crate::record::{self, Phase};
use crate::steps::tail;

const GATE_PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);

/// What the supervisor is told, in the cluster's data.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
pub struct Orders {
    /// What to start, in this order.
    pub components: Vec<Component>,
    /// Where their logs go.
    pub logs: PathBuf,
    /// Where programs are looked for.
    pub path: String,
}

/// The file with the orders.
#[must_use]
pub fn orders(name: Name) -> PathBuf {
    name.data().join("orders.json")
}

/// Runs the components until one ends.
pub fn supervise(name: Name) -> Result<()> {
    let mut running = Vec::new();
    let Err(end) = run(name, &mut running);
    let (component, message) = match end.downcast::<Ended>() {
        Ok(ended) => (ended.component, ended.message),
        Err(error) => ("supervisor".to_owned(), format!("{error:#}")),
    };
    eprintln!("{component}: {message}");
    record::set_phase(name, &Phase::Failed { component, message })
}

/// A component ended that should not have.
#[derive(Debug)]
struct Ended {
    component: String,
    message: String,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.component, self.message)
    }
}

impl std::error::Error for Ended {}

struct Running {
    name: String,
    log: PathBuf,
    child: Child,
}

fn run(name: Name, running: &mut Vec<Running>) -> Result<std::convert::Infallible> {
    let orders: Orders = record::read(&orders(name))?.context("there are no orders")?;
    raise_open_files()?;
    node::enter(name)?;
    network::enter(name)?;
    for component in &orders.components {
        let start = Instant::now();
        running.push(spawn(component, &orders)?);
        if let Some(ready) = &component.ready {
            gate(component, ready, &orders.path, running)?;
        }
        if component.imports {
            record::set_phase(name, &Phase::Importable)?;
        }
        eprintln!("{} started, {:?}", component.name, start.elapsed());
    }
    record::set_phase(name, &Phase::Running)?;
    loop {
        check(running)?;
        std::thread::sleep(LOOK);
    }
}

fn spawn(component: &Component, orders: &Orders) -> Result<Running> {
    let log = orders.logs.join(format!("{}.log", component.name));
    let file = File::create(&log).with_context(|| format!("make {}", log.display()))?;
    let child = command(&component.command, &orders.path)?
        .stdout(file.try_clone().context("open a log")?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("start {}", component.name))?;
    Ok(Running { name: component.name.clone(), log, child })
}

/// Waits until the component is ready; meanwhile none may end.
fn gate(
    component: &Component,
    ready: &[String],
    path: &str,
    running: &mut [Running],
) -> Result<()> {
    let start = Instant::now();
    loop {
        let answer =
            command(ready, path)?.output().with_context(|| format!("ask {}", component.name))?;
        if answer.status.success() {
            return Ok(());
        }
        check(running)?;
        if start.elapsed() > GATE_PATIENCE {
            bail!(
                "{} is not ready after {GATE_PATIENCE:?}: {}",
                component.name,
                String::from_utf8_lossy(&answer.stderr).trim()
            );
        }
        std::thread::sleep(LOOK);
    }
}

fn check(running: &mut [Running]) -> Result<()> {
    for process in running {
        let status =
            process.child.try_wait().with_context(|| format!("look after {}", process.name))?;
        if let Some(status) = status {
            return Err(Ended {
                component: process.name.clone(),
                message: format!(
                    "ended with {status}; the end of {}:\n{}",
                    process.log.display(),
                    tail(&process.log, 20)
                ),
            }
            .into());
        }
    }
    Ok(())
}

fn command(words: &[String], path: &str) -> Result<Command> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    let program = if program.contains('/') {
        PathBuf::from(program)
    } else {
        find(program, path).with_context(|| format!("{program} is not in {path}"))?
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", path).env("HOME", "/root").stdin(Stdio::null());
    Ok(command)
}

fn find(program: &str, path: &str) -> Option<PathBuf> {
    path.split(':')
        .map(|directory| Path::new(directory).join(program))
        .find(|candidate| candidate.exists())
}

/// Components and pods want more open files than a login shell allows.
fn raise_open_files() -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("read the limit of open files")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raise the limit of open files")
}
