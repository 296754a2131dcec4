//! Pods that look like a session's and were not made by a controller with this installation's key. They take no place.

use agent_api::installation_key::InstallationKey;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::{
    build::token_argument,
    pods::{BROWSER_CONTAINER, pod_ref},
};

/// In the stores alone, on a pod that somebody else made.
const FORGED: &str = "browser-operator.io/forged";

/// Notes whether this installation made a pod: nobody else knows the hash of its token.
pub fn mark(pod: &mut Pod, key: &InstallationKey) {
    let argument = token_argument(&key.pod_token(&pod_ref(pod)).hash());
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let is_ours = containers
        .filter(|container| container.name == BROWSER_CONTAINER)
        .any(|container| container.args.iter().flatten().any(|arg| *arg == argument));
    if is_ours {
        pod.annotations_mut().remove(FORGED);
    } else {
        pod.annotations_mut().insert(FORGED.to_owned(), String::new());
    }
}

/// Whether somebody else made a pod, which came from the stores.
pub fn is_forged(pod: &Pod) -> bool {
    pod.annotations().contains_key(FORGED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_ours_whose_token_is_its_own() {
        let key = InstallationKey::new(&[7; 32]).unwrap();
        let other = InstallationKey::new(&[8; 32]).unwrap();
        let pod = |name: &str, argument: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "n", "annotations": {FORGED: ""}},
                "spec": {"containers": [{"name": "browser", "args": [argument]}]},
            }))
            .unwrap()
        };
        let own = pod("a", "");
        let argument = token_argument(&key.pod_token(&pod_ref(&own)).hash());
        for (mut pod, key, forged) in [
            (pod("a", &argument), &key, false),
            (pod("b", &argument), &key, true),
            (pod("a", "--token-sha256="), &key, true),
            (pod("a", &argument), &other, true),
        ] {
            mark(&mut pod, key);
            assert_eq!(is_forged(&pod), forged, "{pod:?}");
        }
    }
}
