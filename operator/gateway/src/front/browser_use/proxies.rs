//! `customProxy` and `proxyCountryCode`.

use std::net::Ipv6Addr;

use crds::proxy::{Geolocation, Proxy, ProxyRoute};
use egress::Credentials;
use serde_json::Value;

use crate::front::hosted::{
    field_types::{boolean, integer, letters, nullable, object, text},
    fields::{Body, Field, FieldType, Fields, describe},
    proxies::{self, Proxies, managed, parse_server},
};

/// Characters.
const MAX_HOST: usize = 255;
const MAX_CREDENTIAL: usize = 255;
/// The service's name of the country whose code is GB.
const BRITAIN: &str = "UK";

/// Reads both fields. A proxy of the caller's comes before a country, which clients send by themselves.
pub fn read(fields: &mut Fields) -> Option<Proxies> {
    let country = fields.optional(
        "proxyCountryCode",
        nullable(letters()),
        "A proxy of the cluster's own in that country; null or absent: none.",
    );
    let custom = fields.optional("customProxy", nullable(CustomProxy), "A proxy of the caller's.");
    let mut proxies = Proxies::default();
    let default = match (custom, country) {
        (Some(custom), _) => custom.into_route(&mut proxies),
        (None, Some(country)) => managed(Some(place(&country))),
        (None, None) => return None,
    };
    proxies.proxy = Proxy { rules: Vec::new(), default: Some(default) };
    Some(proxies)
}

fn place(country: &str) -> Geolocation {
    let country = country.to_ascii_uppercase();
    let country = if country == BRITAIN { "GB".to_owned() } else { country };
    Geolocation { country, state: None, city: None }
}

struct CustomProxy;

/// A proxy that has been checked.
struct Custom {
    server: String,
    credentials: Option<Credentials>,
    ignores_certificates: bool,
}

impl Custom {
    fn into_route(self, proxies: &mut Proxies) -> ProxyRoute {
        let Self { server, credentials, ignores_certificates } = self;
        let ignore_certificate_errors = ignores_certificates.then_some(true);
        ProxyRoute { ignore_certificate_errors, ..proxies.external(server, credentials) }
    }
}

impl FieldType for CustomProxy {
    type Output = Custom;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<Custom> {
        let Written { host, port, username, password, ignores_certificates } =
            object::<Written>().read(value, field)?;
        let (host, port) = (host?, port?);
        let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host };
        let server = format!("http://{host}:{port}");
        if let Err(error) = parse_server(&server) {
            field.fault("value_error", format!("host {error}"));
            return None;
        }
        match proxies::credentials(username, password) {
            Ok(credentials) => Some(Custom { server, credentials, ignores_certificates }),
            Err(error) => {
                field.fault("value_error", error.to_string());
                None
            }
        }
    }

    fn schema(&self) -> Value {
        describe::<Written>()
    }
}

/// A proxy as it is written.
struct Written {
    host: Option<String>,
    port: Option<i32>,
    username: Option<String>,
    password: Option<String>,
    ignores_certificates: bool,
}

impl Body for Written {
    fn read(fields: &mut Fields) -> Self {
        // The open-source client's casing.
        fields.rename(|name| (name == "ignore_cert_errors").then(|| "ignoreCertErrors".to_owned()));
        Self {
            host: fields.required("host", text(MAX_HOST), "A name or an address."),
            port: fields.required("port", integer(1, 65_535), ""),
            username: fields.optional("username", nullable(text(MAX_CREDENTIAL)), ""),
            password: fields.optional("password", nullable(text(MAX_CREDENTIAL)), ""),
            ignores_certificates: fields.with_default(
                "ignoreCertErrors",
                boolean(),
                false,
                "Accept certificates that nobody trusts.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::hosted::{fields::Nulls, problem::Problem};
    use serde_json::json;

    fn of(body: &Value) -> Result<Option<Proxies>, Problem> {
        let body = body.to_string();
        let mut fields = Fields::of_body(body.as_bytes(), Nulls::AreAbsent).unwrap();
        let read = read(&mut fields);
        fields.finish().map(|()| read)
    }

    #[test]
    fn a_custom_proxy_is_the_default_route_and_its_password_stands_beside_it() {
        for (body, route, has_credentials) in [
            (
                json!({"customProxy": {"host": "proxy", "port": 8080, "username": "u", "password": "hunter"}}),
                json!({"type": "external", "server": "http://proxy:8080", "credentialsKey": "0"}),
                true,
            ),
            // The SDKs of the service send a country unless they are told not to.
            (
                json!({"customProxy": {"host": "2001:db8::1", "port": 1, "ignoreCertErrors": true, "username": null}, "proxyCountryCode": "us"}),
                json!({"type": "external", "server": "http://[2001:db8::1]:1", "ignoreCertificateErrors": true}),
                false,
            ),
            (
                json!({"proxyCountryCode": "uk"}),
                json!({"type": "managed", "geolocation": {"country": "GB"}}),
                false,
            ),
        ] {
            let read = of(&body).unwrap().unwrap();
            assert_eq!(serde_json::to_value(&read.proxy).unwrap(), json!({"default": route}));
            assert_eq!(read.credentials.contains_key("0"), has_credentials, "{body}");
            assert!(!format!("{read:?}").contains("hunter"));
        }
        for body in [json!({}), json!({"customProxy": null, "proxyCountryCode": null})] {
            assert_eq!(of(&body).unwrap(), None);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let proxy = |extra: Value| {
            let mut proxy = json!({"host": "p", "port": 80});
            proxy.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            json!({"customProxy": proxy})
        };
        for (body, words) in [
            (json!({"customProxy": "http://p"}), "customProxy: must be an object"),
            (json!({"customProxy": {"host": "p"}}), "customProxy.port: Field required"),
            (proxy(json!({"port": 0})), "customProxy.port: must be from 1 to 65535"),
            (proxy(json!({"port": 65_536})), "customProxy.port: must be from 1 to 65535"),
            (proxy(json!({"host": "a b"})), "customProxy: host names no host"),
            (proxy(json!({"host": ""})), "customProxy: host names no host"),
            (proxy(json!({"host": "http://p"})), "customProxy: host "),
            (proxy(json!({"host": "p\r\nx"})), "customProxy: host has more than"),
            (proxy(json!({"host": "u:p@h"})), "customProxy: host has credentials, which"),
            (proxy(json!({"host": "x".repeat(256)})), "customProxy.host: must have at most 255"),
            (
                proxy(json!({"username": "a\r\nb"})),
                "customProxy: has a username or a password with",
            ),
            (proxy(json!({"username": "a:b"})), "customProxy: has a username with a colon"),
            (proxy(json!({"password": "p"})), "customProxy: has no username"),
            (proxy(json!({"colour": 1})), "customProxy.colour: there is no such field"),
            (json!({"proxyCountryCode": 1}), "proxyCountryCode: must be two letters"),
            (json!({"proxyCountryCode": "Germany"}), "proxyCountryCode: must be two letters"),
        ] {
            let message = of(&body).unwrap_err().message();
            assert!(message.starts_with(words), "{body}: {message}");
        }
    }
}
