//! Runs commands in a running cluster's Linux namespaces.

use anyhow::{Context, Result, bail};
use std::process::{Command, ExitCode};

use crate::plan::Name;
use crate::record;

/// The arguments of `nsenter` for all of the cluster's namespaces.
pub fn namespaces(name: Name) -> Result<Vec<String>> {
    let record = record::load(name)?;
    let record = record.with_context(|| format!("cluster {} is not up", name.text()))?;
    if !record.init.alive() {
        bail!("cluster {} is dead", name.text());
    }
    Ok(vec![
        format!("--target={}", record.init.pid),
        "--mount".to_owned(),
        "--net".to_owned(),
        "--pid".to_owned(),
        "--".to_owned(),
    ])
}

/// Runs a command in there, with the caller's terminal.
pub fn exec(name: Name, command: &[String]) -> Result<ExitCode> {
    let status = Command::new("nsenter")
        .args(namespaces(name)?)
        .args(command)
        .status()
        .context("start nsenter")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
