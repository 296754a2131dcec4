//! `spec.proxy`: the routes of the browser's requests.

use k8s_openapi::api::core::v1::{LocalObjectReference, SecretKeySelector};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::schema::{LINE, WORD};

/// The routes of the browser's requests. The first rule whose pattern matches a request decides.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Proxy {
    /// Tried in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub rules: Vec<ProxyRule>,

    /// The route of requests that no rule matches. Absent: direct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<ProxyRoute>,
}

/// A route for requests to certain hosts.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyRule {
    /// The hosts: `*`, a name, `*.` and a name for all its subdomains, an IP address, a network, or a regular expression that matches
    /// the whole host; optionally with `http://` or `https://` before it and a port behind it. Absent: every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = WORD))]
    pub domain_pattern: Option<String>,

    /// The IP address to use for these hosts, instead of resolving their names. Direct routes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45), regex(pattern = "^[0-9A-Fa-f:.]+$"))]
    pub resolve: Option<String>,

    /// Headers to add to requests to these hosts. The browser never sees their values. Refused in this version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub request_headers: Vec<RequestHeader>,

    /// How these requests reach their servers.
    #[serde(flatten)]
    pub route: ProxyRoute,
}

/// How requests reach their servers.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyRoute {
    /// The kind of route.
    #[serde(rename = "type")]
    pub type_: ProxyType,

    /// The URL of an `external` proxy. Schemes: http, https (TLS to the proxy), socks5 (names are resolved in the pod), socks5h (by
    /// the proxy). Without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = WORD))]
    pub server: Option<String>,

    /// A Secret in the session's namespace with the keys `username` and `password` for an `external` proxy. It must have the
    /// label `browser-operator.io/use: proxy`, and the namespace must let the operator read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "local_object_reference")]
    pub credentials_secret_ref: Option<LocalObjectReference>,

    /// Which of the credentials that a call of a REST API brought for this `external` proxy. They are kept in the operator's
    /// namespace as long as the session lives. The gateway sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), regex(pattern = "^[0-9]+$"))]
    pub credentials_key: Option<String>,

    /// Accept any certificate of an `external` proxy. And of servers: a session that is created with it accepts any certificate, as
    /// with `spec.ignoreCertificateErrors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_certificate_errors: Option<bool>,

    /// The place of a `managed` proxy. Absent: any. Refused in this version.
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
    /// Through one of the proxies that the cluster's administrator configured. Refused in this version.
    Managed,
    /// Browserbase's name for `direct`.
    None,
    /// Nowhere: the request fails.
    Block,
}

/// A geographical place.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Geolocation {
    /// Two letters (ISO 3166-1 alpha-2).
    #[schemars(length(min = 2, max = 2), regex(pattern = "^[A-Za-z]{2}$"))]
    pub country: String,

    /// Two letters; only with the country US.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2), regex(pattern = "^[A-Za-z]{2}$"))]
    pub state: Option<String>,

    /// With spaces between words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = LINE))]
    pub city: Option<String>,
}

/// A header whose value is a secret.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestHeader {
    /// The header's name.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$"))]
    pub name: String,

    /// The key of a Secret in the session's namespace that has the value. The Secret must have the label
    /// `browser-operator.io/use: proxy`.
    #[schemars(schema_with = "secret_key_selector")]
    pub secret_key_ref: SecretKeySelector,
}

/// The schema of the Kubernetes type has no maximum lengths.
fn local_object_reference(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "required": ["name"],
        "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 253}},
    })
}

/// See `local_object_reference`.
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
                {"type": "external", "server": "http://proxy:3128", "credentialsKey": "4"},
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
