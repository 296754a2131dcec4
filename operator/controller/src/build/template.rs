//! What a class's `podTemplate` adds to its pods. The operator's own fields win, and a template that would replace one that
//! identity or safety needs is refused by name. Pure.

use std::collections::BTreeMap;

use crds::{
    BrowserClass, BrowserSession,
    class::{PodTemplate, Resources},
    names,
};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::ResourceExt;
use serde_json::{Map, Value};

use super::{
    mounts::{SCRATCH_MOUNT, SCRATCH_VOLUME, SHARED_MEMORY_MOUNT, SHARED_MEMORY_VOLUME},
    resources::{ResourceError, check_class, check_template},
};
use crate::pods::BROWSER_CONTAINER;

/// What a template may say of a pod.
const POD_FIELDS: &[&str] = &[
    "affinity",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "hostAliases",
    "hostUsers",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priorityClassName",
    "resourceClaims",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccountName",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];
/// What it may say of the pod's security context; the rest is what confines a browser.
const POD_SECURITY_FIELDS: &[&str] = &[
    "appArmorProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "runAsGroup",
    "runAsUser",
    "seLinuxChangePolicy",
    "seLinuxOptions",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "sysctls",
];
/// What it may say of the browser's container; its resources are the class's `resources`.
const BROWSER_FIELDS: &[&str] = &["name", "env", "envFrom", "securityContext", "volumeMounts"];
/// What it may say of that container's security context.
const BROWSER_SECURITY_FIELDS: &[&str] =
    &["appArmorProfile", "runAsGroup", "runAsUser", "seLinuxOptions"];

/// Why a class's template cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("spec.podTemplate.{path} is the operator's to set; allowed are: {allowed}")]
    Field { path: String, allowed: String },
    #[error("spec.podTemplate.{path}: {name} is the operator's own")]
    Name { path: &'static str, name: String },
    #[error("spec.podTemplate.spec is not what a pod's spec may be: {0}")]
    Malformed(String),
    #[error("spec.podTemplate.{path}: {text:?} is not what a label's key or value may be")]
    Label { path: &'static str, text: String },
    #[error(transparent)]
    Resources(#[from] ResourceError),
}

/// A template that has been checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// The keys of the session's labels that its pod takes over.
    session_labels: Vec<String>,
    spec: PodSpec,
    browser: Option<Container>,
    /// The template says null: whatever admits pods chooses the user, as OpenShift does from a namespace's range.
    no_user: bool,
    no_group: bool,
}

impl Template {
    /// The template of a class.
    ///
    /// # Errors
    /// It would replace what is the operator's, or is no pod's.
    pub fn of(class: &BrowserClass) -> Result<Self, TemplateError> {
        let Resources { requests, limits } = &class.spec.resources;
        check_class(requests, limits)?;
        class.spec.pod_template.as_ref().map_or_else(|| Ok(Self::default()), Self::parse)
    }

    fn parse(template: &PodTemplate) -> Result<Self, TemplateError> {
        let PodTemplate { metadata, session_labels, spec } = template;
        own_keys("metadata.labels", metadata.labels.keys())?;
        own_keys("metadata.annotations", metadata.annotations.keys())?;
        own_keys("sessionLabels", session_labels.iter())?;
        for (key, value) in &metadata.labels {
            label("metadata.labels", key, is_label_key(key))?;
            label("metadata.labels", value, value.is_empty() || is_name(value, 63))?;
        }
        for key in metadata.annotations.keys() {
            label("metadata.annotations", key, is_label_key(key))?;
        }
        for key in session_labels {
            label("sessionLabels", key, is_label_key(key))?;
        }
        let raw = spec.clone().unwrap_or_default();
        check(&raw, "spec", POD_FIELDS)?;
        let security = raw.get("securityContext").and_then(Value::as_object);
        if let Some(security) = security {
            check(security, "spec.securityContext", POD_SECURITY_FIELDS)?;
        }
        let is_null = |field| security.and_then(|all| all.get(field)).is_some_and(Value::is_null);
        let (no_user, no_group) = (is_null("runAsUser"), is_null("runAsGroup"));
        let containers = raw.get("containers").and_then(Value::as_array).into_iter().flatten();
        for container in containers.filter_map(Value::as_object) {
            if container.get("name").and_then(Value::as_str) == Some(BROWSER_CONTAINER) {
                check_browser(container)?;
            }
        }
        let mut spec: PodSpec = serde_json::from_value(Value::Object(raw))
            .map_err(|error| TemplateError::Malformed(error.to_string()))?;
        check_template(&spec)?;
        let position = spec.containers.iter().position(|c| c.name == BROWSER_CONTAINER);
        let browser = position.map(|index| spec.containers.remove(index));
        let ours = [SCRATCH_VOLUME, SHARED_MEMORY_VOLUME];
        own_names("spec.volumes", spec.volumes.iter().flatten().map(|v| &v.name), &ours)?;
        if let Some(browser) = &browser {
            let env = browser.env.iter().flatten().map(|variable| &variable.name);
            own_names("spec.containers.env", env, &["HOME", names::FEATURES_VARIABLE])?;
            let mounts = browser.volume_mounts.iter().flatten().map(|mount| &mount.mount_path);
            let ours = [SCRATCH_MOUNT, SHARED_MEMORY_MOUNT];
            own_names("spec.containers.volumeMounts", mounts, &ours)?;
        }
        Ok(Self {
            labels: metadata.labels.clone(),
            annotations: metadata.annotations.clone(),
            session_labels: session_labels.clone(),
            spec,
            browser,
            no_user,
            no_group,
        })
    }

    /// Adds to a pod what it lacks.
    pub fn apply(&self, pod: &mut Pod) {
        let Self { labels, annotations, session_labels: _, spec, browser, no_user, no_group } =
            self;
        fill_map(pod.labels_mut(), labels);
        if !annotations.is_empty() {
            fill_map(pod.annotations_mut(), annotations);
        }
        let own = pod.spec.get_or_insert_default();
        let PodSpec {
            affinity,
            containers,
            dns_config,
            dns_policy,
            host_aliases,
            host_users,
            image_pull_secrets,
            init_containers,
            node_selector,
            overhead,
            preemption_policy,
            priority_class_name,
            resource_claims,
            runtime_class_name,
            scheduler_name,
            security_context,
            service_account_name,
            tolerations,
            topology_spread_constraints,
            volumes,
            // All others were refused.
            ..
        } = spec.clone();
        own.affinity = own.affinity.take().or(affinity);
        own.dns_config = dns_config;
        own.dns_policy = dns_policy;
        own.host_aliases = host_aliases;
        own.host_users = host_users;
        own.init_containers = init_containers;
        own.overhead = overhead;
        own.preemption_policy = preemption_policy;
        own.priority_class_name = priority_class_name;
        own.resource_claims = resource_claims;
        own.runtime_class_name = runtime_class_name;
        own.scheduler_name = scheduler_name;
        own.service_account_name = service_account_name;
        own.topology_spread_constraints = topology_spread_constraints;
        extend(&mut own.image_pull_secrets, image_pull_secrets);
        extend(&mut own.tolerations, tolerations);
        extend(&mut own.volumes, volumes);
        if let Some(selector) = node_selector {
            fill_map(own.node_selector.get_or_insert_default(), &selector);
        }
        own.containers.extend(containers);
        let ours = own.security_context.get_or_insert_default();
        if *no_user {
            ours.run_as_user = None;
        }
        if *no_group {
            ours.run_as_group = None;
        }
        if let Some(theirs) = security_context {
            ours.app_armor_profile = theirs.app_armor_profile;
            ours.fs_group = theirs.fs_group;
            ours.fs_group_change_policy = theirs.fs_group_change_policy;
            ours.run_as_group = theirs.run_as_group.or(ours.run_as_group);
            ours.run_as_user = theirs.run_as_user.or(ours.run_as_user);
            ours.se_linux_change_policy = theirs.se_linux_change_policy;
            ours.se_linux_options = theirs.se_linux_options;
            ours.supplemental_groups = theirs.supplemental_groups;
            ours.supplemental_groups_policy = theirs.supplemental_groups_policy;
            ours.sysctls = theirs.sysctls;
        }
        let container = own.containers.iter_mut().find(|c| c.name == BROWSER_CONTAINER);
        if let Some((container, theirs)) = container.zip(browser.clone()) {
            extend(&mut container.env, theirs.env);
            extend(&mut container.env_from, theirs.env_from);
            extend(&mut container.volume_mounts, theirs.volume_mounts);
            let ours = container.security_context.get_or_insert_default();
            if let Some(theirs) = theirs.security_context {
                ours.app_armor_profile = theirs.app_armor_profile;
                ours.run_as_group = theirs.run_as_group;
                ours.run_as_user = theirs.run_as_user;
                ours.se_linux_options = theirs.se_linux_options;
            }
        }
    }

    /// The labels that a session's pod takes over from it: only those that the class names, because labels decide which
    /// Services and policies of the namespace select a pod.
    pub fn labels_of(&self, session: &BrowserSession) -> BTreeMap<String, String> {
        let of_session = |key: &String| Some((key.clone(), session.labels().get(key)?.clone()));
        self.session_labels.iter().filter_map(of_session).collect()
    }
}

fn check_browser(container: &Map<String, Value>) -> Result<(), TemplateError> {
    check(container, "spec.containers[browser]", BROWSER_FIELDS)?;
    match container.get("securityContext").and_then(Value::as_object) {
        Some(security) => {
            check(security, "spec.containers[browser].securityContext", BROWSER_SECURITY_FIELDS)
        }
        None => Ok(()),
    }
}

fn check(
    object: &Map<String, Value>,
    path: &str,
    allowed: &'static [&'static str],
) -> Result<(), TemplateError> {
    match object.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(key) => {
            Err(TemplateError::Field { path: format!("{path}.{key}"), allowed: allowed.join(", ") })
        }
        None => Ok(()),
    }
}

