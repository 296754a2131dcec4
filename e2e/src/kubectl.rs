//! `kubectl`, for what users do with it and for looking into a container.

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// Runs it, and gives what it prints.
pub async fn kubectl(arguments: &[&str]) -> Result<String> {
    let output = Command::new("kubectl")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .context("run kubectl, which must be in PATH")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "kubectl {}: {}{text}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// Runs a shell script in a pod, and gives what it prints.
pub async fn exec(namespace: &str, pod: &str, script: &str) -> Result<String> {
    kubectl(&["--namespace", namespace, "exec", pod, "--", "sh", "-c", script]).await
}
