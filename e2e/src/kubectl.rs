//! `kubectl`, for what users do with it and for looking into a container.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

/// Returns its output.
pub async fn kubectl(arguments: &[&str]) -> Result<String> {
    kubectl_with(arguments, "").await
}

/// Runs it with a manifest on its standard input (`-f -`), and gives what it prints.
pub async fn kubectl_with(arguments: &[&str], manifest: &str) -> Result<String> {
    let mut running = Command::new("kubectl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("run kubectl, which must be in PATH")?;
    // One that reads nothing may be gone by now: its exit status says so.
    let mut input = running.stdin.take().context("kubectl's input")?;
    let _ = input.write_all(manifest.as_bytes()).await;
    drop(input);
    let output = running.wait_with_output().await.context("kubectl's output")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "kubectl {}: {}{text}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// Runs a shell script in a pod and returns its output.
pub async fn exec(namespace: &str, pod: &str, script: &str) -> Result<String> {
    kubectl(&["--namespace", namespace, "exec", pod, "--", "sh", "-c", script]).await
}

/// Applies a manifest in a namespace.
pub async fn apply(namespace: &str, manifest: &Value) -> Result<()> {
    let arguments = ["--namespace", namespace, "apply", "--filename", "-"];
    kubectl_with(&arguments, &manifest.to_string()).await.map(drop)
}
