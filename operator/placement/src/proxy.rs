//! Where a session's requests go: `spec.proxy`, or WebDriver's `proxy`.

use std::collections::{BTreeMap, BTreeSet};

use crds::{
    BrowserSessionSpec, Reason,
    proxy::{Proxy, ProxyRoute, ProxyRule, ProxyType},
};
use egress::{Credentials, RouteSpec, Routes, RoutesSpec, RuleSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use webdriver::capabilities::CapabilitySet;

use crate::{
    fields::CAPABILITIES,
    refusal::{Refusal, refuse},
};

const FIELD: &str = "spec.proxy";
/// WebDriver's own.
const CAPABILITY: &str = "proxy";

/// What the proxies of a session's rules know it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyCredentials {
    /// By the name of the Secret of the session's namespace.
    pub secrets: BTreeMap<String, Credentials>,
    /// By the key that routes have.
    pub brought: BroughtCredentials,
}

/// The credentials that a call of a REST API brought for the proxies of its session, by the key that their routes have.
pub type BroughtCredentials = BTreeMap<String, Brought>;

/// The credentials for one server alone: whoever may change a session's rules must not have them sent to another.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Brought {
    pub server: String,
    pub credentials: Credentials,
}

fn all_routes(spec: &BrowserSessionSpec) -> impl Iterator<Item = &ProxyRoute> {
    let proxy = spec.proxy.iter();
    proxy.flat_map(|Proxy { rules, default }| rules.iter().map(|rule| &rule.route).chain(default))
}

/// The Secrets that a session's rules name.
#[must_use]
pub fn credentials_secrets(spec: &BrowserSessionSpec) -> BTreeSet<&str> {
    all_routes(spec)
        .filter_map(|route| Some(route.credentials_secret_ref.as_ref()?.name.as_str()))
        .collect()
}

/// Whether a session's rules ask for credentials that a call brought.
#[must_use]
pub fn has_brought(spec: &BrowserSessionSpec) -> bool {
    all_routes(spec).any(|route| route.credentials_key.is_some())
}

/// Whether every key of a session's rules has credentials for its server.
///
/// # Errors
/// One has none.
pub fn check_brought(
    spec: &BrowserSessionSpec,
    brought: &BroughtCredentials,
) -> Result<(), Refusal> {
    for route in all_routes(spec) {
        let Some(key) = &route.credentials_key else { continue };
        let server = brought.get(key).map(|brought| brought.server.as_str());
        if server.is_none() || server != route.server.as_deref() {
            let words = format!("credentialsKey {key}: no credentials were brought for its server");
            return refuse(Reason::SecretUnusable, FIELD, words);
        }
    }
    Ok(())
}

/// Whether servers behind one of the session's proxies may have any certificate.
pub(crate) fn ignores_certificates(spec: &BrowserSessionSpec) -> bool {
    let Some(Proxy { rules, default }) = &spec.proxy else { return false };
    let mut routes = rules.iter().map(|rule| &rule.route).chain(default);
    routes.any(|route| route.ignore_certificate_errors == Some(true))
}

/// The rules that a session's spec has. A Secret that is not among the `credentials` adds none.
///
/// # Errors
/// What of them is not available in this version.
pub fn routes(
    spec: &BrowserSessionSpec,
    credentials: &ProxyCredentials,
) -> Result<RoutesSpec, Refusal> {
    let Some(Proxy { rules, default }) = &spec.proxy else { return Ok(RoutesSpec::default()) };
    let rules = rules.iter().enumerate().map(|(index, rule)| {
        let ProxyRule { domain_pattern, resolve, request_headers, route } = rule;
        let name = format!("rules[{index}]");
        if !request_headers.is_empty() {
            return unavailable(&name, "requestHeaders");
        }
        Ok(RuleSpec {
            domain_pattern: domain_pattern.clone(),
            resolve: resolve.clone(),
            route: route_of(route, &name, credentials)?,
        })
    });
    let rules = rules.collect::<Result<_, _>>()?;
    let default =
        default.as_ref().map(|route| route_of(route, "default", credentials)).transpose()?;
    Ok(RoutesSpec { rules, default })
}

