//! The addresses of pods that no machine has: an unused part of the cluster's range, made the node's own.

use std::{fs::File, net::Ipv4Addr, os::fd::AsRawFd};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{net::TcpListener, process::Command};

use super::{agent, controller::Controller};

/// How many pods have room in it: two thirds of it, for kwok may lose addresses when it repeats a write.
pub const ROOM: usize = 11_000;

/// The range, while it is the node's own.
pub struct Addresses {
    /// Held open: whoever it was found by may end.
    network: File,
    pub range: String,
}

impl Addresses {
    /// Makes the range the node's own.
    pub async fn start(controller: &Controller) -> Result<Self> {
        let network = controller.network_of_node()?;
        let addresses = Self {
            network: File::open(&network).with_context(|| network.display().to_string())?,
            range: unused_range(controller.ip),
        };
        addresses.ip(&["route", "replace", "local", &addresses.range, "dev", "lo"]).await?;
        Ok(addresses)
    }

    /// Listens where the agents of its pods would, for what comes from the side where that address is.
    pub async fn listen(&self, from: Ipv4Addr) -> Result<TcpListener> {
        let said = self.ip(&["-json", "route", "get", &from.to_string()]).await?;
        let said: Value = serde_json::from_str(&said).context("the route to the controller")?;
        let interface = said[0]["dev"].as_str().with_context(|| said.to_string())?;
        agent::listen(self.network.try_clone()?, interface)
    }

    /// Gives the range up.
    pub async fn end(self) -> Result<()> {
        self.ip(&["route", "delete", "local", &self.range, "dev", "lo"]).await.map(drop)
    }

    async fn ip(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/fd/{}", std::process::id(), self.network.as_raw_fd()))
            .arg("ip")
            .args(arguments)
            .output()
            .await
            .context("run nsenter")?;
        ensure!(
            output.status.success(),
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The second quarter of the 65,536 addresses around a pod's: a node's own pods have the first 256 or so.
fn unused_range(pod: Ipv4Addr) -> String {
    let [first, second, ..] = pod.octets();
    format!("{first}.{second}.64.0/18")
}
