//! Whether Firefox is confined in this container. It runs with a weaker sandbox, and loads what a page may have written,
//! without a warning; a class that promises the sandbox must not.

use std::{
    fs::{self, File},
    io,
    path::Path,
    process::Stdio,
};

use tokio::process::Command;

/// The browser's home, and the one place that may be written to.
pub const HOME: &str = "/tmp";
/// Debian's util-linux, which every image of Debian has.
const UNSHARE: &str = "/usr/bin/unshare";
/// Below its home Firefox looks for programs that extensions may start and for libraries that it may load. Files stand where
/// these folders would be, in both of the homes that it knows, so that a page cannot write there.
const BLOCKED: [&str; 6] = [
    ".mozilla/native-messaging-hosts",
    ".mozilla/pkcs11-modules",
    ".mozilla/managed-storage",
    ".config/mozilla/native-messaging-hosts",
    ".config/mozilla/pkcs11-modules",
    ".config/mozilla/managed-storage",
];

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

/// Prepares the home, and tries the sandbox where it is to be used.
pub async fn ensure(browser_sandbox: bool) -> Result<(), ConfinementError> {
    block_folders().map_err(ConfinementError::Home)?;
    if browser_sandbox { check_user_namespaces().await } else { Ok(()) }
}

fn block_folders() -> io::Result<()> {
    for name in BLOCKED {
        let path = Path::new(HOME).join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        File::create(path)?;
    }
    Ok(())
}

/// Makes a user namespace, as Firefox' sandbox does.
async fn check_user_namespaces() -> Result<(), ConfinementError> {
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
