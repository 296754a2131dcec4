//! Who a client is, and whether it may do what it asks for, by the API server's own reviews.

use std::{sync::Arc, time::Duration};

use agent_api::api_key::ApiKey;
use k8s_openapi::api::{authentication::v1::UserInfo, authorization::v1::ResourceAttributes};
use kube::Resource;
use support::watch::Scope;

use super::{
    api_keys::ApiKeys,
    credential::Credential,
    reviews::{self, Reviews},
};
use crate::shown::shown;

/// The key of programs that must send one, for gateways that want none.
const ANONYMOUS: &str = "anonymous";
/// Kubernetes' user name of clients without credentials.
const ANONYMOUS_USER: &str = "system:anonymous";
const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// A client that is authorized in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its user name.
    pub name: String,
    pub namespace: String,
}

impl Caller {
    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS_USER
    }
}

/// Who a client is, before it is known what it may do.
#[derive(Clone, Debug, PartialEq)]
pub enum Identity {
    Anonymous,
    User {
        user: Arc<UserInfo>,
        /// Of its API key.
        key_namespace: Option<String>,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its credential is missing or not valid. Status 401.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// It may not do this in this namespace. Status 403.
    #[error("{0}")]
    Forbidden(String),
    /// It, or somebody of its network, has been wrong too often. Status 429, and after how long it may try again.
    #[error("too many wrong tokens or forbidden namespaces: try again in {} s", .0.as_secs().max(1))]
    Throttled(Duration),
    /// The API server did not answer. Status 500.
    #[error("the API server did not answer: {0}")]
    Unknown(#[source] Arc<kube::Error>),
}

impl From<reviews::Error> for Error {
    fn from(error: reviews::Error) -> Self {
        match error {
            reviews::Error::Throttled(wait) => Self::Throttled(wait),
            reviews::Error::Api(error) => Self::Unknown(error),
        }
    }
}

pub struct Authorizer {
    pub reviews: Reviews,
    /// The namespaces that are served.
    pub scope: Scope,
    /// The namespace of clients without credentials; `None`: there are no such clients.
    pub anonymous_namespace: Option<String>,
    pub keys: Arc<ApiKeys>,
}

impl Authorizer {
    /// Authenticates a client, and checks that it may do this `verb` (one of Kubernetes') with the BrowserSessions of a namespace.
    pub async fn authorize(
        &self,
        credential: Credential,
        requested: Option<&str>,
        verb: &str,
    ) -> Result<Caller, Error> {
        let identity = self.authenticate(credential).await?;
        self.authorize_identity(identity, requested, verb).await
    }

    /// Who a client is. Fronts ask before they read a body: until then a client may cost next to nothing.
    pub async fn authenticate(&self, credential: Credential) -> Result<Identity, Error> {
        let Credential { secret, origin } = credential;
        let Some(credential) = secret.filter(|credential| credential != ANONYMOUS) else {
            anonymous(self.anonymous_namespace.as_deref(), None)?;
            return Ok(Identity::Anonymous);
        };
        if credential.is_empty() {
            return Err(Error::Unauthenticated("there is no key or token in what was sent"));
        }
        match ApiKey::parse(&credential) {
            Some(key) => {
                let holder = self.keys.holder(&key);
                let holder = holder.ok_or(Error::Unauthenticated("there is no such API key"))?;
                let user = Arc::new(service_account(holder.user));
                Ok(Identity::User { user, key_namespace: Some(holder.namespace) })
            }
            // Not for the API server to see: it is nearly a key.
            None if ApiKey::is_meant_by(&credential) => {
                Err(Error::Unauthenticated("there is no such API key"))
            }
            None => {
                let user =
                    self.reviews.user(&credential, origin).await?.ok_or(Error::Unauthenticated(
                        "the token in Authorization is not valid in this cluster",
                    ))?;
                Ok(Identity::User { user, key_namespace: None })
            }
        }
    }

    /// Checks what a client may do in a namespace: the one it asks for, else that of its API key, else that of its ServiceAccount.
    pub async fn authorize_identity(
        &self,
        identity: Identity,
        requested: Option<&str>,
        verb: &str,
    ) -> Result<Caller, Error> {
        let Identity::User { user, key_namespace } = identity else {
            return anonymous(self.anonymous_namespace.as_deref(), requested);
        };
        let name = user.username.clone().unwrap_or_default();
        if let (Some(own), Some(requested)) = (&key_namespace, requested)
            && own != requested
        {
            return Err(Error::Forbidden(format!("this API key is for namespace {own} alone")));
        }
        let own = key_namespace.or_else(|| namespace_of(&name).map(ToOwned::to_owned));
        let Some(namespace) = requested.map(ToOwned::to_owned).or(own) else {
            return Err(Error::Forbidden(format!(
                "{name} belongs to no namespace: say which with the capability browser-operator:namespace"
            )));
        };
        if !is_namespace(&namespace) {
            let namespace = shown(&namespace);
            return Err(Error::Forbidden(format!("{namespace:?} is no name of a namespace")));
        }
        if !self.scope.has(&namespace) {
            return Err(Error::Forbidden(format!(
                "this gateway serves no namespace {namespace}: see its watchNamespaces"
            )));
        }
        let wanted = ResourceAttributes {
            group: Some(crds::BrowserSession::group(&()).into_owned()),
            resource: Some(crds::BrowserSession::plural(&()).into_owned()),
            namespace: Some(namespace.clone()),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        if self.reviews.allows(&user, wanted).await? {
            Ok(Caller { name, namespace })
        } else {
            Err(Error::Forbidden(format!(
                "{name} may not {verb} BrowserSessions in namespace {namespace}"
            )))
        }
    }
}

fn anonymous(own: Option<&str>, requested: Option<&str>) -> Result<Caller, Error> {
    match (own, requested) {
        (None, _) => Err(Error::Unauthenticated(
            "this gateway wants a token or an API key: send it as Authorization: Bearer, or as the password of Basic",
        )),
        (Some(own), Some(requested)) if requested != own => {
            Err(Error::Forbidden(format!("without a token sessions go to namespace {own} only")))
        }
        (Some(own), _) => Ok(Caller { name: ANONYMOUS_USER.to_owned(), namespace: own.to_owned() }),
    }
}

/// The user and groups of a ServiceAccount (Kubernetes, "Authenticating", service account tokens).
fn service_account(user: String) -> UserInfo {
    let mut groups = vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()];
    groups
        .extend(namespace_of(&user).map(|namespace| format!("system:serviceaccounts:{namespace}")));
    UserInfo { username: Some(user), groups: Some(groups), ..UserInfo::default() }
}

/// Whether this is the name of a namespace, an RFC 1123 label: it becomes part of a path.
fn is_namespace(name: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| is_alphanumeric(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn namespace_of(user: &str) -> Option<&str> {
    Some(user.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn whoever_does_not_say_who_it_is_gets_the_configured_namespace_or_nothing() {
        assert!(matches!(anonymous(None, None), Err(Error::Unauthenticated(_))));
        assert!(matches!(anonymous(Some("a"), Some("b")), Err(Error::Forbidden(_))));
        assert_eq!(anonymous(Some("a"), None).unwrap().namespace, "a");
        assert_eq!(anonymous(Some("a"), Some("a")).unwrap().namespace, "a");
    }

    #[test]
    fn a_service_account_has_a_namespace() {
        assert_eq!(namespace_of("system:serviceaccount:team-a:runner"), Some("team-a"));
        assert_eq!(namespace_of("kubernetes-admin"), None);
    }

    #[test]
    fn what_a_client_asks_for_must_be_the_name_of_a_namespace() {
        for name in ["a", "team-a", "0", &"a".repeat(63)] {
            assert!(is_namespace(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a/b", "..", "a.b", "a%2fb", &"a".repeat(64)] {
            assert!(!is_namespace(name), "{name}");
        }
    }
}
