//! The API server's reviews of tokens and rights. What it says is believed for seconds, and who is wrong too often must wait.

use std::{net::IpAddr, sync::Arc, time::Duration};

use agent_api::hmac::hmac;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use tokio::time::Instant;
use uuid::Uuid;

use super::{decisions::Decisions, throttle::Throttle};

/// So long a token that was withdrawn, or a right that was taken away, still counts.
const YES: Duration = Duration::from_secs(10);
/// So long a new token or a new right does not count yet, where it was asked for before.
const NO: Duration = Duration::from_secs(3);
/// So long the API server is not asked again when it did not answer.
const NO_ANSWER: Duration = Duration::from_secs(1);
/// How many answers of each kind are kept.
const CAPACITY: usize = 8192;

/// What stands for a token or a question, and shows nothing of it.
type Digest = [u8; 32];
type Answer<T> = Result<T, Arc<kube::Error>>;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Whoever asks has been wrong too often; after how long another question is allowed.
    #[error("too many questions")]
    Throttled(Duration),
    /// The API server did not answer.
    #[error("the API server did not answer")]
    Api(#[source] Arc<kube::Error>),
}

pub struct Reviews {
    client: Client,
    /// Of this process alone, so that nobody can choose tokens whose digests meet.
    digest_key: Digest,
    users: Decisions<Digest, Answer<Option<Arc<UserInfo>>>>,
    rights: Decisions<Digest, Answer<bool>>,
    wrong_tokens: Throttle<IpAddr>,
    /// By the digest of the user.
    forbidden: Throttle<Digest>,
}

impl Reviews {
    pub fn new(client: Client) -> Self {
        let mut digest_key = Digest::default();
        let (front, back) = digest_key.split_at_mut(16);
        front.copy_from_slice(Uuid::new_v4().as_bytes());
        back.copy_from_slice(Uuid::new_v4().as_bytes());
        Self {
            client,
            digest_key,
            users: Decisions::new(CAPACITY),
            rights: Decisions::new(CAPACITY),
            wrong_tokens: Throttle::new(),
            forbidden: Throttle::new(),
        }
    }

    /// Whose token this is; `None` where it is nobody's.
    pub async fn user(&self, token: &str, origin: IpAddr) -> Result<Option<Arc<UserInfo>>, Error> {
        let ask = async {
            self.wrong_tokens.take(&origin, Instant::now()).map_err(Error::Throttled)?;
            let answer = review_token(&self.client, token).await;
            if matches!(answer, Ok(Some(_))) {
                self.wrong_tokens.give_back(&origin, Instant::now());
            }
            let lifetime = lifetime(&answer, Option::is_some);
            Ok((answer, lifetime))
        };
        let digest = hmac(&self.digest_key, token.as_bytes());
        self.users.get(&digest, ask).await?.map_err(Error::Api)
    }

    /// Whether somebody may do this.
    pub async fn allows(&self, user: &UserInfo, wanted: ResourceAttributes) -> Result<bool, Error> {
        let spec = access_spec(user, wanted);
        // Its fields are texts and lists of them, which always become JSON.
        let question = serde_json::to_vec(&spec).unwrap_or_default();
        let question = hmac(&self.digest_key, &question);
        let who = spec.user.clone().unwrap_or_default();
        let who = hmac(&self.digest_key, who.as_bytes());
        let ask = async {
            self.forbidden.take(&who, Instant::now()).map_err(Error::Throttled)?;
            let answer = review_access(&self.client, spec).await;
            if matches!(answer, Ok(true)) {
                self.forbidden.give_back(&who, Instant::now());
            }
            let lifetime = lifetime(&answer, |allowed| *allowed);
            Ok((answer, lifetime))
        };
        self.rights.get(&question, ask).await?.map_err(Error::Api)
    }
}

fn lifetime<T>(answer: &Answer<T>, is_yes: impl Fn(&T) -> bool) -> Duration {
    match answer {
        Ok(answer) if is_yes(answer) => YES,
        Ok(_) => NO,
        Err(_) => NO_ANSWER,
    }
}

async fn review_token(client: &Client, token: &str) -> Answer<Option<Arc<UserInfo>>> {
    let review = TokenReview {
        spec: TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() },
        ..TokenReview::default()
    };
    let reviews = Api::<TokenReview>::all(client.clone());
    let review = reviews.create(&PostParams::default(), &review).await.map_err(Arc::new)?;
    let status = review.status.filter(|status| status.authenticated == Some(true));
    Ok(status.and_then(|status| status.user).map(Arc::new))
}

fn access_spec(user: &UserInfo, wanted: ResourceAttributes) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        extra: user.extra.clone(),
        groups: user.groups.clone(),
        uid: user.uid.clone(),
        user: user.username.clone(),
        resource_attributes: Some(wanted),
        ..SubjectAccessReviewSpec::default()
    }
}

