//! The environment, read once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Which cluster to test, and where things are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway, as this machine reaches it; no slash at its end.
    pub gateway_url: String,
    /// A page, as browsers in the cluster reach it; no slash at its end.
    pub site_url: String,
    /// The image of the echo driver, `e2e/driver`; empty where the cluster has none.
    pub echo_image: String,
}

/// Where `e2e/cluster` puts it.
const ECHO_IMAGE: &str = "browser-operator.io/echo:dev";

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// A variable is missing.
    pub fn from_environment() -> Result<Self> {
        // kube reads it by itself; without it, it would take whatever cluster the user last worked with.
        required("KUBECONFIG")?;
        let url = |name| Ok::<_, anyhow::Error>(required(name)?.trim_end_matches('/').to_owned());
        Ok(Self {
            gateway_url: url("GATEWAY_URL")?,
            site_url: url("SITE_URL")?,
            echo_image: variable("ECHO_IMAGE").unwrap_or_else(|| ECHO_IMAGE.to_owned()),
        })
    }
}

/// The root of the repository.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn required(name: &str) -> Result<String> {
    variable(name).filter(|value| !value.is_empty()).with_context(|| {
        format!(
            "{name} is not set: bring a cluster up with `cargo run -p cluster -- up --name test` and source the \
             env file that it names, or set KUBECONFIG, GATEWAY_URL and SITE_URL for a cluster of your own"
        )
    })
}
