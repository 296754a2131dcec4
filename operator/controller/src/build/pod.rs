//! The browser's pod.

use std::collections::BTreeMap;

use agent_api::{
    bind::{AGENT_PORT, Driver, MAX_PREPARED_BYTES, NewSession, OperatingSystem, Prepare},
    token::TokenHash,
};
use crds::{
    BrowserSession, Feature, Features, Sandbox,
    capabilities::Quantity,
    class::{BrowserName, Resources},
    names,
};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, Pod,
        PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile, SecurityContext, Volume,
        VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity as KubeQuantity, apis::meta::v1::ObjectMeta},
};
use kube::{Resource, ResourceExt};
use placement::Placement;
use webdriver::capabilities::{CapabilitySet, for_driver};

use super::{CONTAINER, MATCHED_ANNOTATION, labels, pod_name};
use crate::key::Key;

/// The user of a browser's container.
const USER: i64 = 65532;
/// Where the browser may write.
const SCRATCH: &str = "/tmp";
/// The agent in the class's image.
const AGENT: &str = "/usr/bin/browser-operator";
/// How long an agent may take to end.
const GRACE_SECONDS: i64 = 10;
/// What the kubelet's deadline leaves to the agent's own.
const DEADLINE_SLACK_SECONDS: i64 = 60;

/// A blank pod, which is told what to prepare, but not for whom.
#[must_use]
pub fn pod(
    key: &Key,
    session: &BrowserSession,
    placement: &Placement<'_>,
    token: &TokenHash,
) -> Pod {
    let class = &placement.class.spec;
    let name = pod_name(key);
    let mut labels = labels(key);
    labels.insert(names::CLASS_LABEL.to_owned(), placement.class.name_any());
    if let Some(region) = placement.region {
        labels.insert(names::REGION_LABEL.to_owned(), region.name.clone());
    }
    let mut annotations =
        BTreeMap::from([(MATCHED_ANNOTATION.to_owned(), placement.matched.to_string())]);
    if !placement.providers.is_empty() {
        annotations.insert(names::PROVIDERS_ANNOTATION.to_owned(), placement.providers.join(","));
    }
    let deadline = i64::from(session.spec.timeout_seconds)
        + i64::from(class.start_timeout_seconds)
        + DEADLINE_SLACK_SECONDS;
    Pod {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(key.namespace.clone()),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: session.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            active_deadline_seconds: Some(deadline),
            affinity: placement.region.and_then(|region| region.affinity.clone()),
            automount_service_account_token: Some(false),
            containers: vec![container(session, placement, token)],
            enable_service_links: Some(false),
            hostname: Some(name),
            image_pull_secrets: (!class.image_pull_secrets.is_empty())
                .then(|| class.image_pull_secrets.clone()),
            node_selector: placement
                .region
                .filter(|region| !region.node_selector.is_empty())
                .map(|region| region.node_selector.clone()),
            restart_policy: Some("Never".to_owned()),
            security_context: Some(PodSecurityContext {
                run_as_group: Some(USER),
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                seccomp_profile: Some(seccomp(placement)),
                ..PodSecurityContext::default()
            }),
            subdomain: Some(names::BROWSERS_SERVICE.to_owned()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            tolerations: placement
                .region
                .filter(|region| !region.tolerations.is_empty())
                .map(|region| region.tolerations.clone()),
            volumes: Some(vec![
                empty_dir("scratch", None, &class.scratch),
                empty_dir("shared-memory", Some("Memory"), &class.shared_memory),
            ]),
            ..PodSpec::default()
        }),
        status: None,
    }
}

fn container(session: &BrowserSession, placement: &Placement<'_>, token: &TokenHash) -> Container {
    let class = &placement.class.spec;
    Container {
        name: CONTAINER.to_owned(),
        image: Some(placement.version.image.clone()),
        image_pull_policy: class.image_pull_policy.map(|policy| policy.as_str().to_owned()),
        command: Some(vec![AGENT.to_owned(), "agent".to_owned()]),
        args: Some(vec![
            format!("--token-sha256={}", token.to_hex()),
            format!("--prepare={}", literal(&prepare(session, placement))),
        ]),
        env: Some(environment(session)),
        ports: Some(vec![ContainerPort {
            name: Some("webdriver".to_owned()),
            container_port: AGENT_PORT.into(),
            ..ContainerPort::default()
        }]),
        resources: resources(&class.resources),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![mount("scratch", SCRATCH), mount("shared-memory", "/dev/shm")]),
        ..Container::default()
    }
}

fn environment(session: &BrowserSession) -> Vec<EnvVar> {
    let variable = |name: &str, value| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        ..EnvVar::default()
    };
    let mut environment = vec![variable("HOME", SCRATCH.to_owned())];
    if let Some(features) = &session.spec.features
        && features.asked().next().is_some()
    {
        let solve = features.asked().any(|(feature, _)| feature == Feature::SolveCaptchas);
        let features = Features { solve_captchas: solve, ..features.clone() };
        let features = literal(&serde_json::json!(features).to_string());
        environment.push(variable(names::FEATURES_VARIABLE, features));
    }
    environment
}

/// A text that Kubernetes leaves as it is: in arguments and environment it puts values for `$(NAME)`, and `$` for `$$`.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// What the pod's agent has ready before the bind. What is too large for an argument waits for it.
fn prepare(session: &BrowserSession, placement: &Placement<'_>) -> String {
    let session = new_session(session, placement.capabilities.clone());
    let is_small = serde_json::json!(session).to_string().len() <= MAX_PREPARED_BYTES;
    let prepare = Prepare {
        driver: match placement.class.spec.browser_name {
            BrowserName::Chrome => Driver::Chromedriver,
            BrowserName::Firefox => Driver::Geckodriver,
        },
        browser_sandbox: placement.class.spec.sandbox == Sandbox::Browser,
        session: is_small.then_some(session),
    };
    serde_json::json!(prepare).to_string()
}

