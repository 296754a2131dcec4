//! Components are taken away and brought back. The order is a file, and the supervisor, whose children they are, is the
//! only one that stops and starts them: so what ends by order and what ends by itself are never mistaken for each other.

use anyhow::{Context, Result, bail, ensure};
use std::process::Command;
use std::time::Duration;

use crate::boot::still_up;
use crate::components::Component;
use crate::enter;
use crate::plan::Name;
use crate::record::{self, How, Phase};
use crate::steps::{output, wait_for};
use crate::supervise::{self, Orders};

/// The API server is slow to stop and to start.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Stops a component; returns when it has exited.
pub fn stop(name: Name, component: &str, how: How) -> Result<()> {
    let _lock = record::lock(name)?;
    find(name, component)?;
    let mut away = record::away(name)?;
    away.insert(component.to_owned(), how);
    record::set_away(name, &away)?;
    wait(name, component, true)
}

/// Starts a component again; returns when it is ready.
pub fn start(name: Name, component: &str) -> Result<()> {
    let _lock = record::lock(name)?;
    let (found, path) = find(name, component)?;
    let mut away = record::away(name)?;
    away.remove(component);
    record::set_away(name, &away)?;
    wait(name, component, false)?;
    let Some(ready) = found.ready else { return Ok(()) };
    let inside = enter::namespaces(name)?;
    wait_while_up(name, &format!("{component} to be ready"), || {
        output(Command::new("nsenter").args(&inside).args(&ready).env("PATH", &path)).map(drop)
    })
}

/// A component of a running cluster, and the PATH of its programs.
fn find(name: Name, component: &str) -> Result<(Component, String)> {
    still_up(name)?;
    if !matches!(record::phase(name)?, Some(Phase::Running { .. })) {
        bail!("cluster {} is still on its way up", name.text());
    }
    let orders: Orders =
        record::read(&supervise::orders(name))?.context("the cluster has no orders")?;
    let all: Vec<String> = orders.components.iter().map(|known| known.name.clone()).collect();
    let found = orders.components.into_iter().find(|known| known.name == component);
    let found = found.with_context(|| format!("no component {component}: use one of {all:?}"))?;
    Ok((found, orders.path))
}

fn wait(name: Name, component: &str, stopped: bool) -> Result<()> {
    let what = if stopped { "stopped" } else { "started" };
    wait_while_up(name, &format!("{component} to be {what}"), || {
        let Some(Phase::Running { stopped: away }) = record::phase(name)? else {
            bail!("cluster {} does not run", name.text());
        };
        ensure!(away.contains(component) == stopped, "{component} is not {what}");
        Ok(())
    })
}

/// Waits, and fails at once if the cluster has died.
fn wait_while_up(name: Name, what: &str, there: impl Fn() -> Result<()>) -> Result<()> {
    let mut end = Ok(());
    wait_for(what, TIMEOUT, || {
        end = still_up(name);
        if end.is_err() { Ok(()) } else { there() }
    })?;
    end
}
