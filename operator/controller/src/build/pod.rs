//! The browser's pod: a blueprint, and what belongs to the session that holds it.

use std::collections::BTreeMap;

use agent_api::{PodRef, paths::AGENT_PORT, pod_token::TokenHash};
use crds::{BrowserSession, Sandbox, capabilities::Quantity, class::Resources, names};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, Pod,
        PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile, SecurityContext, Volume,
        VolumeMount,
    },
    apimachinery::pkg::{
        api::resource::Quantity as KubeQuantity,
        apis::meta::v1::{ObjectMeta, OwnerReference},
    },
};
use kube::{Resource, ResourceExt};
use placement::{Placement, timeout_seconds};

use super::{
    blueprint::Blueprint,
    metadata::{MATCHED_ANNOTATION, session_labels},
    mounts::{SCRATCH_MOUNT, SCRATCH_VOLUME, SHARED_MEMORY_MOUNT, SHARED_MEMORY_VOLUME},
    revision::revision,
    template::Template,
};
use crate::{
    pods::{AGENT, BROWSER_CONTAINER},
    session_key::SessionKey,
};

/// The user of a browser's container.
const USER: i64 = 65532;
/// How long an agent may take to end.
const GRACE_SECONDS: i64 = 10;
/// What the kubelet's deadline leaves to the agent's own.
const DEADLINE_SLACK_SECONDS: i64 = 60;

/// What belongs to the session that holds a pod. A cold pod has it from its creation; a pod of a pool gets it by a patch.
#[derive(Clone, Debug)]
pub struct Assignment {
    owner: Option<OwnerReference>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// In seconds from the pod's start: the backstop of the agent's own limits.
    deadline_seconds: i64,
}

impl Assignment {
    #[must_use]
    pub fn new(
        key: &SessionKey,
        session: &BrowserSession,
        placement: &Placement<'_>,
        template: &Template,
    ) -> Self {
        let mut labels = template.labels_of(session);
        labels.extend(session_labels(key));
        if session.spec.expose.is_some() {
            labels.insert(names::EXPOSED_LABEL.to_owned(), "true".to_owned());
        }
        let mut annotations =
            BTreeMap::from([(MATCHED_ANNOTATION.to_owned(), placement.matched.to_string())]);
        if !placement.providers.is_empty() {
            let providers = placement.providers.join(",");
            annotations.insert(names::PROVIDERS_ANNOTATION.to_owned(), providers);
        }
        Self {
            owner: session.controller_owner_ref(&()),
            labels,
            annotations,
            deadline_seconds: i64::from(timeout_seconds(&session.spec, Some(placement.class)))
                + i64::from(placement.class.spec.schedule_timeout_seconds)
                + i64::from(placement.class.spec.start_timeout_seconds)
                + DEADLINE_SLACK_SECONDS,
        }
    }

    /// Gives the pod to the session.
    #[must_use]
    pub fn apply(self, mut pod: Pod) -> Pod {
        let Self { owner, labels, annotations, deadline_seconds } = self;
        pod.metadata.owner_references = owner.map(|owner| vec![owner]);
        pod.labels_mut().extend(labels);
        pod.annotations_mut().extend(annotations);
        pod.spec.get_or_insert_default().active_deadline_seconds = Some(deadline_seconds);
        pod
    }
}

/// A blank pod: it is told what to prepare, but not for whom.
#[must_use]
pub fn pod(pod: &PodRef, blueprint: &Blueprint<'_>, token: &TokenHash) -> Pod {
    let class = &blueprint.class.spec;
    let mut labels = BTreeMap::from([
        (names::MANAGED_BY_LABEL.to_owned(), names::MANAGED_BY.to_owned()),
        (names::CLASS_LABEL.to_owned(), blueprint.class.name_any()),
        (names::CLUSTER_ACCESS_LABEL.to_owned(), class.cluster_access.as_str().to_owned()),
    ]);
    let revision = revision(class, blueprint.version);
    let annotations = BTreeMap::from([(names::CLASS_REVISION_ANNOTATION.to_owned(), revision)]);
    let region = blueprint.region;
    labels.extend(region.map(|region| (names::REGION_LABEL.to_owned(), region.name.clone())));
    let mut built = Pod {
        metadata: ObjectMeta {
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            affinity: region.and_then(|region| region.affinity.clone()),
            automount_service_account_token: Some(false),
            containers: vec![container(blueprint, token)],
            enable_service_links: Some(false),
            hostname: Some(pod.name.clone()),
            image_pull_secrets: (!class.image_pull_secrets.is_empty())
                .then(|| class.image_pull_secrets.clone()),
            node_selector: region
                .filter(|region| !region.node_selector.is_empty())
                .map(|region| region.node_selector.clone()),
            restart_policy: Some("Never".to_owned()),
            security_context: Some(PodSecurityContext {
                run_as_group: Some(USER),
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                seccomp_profile: Some(seccomp(blueprint)),
                ..PodSecurityContext::default()
            }),
            subdomain: Some(names::BROWSERS_SERVICE.to_owned()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            tolerations: region
                .filter(|region| !region.tolerations.is_empty())
                .map(|region| region.tolerations.clone()),
            volumes: Some(vec![
                empty_dir(SCRATCH_VOLUME, None, &class.scratch),
                empty_dir(SHARED_MEMORY_VOLUME, Some("Memory"), &class.shared_memory),
            ]),
            ..PodSpec::default()
        }),
        status: None,
    };
    blueprint.template.apply(&mut built);
    built
}