fn own_keys<'a>(
    path: &'static str,
    mut keys: impl Iterator<Item = &'a String>,
) -> Result<(), TemplateError> {
    let is_ours = |key: &&String| key.starts_with(names::PREFIX) || *key == names::MANAGED_BY_LABEL;
    match keys.find(is_ours) {
        Some(key) => Err(TemplateError::Name { path, name: key.clone() }),
        None => Ok(()),
    }
}

fn label(path: &'static str, text: &str, is_valid: bool) -> Result<(), TemplateError> {
    if is_valid { Ok(()) } else { Err(TemplateError::Label { path, text: text.to_owned() }) }
}

/// As `validation.IsQualifiedName` of Kubernetes has it.
fn is_label_key(key: &str) -> bool {
    let is_prefix = |prefix: &str| {
        prefix.len() <= 253
            && prefix.split('.').all(|part| {
                is_name(part, 253)
                    && part
                        .chars()
                        .all(|c| c == '-' || c.is_ascii_digit() || c.is_ascii_lowercase())
            })
    };
    match key.split_once('/') {
        Some((prefix, name)) => is_prefix(prefix) && is_name(name, 63),
        None => is_name(key, 63),
    }
}

fn is_name(text: &str, most: usize) -> bool {
    let is_end = |c: char| c.is_ascii_alphanumeric();
    (1..=most).contains(&text.len())
        && text.starts_with(is_end)
        && text.ends_with(is_end)
        && text.chars().all(|c| is_end(c) || matches!(c, '-' | '_' | '.'))
}

