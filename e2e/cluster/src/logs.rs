//! Prints the ends of the components' logs.

use anyhow::{Context, Result};
use std::fs;

use crate::plan::Name;
use crate::record;
use crate::steps::tail;

pub fn logs(name: Name, lines: usize, component: Option<&str>) -> Result<()> {
    let record = record::load(name)?;
    let record = record.with_context(|| format!("cluster {} is not up", name.text()))?;
    let directory = record.state_dir.join("logs");
    let mut files: Vec<_> = fs::read_dir(&directory)
        .with_context(|| format!("read {}", directory.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            component.is_none_or(|component| path.file_stem().is_some_and(|stem| stem == component))
        })
        .collect();
    files.sort();
    for file in files {
        println!("==> {} <==\n{}\n", file.display(), tail(&file, lines));
    }
    Ok(())
}
