//! Where a session's requests go: `spec.proxy`, or WebDriver's `proxy`.

use std::collections::{BTreeMap, BTreeSet};

use crds::{
    BrowserSessionSpec, Reason,
    proxy::{Proxy, ProxyRoute, ProxyRule, ProxyType},
};
use egress::{Credentials, RouteSpec, Routes, RoutesSpec, RuleSpec};
use serde_json::Value;
use webdriver::capabilities::CapabilitySet;

use crate::{
    fields::CAPABILITIES,
    refusal::{Refusal, refuse},
};

const FIELD: &str = "spec.proxy";
/// WebDriver's own.
const CAPABILITY: &str = "proxy";

/// The credentials of proxies, by the name of the Secret that has them.
pub type ProxyCredentials = BTreeMap<String, Credentials>;

/// The Secrets that a session's rules name.
#[must_use]
pub fn credentials_secrets(spec: &BrowserSessionSpec) -> BTreeSet<&str> {
    let proxy = spec.proxy.iter();
    let routes = proxy
        .flat_map(|Proxy { rules, default }| rules.iter().map(|rule| &rule.route).chain(default));
    routes.filter_map(|route| Some(route.credentials_secret_ref.as_ref()?.name.as_str())).collect()
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
    match (type_, server) {
        (ProxyType::External, Some(server)) => Ok(RouteSpec::External {
            server: server.clone(),
            credentials: secret.and_then(|name| credentials.get(name).cloned()),
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
    if let Err(error) = Routes::parse(&routes(spec, &ProxyCredentials::new())?) {
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
        let routes = routes(&spec, &ProxyCredentials::new()).unwrap();
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
        let routes = routes(&spec, &[("b".to_owned(), of_b.clone())].into()).unwrap();
        let found = routes.rules.into_iter().map(|rule| match rule.route {
            RouteSpec::External { credentials, .. } => credentials,
            _ => None,
        });
        assert_eq!(Vec::from_iter(found), [None, Some(of_b), None]);
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