fn own_names<'a>(
    path: &'static str,
    mut names: impl Iterator<Item = &'a String>,
    ours: &[&str],
) -> Result<(), TemplateError> {
    match names.find(|name| ours.contains(&name.as_str())) {
        Some(name) => Err(TemplateError::Name { path, name: name.clone() }),
        None => Ok(()),
    }
}

fn fill_map(own: &mut BTreeMap<String, String>, others: &BTreeMap<String, String>) {
    for (key, value) in others {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

fn extend<T>(own: &mut Option<Vec<T>>, others: Option<Vec<T>>) {
    if let Some(others) = others {
        own.get_or_insert_default().extend(others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(template: Value) -> Result<Template, TemplateError> {
        Template::parse(&serde_json::from_value(template).unwrap())
    }

    fn own_pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"labels": {"browser-operator.io/class": "c", "team": "ours"}},
            "spec": {
                "containers": [{
                    "name": "browser", "image": "i", "env": [{"name": "HOME", "value": "/tmp"}],
                    "securityContext": {"readOnlyRootFilesystem": true},
                }],
                "nodeSelector": {"zone": "a"},
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532},
                "volumes": [{"name": "scratch"}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_template_adds_what_clusters_ask_for_and_replaces_nothing_of_ours() {
        let template = template(json!({
            "metadata": {
                "labels": {"team": "theirs", "cost": "7"},
                "annotations": {"karpenter.sh/do-not-disrupt": "true"},
            },
            "spec": {
                "runtimeClassName": "gvisor", "priorityClassName": "low",
                "nodeSelector": {"zone": "b", "disk": "ssd"},
                "securityContext": {"runAsUser": null, "fsGroup": 7},
                "tolerations": [{"key": "browsers"}],
                "volumes": [{"name": "ca"}],
                "containers": [
                    {"name": "browser", "env": [{"name": "LANG", "value": "de"}],
                     "volumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}]},
                    {"name": "proxy", "image": "p"},
                ],
            },
        }))
        .unwrap();
        let mut pod = own_pod();
        template.apply(&mut pod);
        assert_eq!(
            serde_json::to_value(pod).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "labels": {"browser-operator.io/class": "c", "team": "ours", "cost": "7"},
                    "annotations": {"karpenter.sh/do-not-disrupt": "true"},
                },
                "spec": {
                    "containers": [
                        {
                            "name": "browser", "image": "i",
                            "env": [{"name": "HOME", "value": "/tmp"}, {"name": "LANG", "value": "de"}],
                            "securityContext": {"readOnlyRootFilesystem": true},
                            "volumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
                        },
                        {"name": "proxy", "image": "p"},
                    ],
                    "nodeSelector": {"zone": "a", "disk": "ssd"},
                    "priorityClassName": "low", "runtimeClassName": "gvisor",
                    "securityContext": {"runAsNonRoot": true, "runAsGroup": 65532, "fsGroup": 7},
                    "tolerations": [{"key": "browsers"}],
                    "volumes": [{"name": "scratch"}, {"name": "ca"}],
                },
            })
        );
    }

    #[test]
    fn what_identity_and_safety_need_is_refused_by_name() {
        for (given, words) in [
            (
                json!({"metadata": {"labels": {"browser-operator.io/class": "x"}}}),
                "browser-operator.io/class",
            ),
            (json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "x"}}}), "managed-by"),
            (json!({"metadata": {"annotations": {"browser-operator.io/matched": "1"}}}), "matched"),
            (json!({"sessionLabels": ["browser-operator.io/session-uid"]}), "session-uid"),
            (json!({"spec": {"hostNetwork": true}}), "spec.hostNetwork"),
            (json!({"spec": {"restartPolicy": "Always"}}), "spec.restartPolicy"),
            (json!({"spec": {"nodeName": "n"}}), "spec.nodeName"),
            (
                json!({"spec": {"automountServiceAccountToken": true}}),
                "automountServiceAccountToken",
            ),
            (
                json!({"spec": {"securityContext": {"runAsNonRoot": false}}}),
                "securityContext.runAsNonRoot",
            ),
            (
                json!({"spec": {"containers": [{"name": "browser", "command": ["sh"]}]}}),
                "containers[browser].command",
            ),
            (
                json!({"spec": {"containers": [{"name": "browser", "resources": {}}]}}),
                "containers[browser].resources",
            ),
            (
                json!({"spec": {"containers": [{"name": "browser", "securityContext": {"privileged": true}}]}}),
                "securityContext.privileged",
            ),
            (
                json!({"spec": {"containers": [{"name": "browser", "env": [{"name": "HOME"}]}]}}),
                "HOME",
            ),
            (
                json!({"spec": {"containers": [{"name": "browser", "volumeMounts": [{"name": "v", "mountPath": "/tmp"}]}]}}),
                "/tmp",
            ),
            (json!({"spec": {"volumes": [{"name": "scratch"}]}}), "scratch"),
            (json!({"spec": {"tolerations": "all"}}), "not what a pod's spec may be"),
            (json!({"spec": {"runtimeClass": "x"}}), "spec.runtimeClass"),
            (json!({"metadata": {"labels": {"team": "a b"}}}), "metadata.labels: \"a b\""),
            (json!({"metadata": {"labels": {"Team.Example/x": "a"}}}), "metadata.labels"),
            (json!({"metadata": {"annotations": {"a/b/c": "x"}}}), "metadata.annotations"),
            (json!({"sessionLabels": ["-team"]}), "sessionLabels"),
        ] {
            let refusal = template(given.clone()).expect_err(&given.to_string()).to_string();
            assert!(refusal.contains(words), "{refusal}");
        }
    }

    #[test]
    fn a_pod_takes_over_the_labels_that_its_class_names_alone() {
        let template = template(json!({"sessionLabels": ["team"]})).unwrap();
        let session: BrowserSession = serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s", "labels": {"team": "a", "app": "shop"}}, "spec": {},
        }))
        .unwrap();
        assert_eq!(template.labels_of(&session), BTreeMap::from([("team".into(), "a".into())]));
    }
}
