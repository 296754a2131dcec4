//! HAProxy, in the pod of a gateway: the same network, and the same share of the processor.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use e2e::{local::Process, wait::eventually};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

const PROGRAM: &str = "/usr/sbin/haproxy";

/// Without a `policy-rc.d` its service would start.
const INSTALL: &str = r#"
if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
fi
apt-get update --quiet=2
DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends haproxy >&2
"#;

pub struct HaProxy {
    process: Child,
    config: PathBuf,
}

impl HaProxy {
    /// Starts one with a port for each upstream: `(port, host:port)`.
    pub async fn start(
        beside: Process,
        ip: &str,
        threads: usize,
        upstreams: &[(u16, String)],
    ) -> Result<Self> {
        if !Path::new(PROGRAM).exists() {
            println!("install haproxy");
            let status = Command::new("sh").args(["-euc", INSTALL]).status().await?;
            ensure!(status.success(), "install haproxy: {status}");
        }
        let config = std::env::temp_dir().join(format!("haproxy-{}.cfg", std::process::id()));
        std::fs::write(&config, text(ip, threads, upstreams)).context("write its configuration")?;
        // In the foreground, one process.
        let mut command = beside.beside(PROGRAM);
        command.arg("-db").arg("-q").arg("-f").arg(&config).kill_on_drop(true);
        let process = command.spawn().context("start HAProxy")?;
        let started = Self { process, config };
        beside.share_with(started.process.id().context("HAProxy has ended")?)?;
        for (port, _) in upstreams {
            eventually(Duration::from_secs(5), async || {
                Ok(TcpStream::connect((ip, *port)).await.map(drop)?)
            })
            .await
            .context("HAProxy does not listen")?;
        }
        Ok(started)
    }

    pub async fn end(mut self) -> Result<()> {
        self.process.kill().await.context("end HAProxy")?;
        std::fs::remove_file(&self.config).context("remove its configuration")
    }
}

fn text(ip: &str, threads: usize, upstreams: &[(u16, String)]) -> String {
    let mut text = format!(
        "global\n  nbthread {threads}\n  maxconn 4096\n\
         defaults\n  mode http\n  http-reuse always\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
    );
    for (port, upstream) in upstreams {
        text.push_str(&format!(
            "listen on-{port}\n  bind {ip}:{port}\n  server upstream {upstream}\n"
        ));
    }
    text
}
