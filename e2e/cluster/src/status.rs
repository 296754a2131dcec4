//! What a cluster is doing.

use anyhow::Result;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use crate::addresses::Plan;
use crate::boot;
use crate::plan::Name;
use crate::record::{self, Phase};

pub fn status(name: Name) -> Result<ExitCode> {
    let Some(record) = record::load(name)? else {
        println!("cluster {}: down", name.text());
        return Ok(ExitCode::FAILURE);
    };
    let healthy = boot::still_up(name);
    let stopped = match record::phase(name)? {
        Some(Phase::Running { stopped }) => stopped,
        _ => BTreeSet::new(),
    };
    let mut text = match &healthy {
        Ok(()) if stopped.is_empty() => format!("cluster {}: up\n", name.text()),
        Ok(()) => format!("cluster {}: up, but for what is stopped\n", name.text()),
        Err(error) => format!("cluster {}: failed: {error:#}\n", name.text()),
    };
    for component in &stopped {
        text.push_str(&format!("stopped: {component}\n"));
    }
    let plan = Plan { name, ip_family: record.ip_family, network_policy: true };
    text.push_str(&format!("api server: {}\n", plan.api_url()));
    text.push_str(&format!("first process: {}\n", record.init.pid));
    text.push_str(&format!("booted from: {}\n", record.boot_key));
    text.push_str(&format!("state: {}\n", record.state_dir.display()));
    for (reference, digest) in record::imported(name)? {
        text.push_str(&format!("image: {reference} {digest}\n"));
    }
    // Whoever reads this may stop after the first line.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let whole = healthy.is_ok() && stopped.is_empty();
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