fn container(blueprint: &Blueprint<'_>, token: &TokenHash) -> Container {
    let class = &blueprint.class.spec;
    let prepare = serde_json::json!(blueprint.prepare()).to_string();
    Container {
        name: BROWSER_CONTAINER.to_owned(),
        image: Some(blueprint.version.image.clone()),
        image_pull_policy: class.image_pull_policy.map(|policy| policy.as_str().to_owned()),
        command: Some(vec![AGENT.to_owned(), "agent".to_owned()]),
        args: Some(vec![
            token_argument(token),
            format!("--prepare={}", escape_expansion(&prepare)),
        ]),
        env: Some(environment(blueprint)),
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
        // The last lines of an agent that could not say why it ended, such as a panic's.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            mount(SCRATCH_VOLUME, SCRATCH_MOUNT),
            mount(SHARED_MEMORY_VOLUME, SHARED_MEMORY_MOUNT),
        ]),
        ..Container::default()
    }
}

/// What tells the agent of its pod's token.
#[must_use]
pub fn token_argument(token: &TokenHash) -> String {
    format!("--token-sha256={}", token.to_hex())
}

fn environment(blueprint: &Blueprint<'_>) -> Vec<EnvVar> {
    let variable = |name: &str, value| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        ..EnvVar::default()
    };
    let mut environment = vec![variable("HOME", SCRATCH_MOUNT.to_owned())];
    if let Some(features) = &blueprint.preparation.features {
        let features = escape_expansion(&serde_json::json!(features).to_string());
        environment.push(variable(names::FEATURES_VARIABLE, features));
    }
    environment
}

/// Kubernetes expands `$(NAME)` in arguments and environment, and `$$` to `$` (Container, `args`).
fn escape_expansion(text: &str) -> String {
    text.replace('$', "$$")
}

fn seccomp(blueprint: &Blueprint<'_>) -> SeccompProfile {
    match blueprint.class.spec.sandbox {
        Sandbox::Browser => SeccompProfile {
            type_: "Localhost".to_owned(),
            localhost_profile: Some(blueprint.class.spec.seccomp_profile.clone()),
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
    use crate::{build::object_name, placing};
    use agent_api::installation_key::InstallationKey;
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
        let key = SessionKey::of_session(&session).unwrap();
        let placement = placing::place(&session, &classes, None).unwrap();
        let name = object_name(&key);
        let revision = revision(&placement.class.spec, placement.version);
        let pod_ref = PodRef::new("team-a", &name);
        let token = InstallationKey::new(&[0; 32]).unwrap().pod_token(&pod_ref).hash();
        let template = Template::default();
        let blueprint = Blueprint::cold(&session.spec, &placement, &template);
        let assignment = Assignment::new(&key, &session, &placement, &template);

        let built = assignment.apply(pod(&pod_ref, &blueprint, &token));
        let built = serde_json::to_value(built).unwrap();

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
                        "browser-operator.io/cluster-access": "namespace",
                        "browser-operator.io/region": "eu",
                    },
                    "annotations": {
                        "browser-operator.io/class-revision": revision,
                        "browser-operator.io/matched": "0",
                    },
                    "ownerReferences": [{
                        "apiVersion": "browser-operator.io/v1alpha1",
                        "kind": "BrowserSession",
                        "name": "checkout",
                        "uid": "uid-1",
                        "controller": true,
                    }],
                },
                "spec": {
                    "activeDeadlineSeconds": 100 + 600 + 60 + 60,
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "hostname": name,
                    "subdomain": "browser-operator-browsers",
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
                        "terminationMessagePolicy": "FallbackToLogsOnError",
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