fn route_of(
    route: &ProxyRoute,
    name: &str,
    credentials: &ProxyCredentials,
) -> Result<RouteSpec, Refusal> {
    let ProxyRoute {
        type_,
        server,
        credentials_secret_ref,
        credentials_key,
        ignore_certificate_errors,
        geolocation,
    } = route;
    if geolocation.is_some() {
        return unavailable(name, "geolocation");
    }
    let ignore_certificate_errors = *ignore_certificate_errors == Some(true);
    let invalid = |words: &str| refuse(Reason::FieldInvalid, FIELD, format!("{name}.{words}"));
    let secret = credentials_secret_ref.as_ref().map(|secret| secret.name.as_str());
    if *type_ != ProxyType::External && secret.is_some() {
        return invalid("credentialsSecretRef is for routes of type external alone");
    }
    if *type_ != ProxyType::External && ignore_certificate_errors {
        return invalid("ignoreCertificateErrors is for routes of type external alone");
    }
    if credentials_key.is_some() && (*type_ != ProxyType::External || secret.is_some()) {
        return invalid(
            "credentialsKey is for routes of type external without credentialsSecretRef",
        );
    }
    let of_secret = secret.and_then(|name| credentials.secrets.get(name));
    let of_call = credentials_key.as_ref().and_then(|key| credentials.brought.get(key));
    let of_call = of_call.filter(|brought| Some(&brought.server) == server.as_ref());
    match (type_, server) {
        (ProxyType::External, Some(server)) => Ok(RouteSpec::External {
            server: server.clone(),
            credentials: of_secret.or(of_call.map(|brought| &brought.credentials)).cloned(),
            ignore_certificate_errors,
        }),
        (ProxyType::External, None) => {
            invalid("server is missing: a route of type external has one")
        }
        (_, Some(_)) => invalid("server is for routes of type external alone"),
        (ProxyType::Direct | ProxyType::None, None) => Ok(RouteSpec::Direct),
        (ProxyType::Block, None) => Ok(RouteSpec::Block),
        (ProxyType::Managed, None) => invalid(
            "type managed is not available in this version; there are: direct, external, none, block",
        ),
    }
}

fn unavailable<T>(name: &str, field: &str) -> Result<T, Refusal> {
    let words = format!("{name}.{field} is not available in this version");
    refuse(Reason::FieldInvalid, FIELD, words)
}

