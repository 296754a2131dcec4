//! Which controller decides about a session: the one whose class it gets. Two releases share a cluster, and each leaves the
//! other's sessions alone.

use std::collections::HashMap;

use crds::{BrowserClass, BrowserSession, names};
use kube::ResourceExt;
use sha2::{Digest, Sha256};

/// The controllers of all classes.
#[derive(Default)]
pub struct ClassOwners {
    by_class: HashMap<String, String>,
    /// The default class's.
    default: Option<String>,
}

impl ClassOwners {
    pub fn new<'a>(classes: impl Iterator<Item = &'a BrowserClass>) -> Self {
        let mut owners = Self::default();
        let mut first = None;
        for class in classes {
            let (name, controller) = (class.name_any(), &class.spec.controller_name);
            let is_default = class.annotations().get(names::DEFAULT_CLASS_ANNOTATION);
            let is_default = is_default.is_some_and(|value| value == "true");
            if is_default && first.as_ref().is_none_or(|first| name < *first) {
                owners.default = Some(controller.clone());
                first = Some(name.clone());
            }
            owners.by_class.insert(name, controller.clone());
        }
        owners
    }

    /// The controller that decides about a session without a pod. What no class says, the controller of the default name
    /// decides.
    pub fn owner(&self, session: &BrowserSession) -> &str {
        let placed = session.status.as_ref().and_then(|status| status.class_name.as_ref());
        let owner = match placed.or(session.spec.class_name.as_ref()) {
            Some(class) => self.by_class.get(class),
            None => self.default.as_ref(),
        };
        owner.map_or(names::CONTROLLER_NAME, |owner| owner)
    }
}

/// The label of a controller's pods. The controller of the default name has none: its pods are those of before.
pub fn controller_label(controller: &str) -> Option<(String, String)> {
    if controller == names::CONTROLLER_NAME {
        return None;
    }
    // A name may be longer than a label's value, and has a slash.
    let value = hex::encode(&Sha256::digest(controller.as_bytes())[..16]);
    Some((names::CONTROLLER_LABEL.to_owned(), value))
}

/// Selects a controller's pods.
pub fn pod_selector(controller: &str) -> String {
    let ours = match controller_label(controller) {
        Some((label, value)) => format!("{label}={value}"),
        None => format!("!{}", names::CONTROLLER_LABEL),
    };
    format!("{}={},{ours}", names::MANAGED_BY_LABEL, names::MANAGED_BY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(name: &str, controller: &str, is_default: bool) -> BrowserClass {
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
            "metadata": {"name": name, "annotations": {
                "browser-operator.io/is-default-class": is_default.to_string(),
            }},
            "spec": {"controllerName": controller, "browserName": "chrome",
                "versions": [{"version": "1", "image": "i"}]},
        }))
        .unwrap()
    }

    fn session(class: Option<&str>, placed: Option<&str>) -> BrowserSession {
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s", "namespace": "n", "uid": "u"},
            "spec": {"className": class}, "status": {"className": placed, "conditions": []},
        }))
        .unwrap()
    }

    #[test]
    fn a_session_is_its_classs_controllers() {
        let (one, other) = (names::CONTROLLER_NAME, "example.com/other");
        let classes = [class("a", one, false), class("b", other, true), class("c", one, true)];
        let owners = ClassOwners::new(classes.iter());
        for (asked, placed, owner) in [
            (Some("a"), None, one),
            (Some("b"), None, other),
            (Some("gone"), None, one),
            // The default class: the first by name, where there are two.
            (None, None, other),
            (None, Some("a"), one),
            (None, Some("gone"), one),
        ] {
            assert_eq!(owners.owner(&session(asked, placed)), owner, "{asked:?} {placed:?}");
        }
        assert_eq!(ClassOwners::default().owner(&session(None, None)), one);
    }

    #[test]
    fn each_controller_selects_its_own_pods() {
        let of = |controller| (controller_label(controller), pod_selector(controller));
        assert_eq!(
            of(names::CONTROLLER_NAME),
            (
                None,
                "app.kubernetes.io/managed-by=browser-operator,!browser-operator.io/controller"
                    .into()
            )
        );
        let (Some((label, value)), selector) = of("example.com/other") else { panic!("no label") };
        assert!(selector.ends_with(&format!(",{label}={value}")), "{selector}");
        assert_eq!(value.len(), 32);
    }
}