async fn review_access(client: &Client, spec: SubjectAccessReviewSpec) -> Answer<bool> {
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let reviews = Api::<SubjectAccessReview>::all(client.clone());
    let review = reviews.create(&PostParams::default(), &review).await.map_err(Arc::new)?;
    Ok(review.status.is_some_and(|status| status.allowed))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::{Request, Response, StatusCode};
    use http_body_util::BodyExt;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tokio::time::advance;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// An API server that knows tokens that begin with `good`, lets everybody into namespaces that do, and counts.
    fn reviews() -> (Reviews, Arc<AtomicU32>) {
        let asked = Arc::new(AtomicU32::new(0));
        let counter = asked.clone();
        let answer = move |request: Request<Body>| {
            counter.fetch_add(1, Ordering::Relaxed);
            async move {
                let body = request.into_body().collect().await?.to_bytes();
                let mut review: Value = serde_json::from_slice(&body)?;
                let spec = &review["spec"];
                let named = spec.get("token").or(spec.pointer("/resourceAttributes/namespace"));
                let name = named.and_then(Value::as_str).unwrap_or_default();
                let (good, down) = (name.starts_with("good"), name == "down");
                review["status"] = match spec.get("token") {
                    Some(_) => json!({"authenticated": good, "user": {"username": name}}),
                    None => json!({"allowed": good}),
                };
                let status =
                    if down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::CREATED };
                let body = Body::from(serde_json::to_vec(&review)?);
                Response::builder().status(status).body(body).map_err(tower::BoxError::from)
            }
        };
        (Reviews::new(Client::new(tower::service_fn(answer), "default")), asked)
    }

    fn create_in(namespace: &str) -> ResourceAttributes {
        ResourceAttributes {
            namespace: Some(namespace.to_owned()),
            verb: Some("create".to_owned()),
            ..ResourceAttributes::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_asked_for_once_in_seconds_and_a_wrong_one_in_fewer() {
        let (reviews, asked) = reviews();
        let user = async |token| reviews.user(token, PEER).await.unwrap().is_some();
        let count = || asked.load(Ordering::Relaxed);
        let all = futures::future::join_all((0..100).map(|_| user("good"))).await;
        assert!(all.into_iter().all(|good| good));
        assert_eq!(count(), 1);
        assert!(!user("bad").await && !user("bad").await);
        assert_eq!(count(), 2);
        advance(NO).await;
        assert!(user("good").await && !user("bad").await);
        assert_eq!(count(), 3);
        advance(YES).await;
        assert!(user("good").await);
        assert_eq!(count(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn garbage_makes_the_api_server_work_only_so_much() {
        let (reviews, asked) = reviews();
        let mut throttled = 0;
        for token in 0..1000 {
            match reviews.user(&format!("bad-{token}"), PEER).await {
                Ok(None) => {}
                Err(Error::Throttled(_)) => throttled += 1,
                other => panic!("{other:?}"),
            }
        }
        let count = asked.load(Ordering::Relaxed);
        assert_eq!((count, throttled), (64, 1000 - 64));
        // Another network is not concerned, and neither is a token that is known.
        let elsewhere = "192.0.2.1".parse().unwrap();
        assert!(reviews.user("good", elsewhere).await.unwrap().is_some());
        assert!(reviews.user("good", PEER).await.unwrap().is_some());
        advance(Duration::from_secs(1)).await;
        assert!(reviews.user("good-2", PEER).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn valid_tokens_are_never_too_many() {
        let (reviews, _) = reviews();
        for token in 0..1000 {
            assert!(reviews.user(&format!("good-{token}"), PEER).await.unwrap().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_is_asked_for_once_by_user_and_by_what_is_wanted() {
        let (reviews, asked) = reviews();
        let user = |name: &str| UserInfo { username: Some(name.into()), ..UserInfo::default() };
        let (ann, bob) = (user("ann"), user("bob"));
        for _ in 0..3 {
            assert!(reviews.allows(&ann, create_in("good")).await.unwrap());
            assert!(!reviews.allows(&ann, create_in("bad")).await.unwrap());
            assert!(reviews.allows(&bob, create_in("good")).await.unwrap());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        let mut throttled = 0;
        for namespace in 0..1000 {
            let wanted = create_in(&format!("bad-{namespace}"));
            throttled += u32::from(reviews.allows(&ann, wanted).await.is_err());
        }
        assert!(throttled > 900, "{throttled}");
        assert!(reviews.allows(&bob, create_in("good-2")).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_does_not_answer_is_left_alone_for_a_second() {
        let (reviews, asked) = reviews();
        for _ in 0..3 {
            assert!(matches!(reviews.user("down", PEER).await, Err(Error::Api(_))));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        advance(NO_ANSWER).await;
        assert!(reviews.user("down", PEER).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
