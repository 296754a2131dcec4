//! The Debian packages that the cluster takes its node programs from.

use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

use crate::settings::Settings;
use crate::steps::{Run, output, step};

/// A program that is looked for, and the package that has it.
const PACKAGES: [(&str, &str); 11] = [
    ("/usr/bin/etcd", "etcd-server"),
    ("/usr/bin/containerd", "containerd"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/sbin/conntrack", "conntrack"),
    ("/usr/sbin/iptables", "iptables"),
    ("/usr/sbin/ipset", "ipset"),
    ("/usr/bin/mmdebstrap", "mmdebstrap"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/bin/nsenter", "util-linux"),
];

/// Without a `policy-rc.d` the packages' services would start on the machine itself.
const INSTALL: &str = r#"
if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
fi
apt-get update && apt-get install --yes --no-install-recommends "$@"
"#;

/// Installs what is missing, and keeps its services from starting.
pub fn install(settings: &Settings) -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| {
            // `/sbin` and `/usr/sbin` may be one or two.
            !Path::new(program).exists() && !Path::new(&program.replace("/usr", "")).exists()
        })
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("missing {}; this is no Debian: install them by hand", missing.join(", "));
    }
    step(&format!("install {}", missing.join(", ")), || {
        let arguments = ["-c", INSTALL, "install"].into_iter().chain(missing.iter().copied());
        Run::new("install packages", &settings.build_log("packages"), "sh")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("PATH", &settings.path)
            .run()
    })
}

/// The versions of what runs on the node; another version is another cluster.
pub fn versions() -> Result<String> {
    output(Command::new("dpkg-query").args([
        "--show",
        "etcd-server",
        "containerd",
        "runc",
        "containernetworking-plugins",
    ]))
}
