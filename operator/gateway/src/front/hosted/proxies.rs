//! `spec.proxy` from the services' words. Credentials go apart from the object, which everybody in its namespace may read.

use crds::proxy::{Geolocation, Proxy, ProxyRoute, ProxyType};
use egress::{Credentials, CredentialsError, Upstream, UpstreamError};
use placement::{Brought, BroughtCredentials};

/// What a call asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proxies {
    pub proxy: Proxy,
    /// By the key that routes have.
    pub credentials: BroughtCredentials,
}

impl Proxies {
    /// A route through a proxy that the caller names.
    pub fn external(&mut self, server: String, credentials: Option<Credentials>) -> ProxyRoute {
        let credentials_key = credentials.map(|credentials| {
            let key = self.credentials.len().to_string();
            let brought = Brought { server: server.clone(), credentials };
            self.credentials.insert(key.clone(), brought);
            key
        });
        ProxyRoute { server: Some(server), credentials_key, ..route(ProxyType::External) }
    }
}

/// A route of that kind, and nothing else.
pub fn route(type_: ProxyType) -> ProxyRoute {
    ProxyRoute {
        type_,
        server: None,
        credentials_secret_ref: None,
        credentials_key: None,
        ignore_certificate_errors: None,
        geolocation: None,
    }
}

/// A route through one of the cluster's own proxies.
pub fn managed(geolocation: Option<Geolocation>) -> ProxyRoute {
    ProxyRoute { geolocation, ..route(ProxyType::Managed) }
}

/// Why a URL names no proxy.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("has credentials, which belong into username and password")]
    Credentials,
    #[error(transparent)]
    Upstream(UpstreamError),
}

/// Reads the URL of a proxy.
pub fn parse_server(url: &str) -> Result<(), ServerError> {
    Upstream::parse(url).map(drop).map_err(|error| match error {
        UpstreamError::Credentials => ServerError::Credentials,
        error => ServerError::Upstream(error),
    })
}

/// The credentials of a call, if it has any.
pub fn credentials(
    username: Option<String>,
    password: Option<String>,
) -> Result<Option<Credentials>, CredentialsError> {
    if username.is_none() && password.is_none() {
        return Ok(None);
    }
    Credentials::new(username.unwrap_or_default(), password.unwrap_or_default()).map(Some)
}
