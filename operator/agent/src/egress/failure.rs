//! Why a request does not reach its server, in words for the page that asked.

use std::{error::Error, io};

use egress::{Denial, Target};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use net::{Body, body::full};

use super::error_kind::ErrorKind;

/// RFC 9209: what a proxy says of its own failures.
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error("this browser has no session yet")]
    NoSession,
    #[error("the request names no server: this is a proxy")]
    NoTarget,
    #[error("it is blocked")]
    Blocked,
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error("the name {name} is not found: {error}")]
    NameNotFound { name: String, error: io::Error },
    #[error("the name {name} was not resolved within {seconds} seconds")]
    ResolvedLate { name: String, seconds: u64 },
    #[error("{at} does not accept a connection: {error}")]
    NotConnected { at: String, error: io::Error },
    #[error("{at} did not accept a connection within {seconds} seconds")]
    ConnectedLate { at: String, seconds: u64 },
    #[error("the proxy does not pass it on: {0}")]
    Upstream(String),
    #[error("TLS with the proxy fails: {0}")]
    UpstreamTls(String),
    #[error(
        "the proxy's certificate is not accepted: {0}; ignoreCertificateErrors of the route accepts any"
    )]
    UpstreamCertificate(String),
    #[error("the proxy did not answer within {seconds} seconds")]
    UpstreamLate { seconds: u64 },
    #[error(
        "whoever is on the route wants a username and a password, or others than it is given (status 407)"
    )]
    Unauthorized,
    #[error("the server's answer broke off: {0}")]
    Exchange(String),
}

/// A cause, and which request and route it is of.
#[derive(Debug, thiserror::Error)]
pub struct Failure {
    #[source]
    pub cause: Cause,
    pub target: Option<Target>,
    /// Where the rule is written that chose the route.
    pub rule: Option<String>,
    pub upstream: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(target) = &self.target {
            write!(f, "{target} was not reached: ")?;
        }
        write!(f, "{}", self.cause)?;
        match (&self.rule, &self.upstream) {
            (Some(rule), Some(upstream)) => write!(f, " (by {rule}, through {upstream})"),
            (Some(rule), None) => write!(f, " (by {rule})"),
            (None, _) => Ok(()),
        }
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self { cause, target: None, rule: None, upstream: None }
    }
}

