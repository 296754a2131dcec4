//! Stock clients, run as their users run them: the scripts of `examples`.

use std::{fs::File, path::PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::{Namespace, settings::checkout};

/// The folder of the installed clients.
pub async fn installed() -> Result<String> {
    let script = checkout().join("e2e/clients/install.sh");
    let output =
        Command::new(&script).output().await.with_context(|| script.display().to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {said}", script.display());
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn example(name: &str) -> PathBuf {
    checkout().join("examples").join(name)
}

/// A script for the installed Python.
pub async fn python(script: &str) -> Result<Command> {
    let mut command = Command::new(format!("{}/bin/python", installed().await?));
    command.arg(example(script));
    Ok(command)
}

/// A script for Node, which looks for the packages of a script from its standard input where it runs.
pub async fn node(script: &str) -> Result<Command> {
    let mut command = Command::new("node");
    command
        .args(["--input-type=module", "-"])
        .current_dir(installed().await?)
        .stdin(File::open(example(script)).context(script.to_owned())?);
    Ok(command)
}

/// The class of examples/selenium-java, as it was compiled when it was installed.
pub async fn java() -> Result<Command> {
    let target = format!("{}/selenium-java/target", installed().await?);
    let mut command = Command::new("java");
    command.arg("-cp").arg(format!("{target}/classes:{target}/dependency/*")).arg("SeleniumPage");
    Ok(command)
}

/// A program for a script of `e2e/clients/frameworks`. `INSTALLED` stands for the folder of the installed clients.
pub async fn framework(program: &str, arguments: &[&str]) -> Result<Command> {
    let installed = installed().await?;
    let filled = |text: &str| text.replace("INSTALLED", &installed);
    let mut command = Command::new(filled(program));
    command
        .args(arguments.iter().map(|argument| filled(argument)))
        .current_dir(checkout().join("e2e/clients/frameworks"));
    Ok(command)
}

/// Runs a client, which must succeed, and gives what it prints.
pub async fn run(namespace: &Namespace, mut command: Command) -> Result<String> {
    let settings = &namespace.cluster.settings;
    // A client that has a key has it in its URL.
    if command.as_std().get_envs().all(|(name, _)| name != "GATEWAY_URL") {
        command.env("GATEWAY_URL", &settings.gateway_url);
    }
    let output = command
        .env("SITE_URL", &settings.site_url)
        .env("BUILD", &namespace.name)
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("run {:?}", command.as_std().get_program()))?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Not the command, whose environment has keys.
    ensure!(output.status.success(), "the client: {}\n{said}\n{complained}", output.status);
    Ok(said.into_owned())
}

/// What a client prints behind a word.
pub fn printed<'a>(output: &'a str, word: &str) -> Result<&'a str> {
    let line = output.lines().find_map(|line| line.strip_prefix(word));
    Ok(line.with_context(|| format!("no {word:?} in {output}"))?.trim())
}
