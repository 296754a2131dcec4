//! `spec.proxy`: which way the browser's requests take.

use k8s_openapi::api::core::v1::{LocalObjectReference, SecretKeySelector};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Where the browser's traffic goes: the first rule whose pattern matches a request decides.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Proxy {
    /// The rules, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub rules: Vec<ProxyRule>,

    /// The route of a request that no rule matches. Absent: direct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<ProxyRoute>,
}

/// A route for the requests to some hosts.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyRule {
    /// Which hosts: a name, `*.` and a name for all below it, an IP address, or a regular expression; a scheme before it and a
    /// port behind it narrow it down. Absent: every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub domain_pattern: Option<String>,

    /// The IP address to connect to in place of what the host's name resolves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45))]
    pub resolve: Option<String>,

    /// Headers that requests to these hosts get on their way; the browser never sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub request_headers: Vec<RequestHeader>,

    /// The way that the requests take.
    #[serde(flatten)]
    pub route: ProxyRoute,
}

/// One way to the servers.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyRoute {
    /// What kind of way it is.
    #[serde(rename = "type")]
    pub type_: ProxyType,

    /// The URL of an `external` proxy, with the scheme http, https, socks5 or socks5h, and without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub server: Option<String>,

    /// A Secret of the session's namespace with the `username` and the `password` for an `external` proxy. It needs the
    /// label `browser-operator.io/use: proxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "local_object_reference")]
    pub credentials_secret_ref: Option<LocalObjectReference>,

    /// Accept the certificates of an `external` proxy, and of the servers behind it, whoever signed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_certificate_errors: Option<bool>,

    /// Where a `managed` proxy must be. Absent: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geolocation: Option<Geolocation>,
}

/// The kinds of routes.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyType {
    /// Straight to the server.
    Direct,
    /// Through the proxy in `server`.
    External,
    /// Through one of the cluster's own proxies.
    Managed,
    /// The same as `direct`, in Browserbase's word.
    None,
    /// Not at all: the request fails.
    Block,
}

/// A place on earth.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Geolocation {
    /// The country, two letters (ISO 3166-1 alpha-2).
    #[schemars(length(min = 2, max = 2), regex(pattern = "^[A-Za-z]{2}$"))]
    pub country: String,

    /// A state of the USA, two letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2), regex(pattern = "^[A-Za-z]{2}$"))]
    pub state: Option<String>,

    /// The city's name, with spaces where it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub city: Option<String>,
}

/// A header whose value is a secret.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestHeader {
    /// The header's name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,

    /// The key of a Secret of the session's namespace that has the value. The Secret needs the label
    /// `browser-operator.io/use: proxy`.
    #[schemars(schema_with = "secret_key_selector")]
    pub secret_key_ref: SecretKeySelector,
}

/// Kubernetes' own type, whose schema bounds nothing.
fn local_object_reference(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "required": ["name"],
        "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 253}},
    })
}

/// The same, for one key of a Secret.
fn secret_key_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["key", "name"],
        "properties": {
            "key": {"type": "string", "minLength": 1, "maxLength": 253},
            "name": {"type": "string", "minLength": 1, "maxLength": 253},
            "optional": {"type": "boolean"},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_proxy_is_written_as_it_was_read() {
        let written = json!({
            "rules": [
                {
                    "domainPattern": "*.example.com",
                    "type": "external",
                    "server": "http://proxy:3128",
                    "credentialsSecretRef": {"name": "p"},
                    "ignoreCertificateErrors": true,
                },
                {"domainPattern": ".*\\.gov", "type": "managed", "geolocation": {"country": "US", "state": "NY", "city": "New York"}},
                {"domainPattern": "ads.example", "type": "block"},
                {
                    "domainPattern": "api.example",
                    "type": "direct",
                    "resolve": "192.0.2.1",
                    "requestHeaders": [{"name": "x-key", "secretKeyRef": {"name": "s", "key": "k"}}],
                },
            ],
            "default": {"type": "none"},
        });
        let proxy: Proxy = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(proxy.rules[0].route.type_, ProxyType::External);
        assert_eq!(serde_json::to_value(proxy).unwrap(), written);
    }
}
