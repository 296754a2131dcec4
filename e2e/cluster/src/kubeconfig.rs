//! Kubeconfigs. JSON is YAML, so they are written as JSON.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::addresses::Plan;
use crate::certs;

/// For a component: it names the certificates' files.
#[must_use]
pub fn of_component(plan: Plan, who: &str) -> Value {
    let name = plan.name;
    kubeconfig(
        plan,
        json!({"certificate-authority": certs::certificate(name, "ca")}),
        json!({
            "client-certificate": certs::certificate(name, who),
            "client-key": certs::key(name, who),
        }),
    )
}

/// For the user: it holds the certificates, and may be copied.
pub fn write_admin(plan: Plan, path: &Path) -> Result<()> {
    let name = plan.name;
    let encoded = |path: &str| -> Result<String> {
        Ok(STANDARD.encode(fs::read(path).with_context(|| format!("read {path}"))?))
    };
    let config = kubeconfig(
        plan,
        json!({"certificate-authority-data": encoded(&certs::certificate(name, "ca"))?}),
        json!({
            "client-certificate-data": encoded(&certs::certificate(name, "admin"))?,
            "client-key-data": encoded(&certs::key(name, "admin"))?,
        }),
    );
    let text = serde_json::to_string_pretty(&config).context("write the kubeconfig")?;
    // The file must never be readable to others, not even while it is empty.
    let _ = fs::remove_file(path);
    fs::write(path, "").with_context(|| format!("make {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("close {}", path.display()))?;
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn kubeconfig(plan: Plan, mut cluster: Value, user: Value) -> Value {
    let name = plan.name;
    cluster["server"] = json!(plan.api_url());
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name.node(), "cluster": cluster}],
        "users": [{"name": name.node(), "user": user}],
        "contexts": [{"name": name.node(), "context": {"cluster": name.node(), "user": name.node()}}],
        "current-context": name.node(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::IpFamily;
    use crate::plan::Name;

    #[test]
    fn a_component_calls_the_node_with_its_own_certificate() {
        let plan = Plan { name: Name::Dev, ip_family: IpFamily::Ipv4, network_policy: true };
        let config = of_component(plan, "scheduler");
        assert_eq!(
            config["clusters"][0]["cluster"],
            json!({
                "certificate-authority": "/var/lib/browser-operator/dev/pki/ca.crt",
                "server": "https://10.245.255.2:6443",
            })
        );
        assert_eq!(
            config["users"][0]["user"]["client-key"],
            "/var/lib/browser-operator/dev/pki/scheduler.key"
        );
    }
}
