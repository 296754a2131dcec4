//! Who a client is, and whether it may do what it asks for, by the API server's own reviews.

use std::sync::Arc;

use agent_api::api_key::ApiKey;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, Resource, api::PostParams};

use super::api_keys::ApiKeys;

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
        user: Box<UserInfo>,
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
    /// The API server did not answer. Status 500.
    #[error("the API server did not answer: {0}")]
    Unknown(#[source] Box<kube::Error>),
}

pub struct Authorizer {
    pub client: Client,
    /// The namespace of clients without credentials; `None`: there are no such clients.
    pub anonymous_namespace: Option<String>,
    pub keys: Arc<ApiKeys>,
}

impl Authorizer {
    /// Authenticates a client, and checks that it may do this `verb` (one of Kubernetes') with the BrowserSessions of a namespace.
    pub async fn authorize(
        &self,
        credential: Option<String>,
        requested: Option<&str>,
        verb: &str,
    ) -> Result<Caller, Error> {
        let identity = self.authenticate(credential).await?;
        self.authorize_identity(identity, requested, verb).await
    }

    /// Who a client is. Fronts ask before they read a body: until then a client may cost next to nothing.
    pub async fn authenticate(&self, credential: Option<String>) -> Result<Identity, Error> {
        let Some(credential) = credential.filter(|credential| credential != ANONYMOUS) else {
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
                let user = service_account(holder.user).into();
                Ok(Identity::User { user, key_namespace: Some(holder.namespace) })
            }
            // Not for the API server to see: it is nearly a key.
            None if ApiKey::is_meant_by(&credential) => {
                Err(Error::Unauthenticated("there is no such API key"))
            }
            None => {
                let user = self.review_token(credential).await?.into();
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
        if self.review_access(*user, &namespace, verb).await? {
            Ok(Caller { name, namespace })
        } else {
            Err(Error::Forbidden(format!(
                "{name} may not {verb} BrowserSessions in namespace {namespace}"
            )))
        }
    }

    async fn review_token(&self, token: String) -> Result<UserInfo, Error> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: Some(token), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let reviews = Api::<TokenReview>::all(self.client.clone());
        let review = reviews
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| Error::Unknown(Box::new(error)))?;
        review
            .status
            .filter(|status| status.authenticated == Some(true))
            .and_then(|status| status.user)
            .ok_or(Error::Unauthenticated(
                "the token in Authorization is not valid in this cluster",
            ))
    }

    async fn review_access(
        &self,
        user: UserInfo,
        namespace: &str,
        verb: &str,
    ) -> Result<bool, Error> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                extra: user.extra,
                groups: user.groups,
                uid: user.uid,
                user: user.username,
                resource_attributes: Some(ResourceAttributes {
                    group: Some(crds::BrowserSession::group(&()).into_owned()),
                    resource: Some(crds::BrowserSession::plural(&()).into_owned()),
                    namespace: Some(namespace.to_owned()),
                    verb: Some(verb.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        reviews
            .create(&PostParams::default(), &review)
            .await
            .map(|review| review.status.is_some_and(|status| status.allowed))
            .map_err(|error| Error::Unknown(Box::new(error)))
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

/// A token or an API key: Bearer, or the password of Basic, which is what a URL's `user:password@` becomes. What cannot be read is
/// an empty credential, which is never valid: whoever sends something does not mean to be anonymous.
pub fn credential(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, value) = sent.split_once(' ').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(value.trim().to_owned()),
        "basic" => {
            let decoded = BASE64_STANDARD.decode(value.trim()).unwrap_or_default();
            let text = String::from_utf8(decoded).unwrap_or_default();
            match text.split_once(':') {
                // A URL with a user alone: an API key, or a name without a password, which is no credential.
                Some((user, "")) => ApiKey::is_meant_by(user).then(|| user.to_owned()),
                Some((_, password)) => Some(password.to_owned()),
                None => Some(String::new()),
            }
        }
        _ => Some(String::new()),
    }
}

fn namespace_of(user: &str) -> Option<&str> {
    Some(user.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_token_is_bearer_or_the_password_of_basic() {
        let of = |value: &'static str| {
            credential(&HeaderMap::from_iter([(
                header::AUTHORIZATION,
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("basic dXNlcjphYmM=").as_deref(), Some("abc"));
        assert_eq!(of("Basic dXNlcjo="), None);
        assert_eq!(of("Basic Ym9rX2E6").as_deref(), Some("bok_a"));
        for unreadable in ["Digest abc", "Bearer", "Basic !", "Basic YWJj", ""] {
            assert_eq!(of(unreadable).as_deref(), Some(""), "{unreadable}");
        }
        assert_eq!(credential(&HeaderMap::new()), None);
    }

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
}