/// Whether rules can be had. `set` is the capabilities that were matched.
///
/// # Errors
/// They mean nothing, or the capability `proxy` says others.
pub fn check_proxy(spec: &BrowserSessionSpec, set: &CapabilitySet) -> Result<(), Refusal> {
    if let Err(error) = Routes::parse(&routes(spec, &ProxyCredentials::default())?) {
        return refuse(Reason::FieldInvalid, FIELD, error.to_string());
    }
    let Some(Value::Object(proxy)) = set.get(CAPABILITY) else { return Ok(()) };
    if spec.proxy.is_some() {
        let words = "the capability proxy says where requests go, too: ask for one of them";
        return refuse(Reason::FieldInvalid, FIELD, words);
    }
    match egress::of_capability(proxy) {
        Ok(_) => Ok(()),
        Err(error) => {
            refuse(Reason::CapabilitiesInvalid, CAPABILITIES, format!("{CAPABILITY}{error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(spec: Value, set: Value) -> Result<(), String> {
        let spec: BrowserSessionSpec = serde_json::from_value(spec).unwrap();
        check_proxy(&spec, set.as_object().unwrap()).map_err(|refusal| refusal.message())
    }

    #[test]
    fn what_can_be_routed_is_taken() {
        let rules = json!([
            {"domainPattern": "*.example.com", "type": "external", "server": "http://proxy:3128"},
            {"type": "external", "server": "https://proxy", "ignoreCertificateErrors": true},
            {"domainPattern": r".*\.gov", "type": "none", "ignoreCertificateErrors": false},
            {"domainPattern": "api.example", "type": "direct", "resolve": "192.0.2.1"},
        ]);
        let spec = json!({"proxy": {"rules": rules, "default": {"type": "block"}}});
        assert_eq!(check(spec.clone(), json!({})), Ok(()));
        let spec: BrowserSessionSpec = serde_json::from_value(spec).unwrap();
        let routes = routes(&spec, &ProxyCredentials::default()).unwrap();
        assert_eq!(routes.rules[2].route, RouteSpec::Direct);
        assert_eq!(routes.default, Some(RouteSpec::Block));
        assert!(
            ignores_certificates(&spec) && !ignores_certificates(&BrowserSessionSpec::default())
        );
        let manual = json!({"proxyType": "manual", "httpProxy": "proxy:3128"});
        assert_eq!(check(json!({}), json!({"proxy": manual})), Ok(()));
    }

    #[test]
    fn a_route_has_the_credentials_of_its_secret_and_no_other() {
        let external = |name: &str| json!({"type": "external", "server": "http://p", "credentialsSecretRef": {"name": name}});
        let spec = json!({"proxy": {"rules": [external("a"), external("b"), external("a")], "default": external("c")}});
        assert_eq!(check(spec.clone(), json!({})), Ok(()));
        let spec: BrowserSessionSpec = serde_json::from_value(spec).unwrap();
        assert_eq!(credentials_secrets(&spec), BTreeSet::from(["a", "b", "c"]));
        let of_b = Credentials::new("u".to_owned(), "p".to_owned()).unwrap();
        let secrets = [("b".to_owned(), of_b.clone())].into();
        let known = ProxyCredentials { secrets, ..Default::default() };
        let routes = routes(&spec, &known).unwrap();
        let found = routes.rules.into_iter().map(|rule| match rule.route {
            RouteSpec::External { credentials, .. } => credentials,
            _ => None,
        });
        assert_eq!(Vec::from_iter(found), [None, Some(of_b), None]);
    }

    #[test]
    fn what_a_call_brought_is_for_its_own_server_alone() {
        let external = |server: &str, key: &str| json!({"type": "external", "server": server, "credentialsKey": key});
        let credentials = Credentials::new("u".to_owned(), "p".to_owned()).unwrap();
        let brought = Brought { server: "http://p".to_owned(), credentials: credentials.clone() };
        let known = ProxyCredentials {
            brought: [("0".to_owned(), brought)].into(),
            ..ProxyCredentials::default()
        };
        for (route, is_known) in [
            (external("http://p", "0"), true),
            (external("http://mine", "0"), false),
            (external("http://p", "1"), false),
        ] {
            let spec = json!({"proxy": {"default": route}});
            assert_eq!(check(spec.clone(), json!({})), Ok(()));
            let spec: BrowserSessionSpec = serde_json::from_value(spec).unwrap();
            assert!(has_brought(&spec));
            assert_eq!(check_brought(&spec, &known.brought).is_ok(), is_known, "{route}");
            let told = is_known.then(|| credentials.clone());
            let server = route["server"].as_str().unwrap().to_owned();
            let expected =
                RouteSpec::External { server, credentials: told, ignore_certificate_errors: false };
            assert_eq!(routes(&spec, &known).unwrap().default, Some(expected));
        }
    }

    #[test]
    fn what_cannot_be_routed_is_named() {
        let rule = |rule: Value| json!({"proxy": {"rules": [{"type": "direct"}, rule]}});
        let external = |server: &str| rule(json!({"type": "external", "server": server}));
        let direct = json!({"type": "direct"});
        for (spec, set, words) in [
            (external("ftp://p"), json!({}), "spec.proxy: rules[1].server must be a URL"),
            (external("http://p:0"), json!({}), "spec.proxy: rules[1].server has a port"),
            (
                external("http://a\r\nb:c@p"),
                json!({}),
                "spec.proxy: rules[1].server has credentials",
            ),
            (
                rule(json!({"type": "external"})),
                json!({}),
                "spec.proxy: rules[1].server is missing",
            ),
            (
                rule(json!({"type": "block", "server": "http://p"})),
                json!({}),
                "spec.proxy: rules[1].server is for",
            ),
            (rule(json!({"type": "managed"})), json!({}), "spec.proxy: rules[1].type managed"),
            (
                rule(json!({"type": "direct", "ignoreCertificateErrors": true})),
                json!({}),
                "spec.proxy: rules[1].ignoreCertificateErrors is for routes of type external",
            ),
            (
                rule(json!({"type": "block", "credentialsSecretRef": {"name": "s"}})),
                json!({}),
                "spec.proxy: rules[1].credentialsSecretRef is for routes of type external",
            ),
            (
                rule(json!({"type": "block", "credentialsKey": "0"})),
                json!({}),
                "spec.proxy: rules[1].credentialsKey is for routes of type external",
            ),
            (
                rule(
                    json!({"type": "direct", "requestHeaders": [{"name": "a", "secretKeyRef": {"name": "s", "key": "k"}}]}),
                ),
                json!({}),
                "spec.proxy: rules[1].requestHeaders is not available",
            ),
            (
                rule(json!({"type": "direct", "domainPattern": "a..b"})),
                json!({}),
                "spec.proxy: rules[1].domainPattern names no host",
            ),
            (
                json!({"proxy": {"rules": vec![direct; 129]}}),
                json!({}),
                "spec.proxy: rules has 129",
            ),
            (
                json!({"proxy": {"default": {"type": "external", "server": "p"}}}),
                json!({}),
                "spec.proxy: default.server must be a URL",
            ),
            (
                json!({"proxy": {"rules": []}}),
                json!({"proxy": {"proxyType": "system"}}),
                "spec.proxy: the capability proxy says",
            ),
            (
                json!({}),
                json!({"proxy": {"proxyType": "pac", "proxyAutoconfigUrl": "http://a/"}}),
                "spec.capabilities: proxy.proxyType pac is not available",
            ),
        ] {
            let refusal = check(spec.clone(), set.clone()).unwrap_err();
            assert!(refusal.starts_with(words), "{spec} {set}: {refusal}");
        }
    }
}
