//! What a class allows to whom, beside what its browsers can do.

use std::collections::BTreeMap;

use crds::{BrowserClass, BrowserSessionSpec, Reason, session::DEFAULT_TIMEOUT_SECONDS};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};

use crate::{
    egress_lists::class_lists,
    refusal::{Refusal, names_of, refuse},
    request::{Namespace, Request},
};

/// The label of every namespace, which has its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The hard limit of a session's life in a class. `None`: the class is gone.
#[must_use]
pub fn timeout_seconds(spec: &BrowserSessionSpec, class: Option<&BrowserClass>) -> i32 {
    let ceilings = class.and_then(|class| class.spec.ceilings.as_ref());
    let ceiling = ceilings.and_then(|ceilings| ceilings.timeout_seconds);
    let default = || {
        let default = ceilings.and_then(|ceilings| ceilings.default_timeout_seconds);
        let default = default.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        ceiling.map_or(default, |ceiling| default.min(ceiling))
    };
    spec.timeout_seconds.unwrap_or_else(default)
}

/// Why no session can have this class as it is, whatever it asks for.
#[must_use]
pub fn class_problem(class: &BrowserClass) -> Option<Refusal> {
    let name = class.name_any();
    let problem = |words| Refusal { reason: Reason::NotAllowed, field: "spec.className", words };
    if class.spec.headed {
        let words =
            format!("class {name} has headed: true, which is not available in this version");
        return Some(problem(words));
    }
    let error = class_lists(class).err()?;
    Some(problem(format!("class {name} cannot be used: {error}")))
}

pub(crate) fn check_policy(request: &Request<'_>, class: &BrowserClass) -> Result<(), Refusal> {
    if let Some(problem) = class_problem(class) {
        return Err(problem);
    }
    check_namespace(request.namespace, class)?;
    let (spec, name) = (request.spec, class.name_any());
    let not_allowed = |field, words: String| refuse(Reason::NotAllowed, field, words);
    if let Some(ceilings) = &class.spec.ceilings {
        if let (Some(most), Some(asked)) = (ceilings.timeout_seconds, spec.timeout_seconds)
            && asked > most
        {
            return not_allowed(
                "spec.timeoutSeconds",
                format!("class {name} allows at most {most}, not {asked}"),
            );
        }
        if let Some(most) = ceilings.priority
            && spec.priority > most
        {
            return not_allowed(
                "spec.priority",
                format!("class {name} allows at most {most}, not {}", spec.priority),
            );
        }
    }
    let allowed = &class.spec.expose_types;
    if let Some(expose) = &spec.expose
        && !allowed.contains(&expose.type_)
    {
        let allowed = names_of(allowed.iter().map(|kind| kind.as_str().to_owned()));
        return not_allowed(
            "spec.expose.type",
            format!("class {name} allows: {allowed}; not {}", expose.type_.as_str()),
        );
    }
    Ok(())
}

