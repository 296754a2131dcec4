//! Which hosts and networks a session's pages reach: its class's lists, and its own.

use crds::{BrowserClass, BrowserSessionSpec, Reason};
use egress::{ClassLists, ListError, SessionLists};
use kube::ResourceExt;

use crate::refusal::{Refusal, names_of, refuse};

const ALLOWED_DOMAINS: &str = "spec.allowedDomains";
const PRIVATE_HOSTS: &str = "spec.privateHosts";

pub(crate) fn class_lists(class: &BrowserClass) -> Result<ClassLists, ListError> {
    class.spec.egress.as_ref().map_or_else(|| Ok(ClassLists::default()), ClassLists::parse)
}

pub(crate) fn session_lists(spec: &BrowserSessionSpec) -> Result<SessionLists, Refusal> {
    let domains = spec.allowed_domains.as_deref().unwrap_or_default();
    SessionLists::parse(domains, &spec.private_hosts).or_else(|error| {
        let ListError { field, index, problem } = error;
        let field = if field == "privateHosts" { PRIVATE_HOSTS } else { ALLOWED_DOMAINS };
        refuse(Reason::FieldInvalid, field, format!("[{index}] {problem}"))
    })
}

/// Whether the class lets its sessions open what this one opens.
pub(crate) fn check_private_hosts(
    spec: &BrowserSessionSpec,
    lists: &SessionLists,
    class: &BrowserClass,
) -> Result<(), Refusal> {
    if spec.private_hosts.is_empty() {
        return Ok(());
    }
    let name = class.name_any();
    let open = class.spec.egress.iter().flat_map(|egress| egress.private_networks.clone());
    let not_allowed = |words: String| refuse(Reason::NotAllowed, PRIVATE_HOSTS, words);
    // One that cannot be read was refused before.
    let class_lists = class_lists(class).unwrap_or_default();
    let open = names_of(open);
    if open == "none" {
        return not_allowed(format!(
            "class {name} opens none: its egress.privateNetworks is empty"
        ));
    }
    match lists.closed_host(&class_lists) {
        Some(host) => not_allowed(format!(
            "class {name} opens hosts in {open} (egress.privateNetworks), not {host}"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(class: &Value, spec: Value) -> Result<(), String> {
        let class: BrowserClass = serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass", "metadata": {"name": "c"},
            "spec": {"browserName": "chrome", "versions": [{"version": "156", "image": "i"}], "egress": class},
        }))
        .unwrap();
        let spec: BrowserSessionSpec = serde_json::from_value(spec).unwrap();
        let lists = session_lists(&spec).map_err(|refusal| refusal.message())?;
        check_private_hosts(&spec, &lists, &class).map_err(|refusal| refusal.message())
    }

    #[test]
    fn what_a_session_opens_is_its_classs_to_permit() {
        let open = json!({"privateNetworks": ["10.0.0.0/8", "fd00::/8"]});
        for spec in [
            json!({}),
            json!({"privateHosts": ["10.1.0.0/16", "[fd00::1]", "wiki.corp.example"]}),
            json!({"allowedDomains": ["*.example.com", r".*\.gov"]}),
            json!({"allowedDomains": []}),
        ] {
            assert_eq!(check(&open, spec.clone()), Ok(()), "{spec}");
        }
        for (class, spec, words) in [
            (
                json!(null),
                json!({"privateHosts": ["wiki"]}),
                "spec.privateHosts: class c opens none: its egress.privateNetworks is empty",
            ),
            (
                open.clone(),
                json!({"privateHosts": ["10.0.0.1", "192.168.0.0/16"]}),
                "spec.privateHosts: class c opens hosts in 10.0.0.0/8, fd00::/8 (egress.privateNetworks), not 192.168.0.0/16",
            ),
            (
                open.clone(),
                json!({"privateHosts": ["wiki", "a..b"]}),
                "spec.privateHosts: [1] names no host",
            ),
            (
                open,
                json!({"allowedDomains": ["a.example:0"]}),
                "spec.allowedDomains: [0] has a port",
            ),
        ] {
            let refusal = check(&class, spec).unwrap_err();
            assert!(refusal.starts_with(words), "{refusal}");
        }
    }
}
