//! Whether the browser's own sandbox will hold.

use std::process::Stdio;

use tokio::process::Command;

/// Debian's util-linux, which every image of Debian has.
const UNSHARE: &str = "/usr/bin/unshare";

/// Firefox goes on without the better part of its sandbox where user namespaces are forbidden, and says nothing. A class
/// that promises the sandbox must not: the same call is tried first. Gives what is wrong, and what to do about it.
pub async fn problem() -> Option<String> {
    let status = Command::new(UNSHARE)
        .args(["--user", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    match status {
        Ok(status) if status.success() => None,
        Ok(_) => Some(
            "the browser's own sandbox needs user namespaces, which this pod may not make: put the class's \
             seccompProfile on the node, or set the class's sandbox to container"
                .to_owned(),
        ),
        Err(error) => Some(format!("{UNSHARE}: {error}")),
    }
}
