//! What the proxies of a session's rules know it by: read when its pod is to be made and when it is bound, and kept nowhere.

use std::collections::BTreeMap;

use crds::{BrowserSessionSpec, Reason, names};
use egress::{Credentials, CredentialsError};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, ResourceExt};
use placement::{BroughtCredentials, ProxyCredentials};

use crate::{pods::Problem, session_key::SessionKey};

const USERNAME: &str = "username";
const PASSWORD: &str = "password";

/// What Secrets say, or why one of them says nothing.
pub type Found = Result<ProxyCredentials, Unusable>;

/// Why there are no credentials.
#[derive(Clone, Debug)]
pub enum Unusable {
    Problem(Problem),
    /// The gateway, which has made the session, has not kept yet what its call brought.
    NotBrought,
}

impl From<Problem> for Unusable {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Why a Secret says nothing, in words that follow its name.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("there is none of that name")]
    Missing,
    #[error("the operator may not read it: a RoleBinding of its namespace must let it ({0})")]
    Forbidden(String),
    #[error("it has no label {}: {}", names::USE_LABEL, names::USE_PROXY)]
    NotLabelled,
    #[error("it has no key {0} with text (UTF-8)")]
    NoKey(&'static str),
    #[error("it {0}")]
    Credentials(#[from] CredentialsError),
}

/// Whether a session's rules ask for any.
pub fn are_asked_for(spec: &BrowserSessionSpec) -> bool {
    placement::has_brought(spec) || !placement::credentials_secrets(spec).is_empty()
}

/// Reads what the spec asks for.
///
/// # Errors
/// The API server gives no answer that is about a Secret.
pub async fn read(
    client: &Client,
    operator_namespace: &str,
    key: &SessionKey,
    spec: &BrowserSessionSpec,
) -> Result<Found, kube::Error> {
    let brought = match placement::has_brought(spec) {
        true => brought(client, operator_namespace, key, spec).await?,
        false => Ok(BroughtCredentials::new()),
    };
    let secrets = named(client, &key.namespace, spec).await?;
    Ok(brought.and_then(|brought| Ok(ProxyCredentials { secrets: secrets?, brought })))
}

/// What the call that made the session brought.
async fn brought(
    client: &Client,
    operator_namespace: &str,
    key: &SessionKey,
    spec: &BrowserSessionSpec,
) -> Result<Result<BroughtCredentials, Unusable>, kube::Error> {
    let secrets = Api::<Secret>::namespaced(client.clone(), operator_namespace);
    let Some(secret) = secrets.get_opt(&key.brought_name()).await? else {
        return Ok(Err(Unusable::NotBrought));
    };
    let data = secret.data.and_then(|mut data| data.remove(names::SESSION_PROXY_KEY));
    let read = data.and_then(|ByteString(json)| serde_json::from_slice(&json).ok());
    // What stands in it is told to nobody.
    let Some(brought) = read else {
        let message = "spec.proxy: the credentials that its call brought cannot be read".to_owned();
        return Ok(Err(Problem { reason: Reason::SecretUnusable, message }.into()));
    };
    Ok(match placement::check_brought(spec, &brought) {
        Ok(()) => Ok(brought),
        Err(refusal) => Err(Problem { reason: refusal.reason, message: refusal.message() }.into()),
    })
}

/// What the Secrets of its namespace say that its rules name.
async fn named(
    client: &Client,
    namespace: &str,
    spec: &BrowserSessionSpec,
) -> Result<Result<BTreeMap<String, Credentials>, Unusable>, kube::Error> {
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let mut found = BTreeMap::new();
    for name in placement::credentials_secrets(spec) {
        let secret = match secrets.get_opt(name).await {
            Ok(secret) => secret.ok_or(SecretError::Missing),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                Err(SecretError::Forbidden(status.message))
            }
            Err(error) => return Err(error),
        };
        match secret.and_then(|secret| credentials(&secret)) {
            Ok(credentials) => found.insert(name.to_owned(), credentials),
            Err(why) => {
                let message = format!("spec.proxy: Secret {namespace}/{name}: {why}");
                return Ok(Err(Problem { reason: Reason::SecretUnusable, message }.into()));
            }
        };
    }
    Ok(Ok(found))
}

fn credentials(secret: &Secret) -> Result<Credentials, SecretError> {
    let label = secret.labels().get(names::USE_LABEL).map(String::as_str);
    if label != Some(names::USE_PROXY) {
        return Err(SecretError::NotLabelled);
    }
    let text = |key: &str| {
        let ByteString(bytes) = secret.data.as_ref()?.get(key)?;
        String::from_utf8(bytes.clone()).ok()
    };
    let of = |key: &'static str| text(key).ok_or(SecretError::NoKey(key));
    Ok(Credentials::new(of(USERNAME)?, of(PASSWORD)?)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_that_cannot_be_used_is_refused_in_words() {
        let secret = |label: &str, data: serde_json::Value| -> Secret {
            let labels = json!({"browser-operator.io/use": label});
            let data: serde_json::Map<_, _> = data
                .as_object()
                .unwrap()
                .iter()
                .map(|(key, value)| {
                    let bytes = ByteString(value.as_str().unwrap().as_bytes().to_vec());
                    (key.clone(), serde_json::to_value(bytes).unwrap())
                })
                .collect();
            serde_json::from_value(json!({"metadata": {"labels": labels}, "data": data})).unwrap()
        };
        let good =
            credentials(&secret("proxy", json!({"username": "u", "password": "p"}))).unwrap();
        assert_eq!((good.username(), good.password()), ("u", "p"));
        for (label, data, words) in [
            (
                "tls",
                json!({"username": "u", "password": "p"}),
                "it has no label browser-operator.io/use: proxy",
            ),
            ("proxy", json!({"password": "p"}), "it has no key username"),
            ("proxy", json!({"username": "u"}), "it has no key password"),
            (
                "proxy",
                json!({"username": "u\r\nx", "password": "p"}),
                "it has a username or a password with a control",
            ),
        ] {
            let why = credentials(&secret(label, data)).unwrap_err().to_string();
            assert!(why.starts_with(words), "{why}");
        }
    }
}
