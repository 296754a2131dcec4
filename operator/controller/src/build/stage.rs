//! How late each part of a session's spec can be set: at the bind, by a new driver session, by a relaunch of the browser in
//! the running pod, or only by another pod. What a pool's pod can serve follows from it.

use crds::{
    BrowserSessionSpec,
    proxy::{Proxy, ProxyRoute},
};
use serde_json::json;
use webdriver::capabilities::{OWN_PREFIX, SELENIUM_PREFIX};

/// What a pod that is up must do to honour a part of a spec; later ones cost more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Set by the bind, or by nobody in the pod.
    Bind,
    /// A new driver session on the running browser.
    DriverSession,
    /// A new browser in the running pod.
    Relaunch,
    /// Another pod.
    Pod,
}

/// The stage of each part that a spec asks for, by the part's path in the object. What is left at its default is absent.
#[must_use]
pub fn stages(spec: &BrowserSessionSpec) -> Vec<(String, Stage)> {
    let default: BrowserSessionSpec = serde_json::from_value(json!({})).unwrap_or_default();
    // Without `..`: a new field has its stage, or this does not compile.
    let BrowserSessionSpec {
        class_name,
        capabilities,
        new_session_parameters,
        region,
        timeout_seconds,
        idle_timeout_seconds,
        connect_timeout_seconds,
        keep_alive,
        viewport,
        start_url,
        os,
        features,
        ignore_certificate_errors,
        user_metadata,
        ttl_seconds_after_finished,
        expose,
        priority,
        proxy,
        context,
        extensions,
        allowed_domains,
        private_hosts,
        block_ads,
        recording,
        record,
        log,
    } = spec;
    let mut stages: Vec<(String, Stage)> = [
        ("className", class_name.is_some(), Stage::Pod),
        ("newSessionParameters", new_session_parameters.is_some(), Stage::DriverSession),
        ("region", region.is_some(), Stage::Pod),
        ("timeoutSeconds", timeout_seconds.is_some(), Stage::Bind),
        ("idleTimeoutSeconds", *idle_timeout_seconds != default.idle_timeout_seconds, Stage::Bind),
        (
            "connectTimeoutSeconds",
            *connect_timeout_seconds != default.connect_timeout_seconds,
            Stage::Bind,
        ),
        ("keepAlive", keep_alive.is_some(), Stage::Bind),
        ("viewport", viewport.is_some(), Stage::Bind),
        ("startUrl", start_url.is_some(), Stage::Bind),
        // Chrome is told over DevTools, Firefox by preferences of its profile.
        ("os", os.is_some(), Stage::Relaunch),
        // Providers find them in the container's environment.
        ("features", features.is_some(), Stage::Pod),
        ("ignoreCertificateErrors", *ignore_certificate_errors, Stage::DriverSession),
        ("userMetadata", user_metadata.is_some(), Stage::Bind),
        ("ttlSecondsAfterFinished", ttl_seconds_after_finished.is_some(), Stage::Bind),
        ("expose", expose.is_some(), Stage::Bind),
        ("priority", *priority != 0, Stage::Bind),
        ("proxy", proxy.is_some(), proxy_stage(proxy.as_ref())),
        ("context", context.is_some(), Stage::Relaunch),
        ("extensions", extensions.is_some(), Stage::Relaunch),
        ("allowedDomains", allowed_domains.is_some(), Stage::Bind),
        ("privateHosts", !private_hosts.is_empty(), Stage::Bind),
        ("blockAds", *block_ads, Stage::Bind),
        ("recording", recording.is_some(), Stage::Bind),
        ("record", record.is_some(), Stage::Bind),
        ("log", *log, Stage::Bind),
    ]
    .into_iter()
    .filter(|(_, is_asked, _)| *is_asked)
    .map(|(field, _, stage)| (field.to_owned(), stage))
    .collect();
    let sets = capabilities.always_match.iter().chain(capabilities.first_match.iter().flatten());
    for name in sets.flat_map(|set| set.keys()) {
        stages.push((format!("capabilities.{name}"), capability_stage(name)));
    }
    stages
}

/// Rules are the agent's, but a browser that is to accept any certificate is told so when its driver session is made.
fn proxy_stage(proxy: Option<&Proxy>) -> Stage {
    let routes = proxy
        .into_iter()
        .flat_map(|Proxy { rules, default }| rules.iter().map(|rule| &rule.route).chain(default));
    let ignores = |route: &ProxyRoute| route.ignore_certificate_errors == Some(true);
    if routes.into_iter().any(ignores) { Stage::DriverSession } else { Stage::Bind }
}

/// The stage of a capability.
#[must_use]
pub fn capability_stage(name: &str) -> Stage {
    match name {
        "browserName" | "browserVersion" | "platformName" => Stage::Pod,
        "proxy" | "timeouts" => Stage::Bind,
        "acceptInsecureCerts"
        | "pageLoadStrategy"
        | "strictFileInteractability"
        | "unhandledPromptBehavior"
        | "webSocketUrl" => Stage::DriverSession,
        // Selenium's are between its client and its server; ours are fields of the spec.
        name if name.starts_with(SELENIUM_PREFIX) || name.starts_with(OWN_PREFIX) => Stage::Bind,
        // Every vendor's options are the browser's arguments, preferences and profile.
        _ => Stage::Relaunch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::CustomResourceExt;
    use serde_json::Value;

    #[test]
    fn every_field_of_the_spec_has_its_stage() {
        let asked: BrowserSessionSpec = serde_json::from_value(json!({
            "className": "c", "capabilities": {"alwaysMatch": {"pageLoadStrategy": "none"}},
            "newSessionParameters": {"a": 1}, "region": "r", "timeoutSeconds": 1,
            "idleTimeoutSeconds": 1, "connectTimeoutSeconds": 1, "keepAlive": true,
            "viewport": {"width": 800, "height": 600}, "startUrl": "about:blank", "os": "mac",
            "features": {}, "ignoreCertificateErrors": true, "userMetadata": {},
            "ttlSecondsAfterFinished": 1, "expose": {}, "priority": 1,
            "proxy": {"rules": [{"type": "direct"}]}, "context": {"name": "c"}, "extensions": [],
            "allowedDomains": [], "privateHosts": ["a"], "blockAds": true, "record": false, "recording": {"mode": "never"}, "log": true,
        }))
        .unwrap();
        let mut found: Vec<String> = stages(&asked)
            .into_iter()
            .map(|(path, _)| path.split('.').next().unwrap_or_default().to_owned())
            .collect();
        found.sort();
        let schema = json!(crds::BrowserSession::crd());
        let spec =
            &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let Value::Object(fields) = &spec["properties"] else { panic!("the spec has fields") };
        let mut fields: Vec<String> = fields.keys().cloned().collect();
        fields.sort();
        assert_eq!(found, fields);
        assert_eq!(
            stages(&serde_json::from_value(json!({})).unwrap()),
            [("capabilities.webSocketUrl".to_owned(), Stage::DriverSession,)]
        );
    }
}
