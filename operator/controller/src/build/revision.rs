//! Which pods a class makes, as a hash: where it is the same, so is what was seen of them.

use crds::{BrowserClassSpec, BrowserVersion};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The bytes of the hash that are kept.
const BYTES: usize = 6;

/// The revision of one of a class's versions. It changes with all that decides whether a browser starts, and with nothing else.
#[must_use]
pub fn revision(spec: &BrowserClassSpec, version: &BrowserVersion) -> String {
    // Without `..`: a new field belongs to a pod or not, or this does not compile.
    let BrowserClassSpec {
        controller_name: _,
        browser_name,
        platform_name: _,
        driver: _,
        versions: _,
        matching: _,
        vendor_options: _,
        headed: _,
        image_pull_policy,
        image_pull_secrets,
        cluster_access: _,
        egress: _,
        sandbox,
        seccomp_profile,
        resources,
        shared_memory,
        scratch,
        regions,
        default_region: _,
        operating_systems: _,
        providers: _,
        capacity: _,
        start_timeout_seconds,
        schedule_timeout_seconds,
        pod_template,
        expose_types: _,
        ceilings: _,
        allowed_namespaces: _,
    } = spec;
    let pod = json!([
        version.image,
        browser_name,
        spec.driver(),
        image_pull_policy,
        image_pull_secrets,
        sandbox,
        seccomp_profile,
        resources,
        shared_memory,
        scratch,
        regions,
        start_timeout_seconds,
        schedule_timeout_seconds,
        pod_template,
    ]);
    hex::encode(&Sha256::digest(pod.to_string())[..BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn of(fields: Value) -> String {
        let mut spec = json!({"browserName": "chrome",
            "versions": [{"version": "1", "image": "i"}, {"version": "2", "image": "j"}]});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let spec: BrowserClassSpec = serde_json::from_value(spec).unwrap();
        revision(&spec, &spec.versions[0])
    }

    #[test]
    fn a_revision_changes_with_what_pods_are_made_of_and_with_nothing_else() {
        let now = of(json!({}));
        for same in [
            json!({"driver": "chromedriver"}),
            json!({"capacity": 5}),
            json!({"ceilings": {"priority": 1}}),
            json!({"versions": [{"version": "9", "image": "i"}, {"version": "8", "image": "k"}]}),
        ] {
            assert_eq!(of(same.clone()), now, "{same}");
        }
        for other in [
            json!({"versions": [{"version": "1", "image": "k"}]}),
            json!({"resources": {"limits": {"memory": "1Gi"}}}),
            json!({"imagePullSecrets": [{"name": "s"}]}),
            json!({"seccompProfile": "other.json"}),
            json!({"podTemplate": {"spec": {"runtimeClassName": "gvisor"}}}),
        ] {
            assert_ne!(of(other.clone()), now, "{other}");
        }
    }
}
