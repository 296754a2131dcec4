//! The supervisor: it starts the components and watches them. If one ends that
//! nobody wanted stopped, it says which and why, and ends; that is the end of the
//! whole cluster. It alone stops components and starts them again.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

use crate::addresses::Plan;
use crate::components::Component;
use crate::network;
use crate::node;
use crate::plan::Name;
use crate::record::{self, Away, How, Phase};
use crate::steps::tail;

const READY_TIMEOUT: Duration = Duration::from_secs(90);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The supervisor's instructions, a file in the cluster's data.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
pub struct Orders {
    pub plan: Plan,
    /// In the order in which they start.
    pub components: Vec<Component>,
    /// The directory of their logs.
    pub logs: PathBuf,
    /// The PATH of their programs.
    pub path: String,
}

#[must_use]
pub fn orders(name: Name) -> PathBuf {
    name.data().join("orders.json")
}

/// Runs the components until one exits without having been told to.
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

/// A component exited without having been told to.
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
    /// The signal that told it to stop.
    told: Option<How>,
}

fn run(name: Name, running: &mut Vec<Running>) -> Result<std::convert::Infallible> {
    let orders: Orders = record::read(&orders(name))?.context("there are no orders")?;
    raise_open_files()?;
    node::enter(name)?;
    network::enter(orders.plan)?;
    for component in &orders.components {
        let start = Instant::now();
        // What an earlier cluster left there is of no use.
        let log = log(component, &orders);
        File::create(&log).with_context(|| format!("make {}", log.display()))?;
        running.push(spawn(component, &orders)?);
        if let Some(ready) = &component.ready {
            gate(component, ready, &orders.path, running)?;
        }
        if component.imports {
            record::set_phase(name, &Phase::Importable)?;
        }
        eprintln!("{} started, {:?}", component.name, start.elapsed());
    }
    let mut stopped = BTreeSet::new();
    record::set_phase(name, &Phase::Running { stopped: stopped.clone() })?;
    loop {
        let away = record::away(name)?;
        let mut now = stopped.clone();
        now.extend(take_away(running, &away)?);
        check(running)?;
        now.retain(|component| away.contains_key(component));
        for component in &orders.components {
            let is_there = running.iter().any(|process| process.name == component.name);
            if !is_there && !now.contains(&component.name) {
                running.push(spawn(component, &orders)?);
                eprintln!("{} started again", component.name);
            }
        }
        if now != stopped {
            stopped = now;
            record::set_phase(name, &Phase::Running { stopped: stopped.clone() })?;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Tells the components to end that are meant to be away. Gives those that have ended since they were told, or would have
/// been told now; they no longer run.
fn take_away(running: &mut Vec<Running>, away: &Away) -> Result<Vec<String>> {
    let mut ended = Vec::new();
    for process in running.iter_mut() {
        let wanted = away.get(&process.name).copied();
        if wanted.or(process.told).is_none() {
            continue;
        }
        let status =
            process.child.try_wait().with_context(|| format!("look after {}", process.name))?;
        if let Some(status) = status {
            eprintln!("{} is stopped, {status}", process.name);
            ended.push(process.name.clone());
        } else if let Some(how) = wanted
            && process.told != wanted
        {
            // It is our child and has not been waited for: the id is its own.
            let pid = i32::try_from(process.child.id()).context("a component's id")?;
            let signal = match how {
                How::Term => Signal::SIGTERM,
                How::Kill => Signal::SIGKILL,
            };
            kill(Pid::from_raw(pid), signal).with_context(|| format!("stop {}", process.name))?;
            process.told = wanted;
        }
    }
    running.retain(|process| !ended.contains(&process.name));
    Ok(ended)
}

fn log(component: &Component, orders: &Orders) -> PathBuf {
    orders.logs.join(format!("{}.log", component.name))
}

/// Starts a component; its output is appended to its log.
fn spawn(component: &Component, orders: &Orders) -> Result<Running> {
    let log = log(component, orders);
    let file = OpenOptions::new()
        .append(true)
        .open(&log)
        .with_context(|| format!("open {}", log.display()))?;
    let child = command(&component.command, &orders.path)?
        .stdout(file.try_clone().context("open a log")?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("start {}", component.name))?;
    Ok(Running { name: component.name.clone(), log, child, told: None })
}

/// Waits until the component is ready; no other may exit meanwhile.
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
        if start.elapsed() > READY_TIMEOUT {
            bail!(
                "{} is not ready after {READY_TIMEOUT:?}: {}",
                component.name,
                String::from_utf8_lossy(&answer.stderr).trim()
            );
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// None may have ended, but for those that were told to: those are seen to by whoever told them.
fn check(running: &mut [Running]) -> Result<()> {
    for process in running.iter_mut().filter(|process| process.told.is_none()) {
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
