//! The environment, read once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway, as this machine reaches it; no slash at its end.
    pub gateway_url: String,
    /// A page, as browsers in the cluster reach it; no slash at its end.
    pub site_url: String,
    /// The image of the echo driver, `e2e/driver`; empty where the cluster has none.
    pub echo_image: String,
    /// The image of real proxies, `images/proxies`; empty where the cluster has none.
    pub proxies_image: String,
    /// Whether the cluster's network plugin enforces NetworkPolicies.
    pub enforces_network_policy: bool,
    /// The program that runs the cluster, from `e2e/cluster`; empty where it is another's cluster.
    pub cluster_command: String,
    /// What that program calls it.
    pub cluster_name: String,
    /// How long tests keep the API server away, in seconds.
    pub away_seconds: u64,
}

/// Short, so that every run can afford it; the promise is a minute.
const AWAY_SECONDS: u64 = 20;

const ECHO_IMAGE: &str = "browser-operator.io/echo:dev";
const PROXIES_IMAGE: &str = "browser-operator.io/proxies:dev";

impl Settings {
    pub fn from_environment() -> Result<Self> {
        // kube reads it by itself; without it, it would take whatever cluster the user last worked with.
        required("KUBECONFIG")?;
        let url = |name| Ok::<_, anyhow::Error>(required(name)?.trim_end_matches('/').to_owned());
        Ok(Self {
            gateway_url: url("GATEWAY_URL")?,
            site_url: url("SITE_URL")?,
            echo_image: variable("ECHO_IMAGE").unwrap_or_else(|| ECHO_IMAGE.to_owned()),
            proxies_image: variable("PROXIES_IMAGE").unwrap_or_else(|| PROXIES_IMAGE.to_owned()),
            enforces_network_policy: variable("ENFORCES_NETWORK_POLICY")
                .is_some_and(|value| value == "true"),
            cluster_command: variable("CLUSTER_COMMAND").unwrap_or_default(),
            cluster_name: variable("CLUSTER_NAME").unwrap_or_default(),
            away_seconds: match variable("AWAY_SECONDS") {
                Some(text) => text.parse().with_context(|| format!("AWAY_SECONDS is {text}"))?,
                None => AWAY_SECONDS,
            },
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
