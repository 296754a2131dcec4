//! Small pods of a test's own, of the image that has perl beside the proxies (`images/proxies`).

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Namespace, kubectl::exec};

/// A pod with one container, ready once `probe` says so, and a label `app` with its name.
#[must_use]
pub fn pod(name: &str, image: &str, command: &[&str], probe: Value) -> Value {
    let mut probe = probe;
    probe["periodSeconds"] = 1.into();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": name, "image": image, "imagePullPolicy": "IfNotPresent", "command": command,
                "readinessProbe": probe,
                "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                    "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
                },
            }],
        },
    })
}

/// A probe that sees whether somebody listens at a port: `table` is `tcp` or `udp`.
#[must_use]
pub fn listens(table: &str, port: u16) -> Value {
    json!({"exec": {"command": ["grep", "-q", format!(":{port:04X}"), format!("/proc/net/{table}")]}})
}

/// Has a pod send a datagram.
pub async fn send_datagram(
    namespace: &Namespace,
    pod: &str,
    ip: &str,
    port: u16,
    text: &str,
) -> Result<()> {
    let script = format!(
        "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => \"{ip}\", PeerPort => {port}, Proto => \"udp\")->send(\"{text}\")'"
    );
    exec(&namespace.name, pod, &script).await.map(drop)
}