/// What the driver is asked for: at first to prepare it, and again at the bind.
#[must_use]
pub fn new_session(session: &BrowserSession, capabilities: CapabilitySet) -> NewSession {
    NewSession {
        capabilities: for_driver(&capabilities),
        parameters: session.spec.new_session_parameters.clone().unwrap_or_default(),
        os: session.spec.os.and_then(|os| match os {
            crds::OperatingSystem::Linux => None,
            crds::OperatingSystem::Windows => Some(OperatingSystem::Windows),
            crds::OperatingSystem::Mac => Some(OperatingSystem::Mac),
            crds::OperatingSystem::Mobile => Some(OperatingSystem::Mobile),
            crds::OperatingSystem::Tablet => Some(OperatingSystem::Tablet),
        }),
    }
}

fn seccomp(placement: &Placement<'_>) -> SeccompProfile {
    match placement.class.spec.sandbox {
        Sandbox::Browser => SeccompProfile {
            type_: "Localhost".to_owned(),
            localhost_profile: Some(placement.class.spec.seccomp_profile.clone()),
        },
        Sandbox::Container => {
            SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }
        }
    }
}

fn resources(resources: &Resources) -> Option<ResourceRequirements> {
    let of = |quantities: &BTreeMap<String, Quantity>| {
        (!quantities.is_empty()).then(|| {
            quantities
                .iter()
                .map(|(name, quantity)| (name.clone(), KubeQuantity::from(quantity.clone())))
                .collect()
        })
    };
    Some(ResourceRequirements {
        requests: of(&resources.requests),
        limits: of(&resources.limits),
        ..ResourceRequirements::default()
    })
    .filter(|resources| *resources != ResourceRequirements::default())
}

fn empty_dir(name: &str, medium: Option<&str>, size: &Quantity) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: medium.map(ToOwned::to_owned),
            size_limit: Some(size.clone().into()),
        }),
        ..Volume::default()
    }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_api::PodRef;
    use agent_api::token::InstallationKey;
    use placement::place;
    use serde_json::json;

    #[test]
    fn a_pod_is_confined_bounded_and_owned() {
        let classes: Vec<crds::BrowserClass> = vec![
            serde_json::from_value(json!({
                "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
                "metadata": {"name": "chromium"},
                "spec": {
                    "browserName": "chrome",
                    "versions": [{"version": "156.0", "image": "example/chromium:156"}],
                    "imagePullPolicy": "IfNotPresent",
                    "resources": {"limits": {"memory": "2Gi", "cpu": 2}},
                    "regions": [{"name": "eu", "nodeSelector": {"zone": "a"}}],
                },
            }))
            .unwrap(),
        ];
        let session: BrowserSession = serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "checkout", "namespace": "team-a", "uid": "uid-1"},
            "spec": {"timeoutSeconds": 100, "capabilities": {"alwaysMatch": {
                "browserName": "chrome", "platformName": "linux", "se:remoteUrl": "x",
            }}},
        }))
        .unwrap();
        let key = Key::of_session(&session).unwrap();
        let placement = place(&session.spec, &classes).unwrap();
        let token = InstallationKey::new(&[0; 32])
            .unwrap()
            .pod_token(&PodRef::new("team-a", pod_name(&key)))
            .hash();

        let built = serde_json::to_value(pod(&key, &session, &placement, &token)).unwrap();

        let name = pod_name(&key);
        assert_eq!(
            built,
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": "team-a",
                    "labels": {
                        "app.kubernetes.io/managed-by": "browser-operator",
                        "browser-operator.io/session-uid": "uid-1",
                        "browser-operator.io/class": "chromium",
                        "browser-operator.io/region": "eu",
                    },
                    "annotations": {"browser-operator.io/matched": "0"},
                    "ownerReferences": [{
                        "apiVersion": "browser-operator.io/v1alpha1",
                        "kind": "BrowserSession",
                        "name": "checkout",
                        "uid": "uid-1",
                        "controller": true,
                    }],
                },
                "spec": {
                    "activeDeadlineSeconds": 100 + 60 + 60,
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "hostname": name,
                    "subdomain": "browsers",
                    "nodeSelector": {"zone": "a"},
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 10,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": 65532,
                        "runAsGroup": 65532,
                        "seccompProfile": {
                            "type": "Localhost",
                            "localhostProfile": "browser-operator/browser.json",
                        },
                    },
                    "containers": [{
                        "name": "browser",
                        "image": "example/chromium:156",
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["/usr/bin/browser-operator", "agent"],
                        "args": [
                            format!("--token-sha256={}", token.to_hex()),
                            "--prepare={\"browserSandbox\":true,\"driver\":\"chromedriver\",\"session\":{\"capabilities\":{\"browserName\":\"chrome\"}}}",
                        ],
                        "env": [{"name": "HOME", "value": "/tmp"}],
                        "ports": [{"name": "webdriver", "containerPort": 4444}],
                        "resources": {"limits": {"memory": "2Gi", "cpu": "2"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": true,
                        },
                        "volumeMounts": [
                            {"name": "scratch", "mountPath": "/tmp"},
                            {"name": "shared-memory", "mountPath": "/dev/shm"},
                        ],
                    }],
                    "volumes": [
                        {"name": "scratch", "emptyDir": {"sizeLimit": "2Gi"}},
                        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
                    ],
                },
            })
        );
    }
}
