//! Who asks for a session, and in which namespace it may have one.

use std::sync::Arc;

use agent_api::api_key::ApiKey;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, Resource, api::PostParams};

use crate::auth::ApiKeys;

/// What programs of hosted services, which must have a key, show where none is wanted.
const ANONYMOUS: &str = "anonymous";
/// Kubernetes' name of one who does not say who it is.
const NOBODY: &str = "system:anonymous";
/// A Kubernetes ServiceAccount's user name begins so.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Who asks, and where the session goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// For the record.
    pub name: String,
    /// The session's namespace.
    pub namespace: String,
}

impl Caller {
    /// Whether it did not say who it is.
    pub fn is_anonymous(&self) -> bool {
        self.name == NOBODY
    }
}

/// Why a caller gets no session.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It did not say who it is, or not truly. Status 401.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// It may not have it. Status 403.
    #[error("{0}")]
    Forbidden(String),
    /// The API server did not say. Status 500.
    #[error("the API server did not answer: {0}")]
    Unknown(#[source] Box<kube::Error>),
}

/// Decides who may have what.
pub struct Authorizer {
    /// The cluster.
    pub client: Client,
    /// The namespace of callers who do not say who they are.
    pub anonymous_namespace: Option<String>,
    /// The API keys.
    pub keys: Arc<ApiKeys>,
}

impl Authorizer {
    /// Finds out who asks, and whether it may do that (a verb of Kubernetes) with sessions in the namespace it wants.
    ///
    /// # Errors
    /// It may not.
    pub async fn authorize(
        &self,
        credential: Option<String>,
        wanted: Option<&str>,
        verb: &str,
    ) -> Result<Caller, Error> {
        let Some(credential) = credential.filter(|credential| credential != ANONYMOUS) else {
            return anonymous(self.anonymous_namespace.as_deref(), wanted);
        };
        if credential.is_empty() {
            return Err(Error::Unauthenticated("there is no key or token in what was sent"));
        }
        let (user, own) = match ApiKey::parse(&credential) {
            Some(key) => {
                let holder = self.keys.holder(&key);
                let holder = holder.ok_or(Error::Unauthenticated("there is no such API key"))?;
                (service_account(holder.user), Some(holder.namespace))
            }
            // The API server is asked about its own tokens, and need not see what nearly is a key.
            None if ApiKey::is_meant_by(&credential) => {
                return Err(Error::Unauthenticated("there is no such API key"));
            }
            None => (self.review(credential).await?, None),
        };
        let name = user.username.clone().unwrap_or_default();
        if let (Some(own), Some(wanted)) = (&own, wanted)
            && own != wanted
        {
            return Err(Error::Forbidden(format!("this API key is for namespace {own} alone")));
        }
        let own = own.or_else(|| namespace_of(&name).map(ToOwned::to_owned));
        let Some(namespace) = wanted.map(ToOwned::to_owned).or(own) else {
            return Err(Error::Forbidden(format!(
                "{name} belongs to no namespace: say which with the capability browser-operator:namespace"
            )));
        };
        if self.may(user, &namespace, verb).await? {
            Ok(Caller { name, namespace })
        } else {
            Err(Error::Forbidden(format!(
                "{name} may not {verb} BrowserSessions in namespace {namespace}"
            )))
        }
    }

    async fn review(&self, token: String) -> Result<UserInfo, Error> {
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

    async fn may(&self, user: UserInfo, namespace: &str, verb: &str) -> Result<bool, Error> {
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

fn anonymous(own: Option<&str>, wanted: Option<&str>) -> Result<Caller, Error> {
    match (own, wanted) {
        (None, _) => Err(Error::Unauthenticated(
            "this gateway wants a token or an API key: send it as Authorization: Bearer, or as the password of Basic",
        )),
        (Some(own), Some(wanted)) if wanted != own => {
            Err(Error::Forbidden(format!("without a token sessions go to namespace {own} only")))
        }
        (Some(own), _) => Ok(Caller { name: NOBODY.to_owned(), namespace: own.to_owned() }),
    }
}

/// Who a ServiceAccount is to the API server (Kubernetes, "Authenticating", service account tokens).
fn service_account(user: String) -> UserInfo {
    let mut groups = vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()];
    groups
        .extend(namespace_of(&user).map(|namespace| format!("system:serviceaccounts:{namespace}")));
    UserInfo { username: Some(user), groups: Some(groups), ..UserInfo::default() }
}

/// A token or an API key, as Bearer or as the password of Basic, which is what a URL's `user:password@` becomes. What cannot be
/// read is an empty one, which is nobody's: whoever sends something does not mean to be anonymous.
pub fn credential(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, value) = sent.split_once(' ').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(value.trim().to_owned()),
        "basic" => {
            let decoded = BASE64_STANDARD.decode(value.trim()).unwrap_or_default();
            let text = String::from_utf8(decoded).unwrap_or_default();
            match text.split_once(':') {
                // A URL with a user alone: a key, or a name that is nobody's.
                Some((user, "")) => ApiKey::is_meant_by(user).then(|| user.to_owned()),
                Some((_, password)) => Some(password.to_owned()),
                None => Some(String::new()),
            }
        }
        _ => Some(String::new()),
    }
}

fn namespace_of(user: &str) -> Option<&str> {
    Some(user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?.0)
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