fn check_namespace(namespace: Namespace<'_>, class: &BrowserClass) -> Result<(), Refusal> {
    let Some(selector) = &class.spec.allowed_namespaces else { return Ok(()) };
    let name = BTreeMap::from([(NAME_LABEL.to_owned(), namespace.name.to_owned())]);
    let labels = namespace.labels.unwrap_or(&name);
    // A selector that cannot be read selects nobody.
    let is_allowed = Selector::try_from(selector.clone()).is_ok_and(|s| s.matches(labels));
    if is_allowed {
        return Ok(());
    }
    refuse(
        Reason::NotAllowed,
        "spec.className",
        format!(
            "class {} is not for namespace {}: its allowedNamespaces do not select it",
            class.name_any(),
            namespace.name
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn class(fields: Value) -> BrowserClass {
        let mut spec =
            json!({"browserName": "chrome", "versions": [{"version": "156", "image": "i"}]});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
            "metadata": {"name": "c"}, "spec": spec,
        }))
        .unwrap()
    }

    fn check(class: &BrowserClass, fields: Value) -> Result<(), Refusal> {
        let labels = BTreeMap::from([
            (NAME_LABEL.to_owned(), "team-a".to_owned()),
            ("tier".to_owned(), "gold".to_owned()),
        ]);
        let spec: BrowserSessionSpec = serde_json::from_value(fields).unwrap();
        let namespace = Namespace { name: "team-a", labels: Some(&labels) };
        check_policy(&Request { spec: &spec, namespace, controller_name: None }, class)
    }

    #[test]
    fn what_is_above_a_ceiling_is_refused_by_its_name() {
        let ceilings = json!({"ceilings": {"timeoutSeconds": 600, "priority": 5}});
        for (of_class, asked, field) in [
            (json!({}), json!({"timeoutSeconds": 86_400, "priority": 1000}), None),
            (ceilings.clone(), json!({"timeoutSeconds": 600, "priority": 5}), None),
            (ceilings.clone(), json!({}), None),
            (ceilings.clone(), json!({"timeoutSeconds": 601}), Some("spec.timeoutSeconds")),
            (ceilings, json!({"priority": 6}), Some("spec.priority")),
            (json!({}), json!({"expose": {}}), None),
            (json!({}), json!({"expose": {"type": "NodePort"}}), Some("spec.expose.type")),
            (json!({"exposeTypes": []}), json!({"expose": {}}), Some("spec.expose.type")),
            (
                json!({"exposeTypes": ["LoadBalancer"]}),
                json!({"expose": {"type": "LoadBalancer"}}),
                None,
            ),
            (json!({"headed": true}), json!({}), Some("spec.className")),
            (json!({"egress": {"deniedNetworks": ["10/8"]}}), json!({}), Some("spec.className")),
        ] {
            let refusal = check(&class(of_class.clone()), asked.clone()).err();
            assert_eq!(refusal.as_ref().map(|r| r.field), field, "{of_class} {asked}");
            assert!(refusal.is_none_or(|refusal| refusal.reason == Reason::NotAllowed));
        }
    }

    #[test]
    fn a_class_is_for_the_namespaces_that_it_selects() {
        for (selector, allowed) in [
            (json!({}), true),
            (json!({"matchLabels": {"tier": "gold"}}), true),
            (json!({"matchLabels": {NAME_LABEL: "team-a"}}), true),
            (json!({"matchLabels": {"tier": "lead"}}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}), true),
            (
                json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}),
                false,
            ),
            (json!({"matchExpressions": [{"key": "tier", "operator": "Nonsense"}]}), false),
        ] {
            let class = class(json!({"allowedNamespaces": selector}));
            assert_eq!(check(&class, json!({})).is_ok(), allowed, "{selector}");
        }
        let spec: BrowserSessionSpec = serde_json::from_value(json!({})).unwrap();
        let namespace = Namespace { name: "team-a", labels: None };
        let unknown = Request { spec: &spec, namespace, controller_name: None };
        let by_name = class(json!({"allowedNamespaces": {"matchLabels": {NAME_LABEL: "team-a"}}}));
        let by_tier = class(json!({"allowedNamespaces": {"matchLabels": {"tier": "gold"}}}));
        assert!(check_policy(&unknown, &by_name).is_ok());
        assert!(check_policy(&unknown, &by_tier).is_err());
    }

    #[test]
    fn a_session_that_names_no_timeout_gets_the_classs() {
        for (ceilings, asked, seconds) in [
            (json!(null), None, 1800),
            (json!(null), Some(60), 60),
            (json!({"timeoutSeconds": 600}), None, 600),
            (json!({"timeoutSeconds": 7200}), None, 1800),
            (json!({"defaultTimeoutSeconds": 3600}), None, 3600),
            (json!({"defaultTimeoutSeconds": 300, "timeoutSeconds": 600}), None, 300),
            (json!({"defaultTimeoutSeconds": 300}), Some(400), 400),
        ] {
            let spec: BrowserSessionSpec =
                serde_json::from_value(json!({"timeoutSeconds": asked})).unwrap();
            let class = class(json!({"ceilings": ceilings}));
            assert_eq!(timeout_seconds(&spec, Some(&class)), seconds, "{ceilings} {asked:?}");
        }
    }
}
