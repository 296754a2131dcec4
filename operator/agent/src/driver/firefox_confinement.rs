//! Whether Firefox is confined in this container. It runs with a weaker sandbox without a warning; a class that promises the
//! sandbox must not.

use std::{io, process::Stdio};

use tokio::process::Command;

/// Debian's util-linux, which every image of Debian has.
const UNSHARE: &str = "/usr/bin/unshare";

/// Why no browser may be started here.
#[derive(Debug, thiserror::Error)]
pub enum ConfinementError {
    #[error("the browser's home: {0}")]
    Home(io::Error),
    #[error(
        "the browser's own sandbox needs user namespaces, which this pod may not make: put the class's \
         seccompProfile on the node, or set the class's sandbox to container"
    )]
    NoUserNamespaces,
    #[error("{UNSHARE}: {0}")]
    Unshare(io::Error),
}

/// Makes a user namespace, as Firefox' sandbox does.
pub async fn check_user_namespaces() -> Result<(), ConfinementError> {
    let status = Command::new(UNSHARE)
        .args(["--user", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(ConfinementError::Unshare)?;
    if status.success() { Ok(()) } else { Err(ConfinementError::NoUserNamespaces) }
}
