//! `browser-operator crd`.

use std::{fs, path::PathBuf};

use anyhow::Context;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A folder to write a file for each definition into. Absent: all of them to standard output.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Writes the CustomResourceDefinitions as YAML.
pub fn run(args: &Args) -> anyhow::Result<()> {
    for (file, yaml) in crds::definitions::files()? {
        match &args.out {
            Some(folder) => {
                let path = folder.join(file);
                fs::write(&path, yaml).with_context(|| format!("write {}", path.display()))?;
            }
            None => print!("---\n{yaml}"),
        }
    }
    Ok(())
}