impl Failure {
    /// The failure that an error of the HTTP client is of, where it is one.
    pub fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut error = Some(error);
        while let Some(inner) = error {
            if let Some(failure) = inner.downcast_ref() {
                return Some(failure);
            }
            error = inner.source();
        }
        None
    }

    fn status(&self) -> StatusCode {
        match self.cause {
            Cause::NoTarget => StatusCode::BAD_REQUEST,
            Cause::NoSession => StatusCode::SERVICE_UNAVAILABLE,
            Cause::Blocked | Cause::Denied(_) => StatusCode::FORBIDDEN,
            Cause::NameNotFound { .. }
            | Cause::NotConnected { .. }
            | Cause::Upstream(_)
            | Cause::UpstreamTls(_)
            | Cause::UpstreamCertificate(_)
            | Cause::Unauthorized
            | Cause::Exchange(_) => StatusCode::BAD_GATEWAY,
            Cause::ResolvedLate { .. }
            | Cause::ConnectedLate { .. }
            | Cause::UpstreamLate { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// RFC 9209's word for it (section 2.3).
    pub fn error_type(&self) -> &'static str {
        match self.cause {
            Cause::NoTarget => "http_request_error",
            Cause::NoSession => "proxy_configuration_error",
            Cause::Blocked => "http_request_denied",
            Cause::Denied(_) => "destination_ip_prohibited",
            Cause::NameNotFound { .. } => "dns_error",
            Cause::ResolvedLate { .. } => "dns_timeout",
            Cause::NotConnected { .. } => "connection_refused",
            Cause::ConnectedLate { .. } => "connection_timeout",
            Cause::Upstream(_) | Cause::Unauthorized => "destination_unavailable",
            Cause::UpstreamTls(_) => "tls_protocol_error",
            Cause::UpstreamCertificate(_) => "tls_certificate_error",
            Cause::UpstreamLate { .. } => "connection_read_timeout",
            Cause::Exchange(_) => "http_response_incomplete",
        }
    }

    /// What the browser would say of it by itself.
    pub fn error_kind(&self) -> ErrorKind {
        let (chrome, firefox) = match self.cause {
            Cause::NoTarget | Cause::NoSession => {
                ("net::ERR_TUNNEL_CONNECTION_FAILED", "proxyConnectFailure")
            }
            Cause::Blocked | Cause::Denied(_) => {
                ("net::ERR_BLOCKED_BY_ADMINISTRATOR", "blockedByPolicy")
            }
            Cause::NameNotFound { .. } | Cause::ResolvedLate { .. } => {
                ("net::ERR_NAME_NOT_RESOLVED", "dnsNotFound")
            }
            Cause::NotConnected { .. } => ("net::ERR_CONNECTION_REFUSED", "connectionFailure"),
            Cause::ConnectedLate { .. } => ("net::ERR_CONNECTION_TIMED_OUT", "netTimeout"),
            Cause::Upstream(_)
            | Cause::UpstreamTls(_)
            | Cause::UpstreamCertificate(_)
            | Cause::UpstreamLate { .. }
            | Cause::Unauthorized => ("net::ERR_PROXY_CONNECTION_FAILED", "proxyConnectFailure"),
            Cause::Exchange(_) => ("net::ERR_EMPTY_RESPONSE", "netReset"),
        };
        ErrorKind { chrome, firefox }
    }

    /// The page that says so. Of the answer to CONNECT a browser shows nothing but its own error.
    pub fn to_response(&self) -> Response<Body> {
        let words = escaped(&self.to_string());
        let page = format!(
            "<!doctype html><meta charset=utf-8><title>Not reached</title><h1>Not reached</h1><p>{words}</p>"
        );
        let mut response = Response::new(full(page));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let status = format!("browser-operator; error={}", self.error_type());
        if let Ok(status) = HeaderValue::try_from(status) {
            headers.insert(PROXY_STATUS, status);
        }
        response
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use egress::{Host, Scheme};
    use net::body::collect;

    #[tokio::test]
    async fn a_page_is_told_the_cause_and_the_rule_and_nothing_that_runs() {
        let target =
            Target { scheme: Scheme::Http, host: Host::parse("a.example").unwrap(), port: 80 };
        let failure = Failure {
            cause: Cause::Upstream("<script>".to_owned()),
            target: Some(target),
            rule: Some("spec.proxy.rules[0]".to_owned()),
            upstream: Some("http://proxy:3128".to_owned()),
        };
        let response = failure.to_response();
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(
            response.headers()[&PROXY_STATUS],
            "browser-operator; error=destination_unavailable"
        );
        let page = collect(response.into_body(), 1 << 16).await.unwrap();
        let page = String::from_utf8(page.into()).unwrap();
        let words = "a.example:80 was not reached: the proxy does not pass it on: &lt;script&gt; \
                     (by spec.proxy.rules[0], through http://proxy:3128)";
        assert!(page.contains(words), "{page}");
    }

    #[test]
    fn a_failure_is_found_behind_other_errors() {
        /// As the HTTP client wraps it.
        #[derive(Debug, thiserror::Error)]
        #[error("connect")]
        struct Connect(#[source] Failure);

        let wrapped = Connect(Failure::from(Cause::Blocked));
        let found = Failure::behind(&wrapped).map(|failure| failure.status());
        assert_eq!(found, Some(StatusCode::FORBIDDEN));
        assert!(Failure::behind(&io::Error::other("something else")).is_none());
    }
}
