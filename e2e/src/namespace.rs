//! A namespace of a test's own, and what a test does and awaits in it.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use crds::{
    BrowserSession, BrowserSessionStatus, Phase, Reason,
    conditions::{FINISHED, READY, STALLED},
    names::{MANAGED_BY, MANAGED_BY_LABEL, SESSION_UID_LABEL},
};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::{Namespace as KubeNamespace, Pod, Service, ServiceAccount},
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::watcher::Config,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    classic::Classic,
    cluster::Cluster,
    objects::session_json,
    wait::{eventually, until, until_all},
};

/// For a session to become Ready on a busy machine.
pub const READY_LIMIT: Duration = Duration::from_secs(60);
/// For the end to appear in the record.
pub const END_LIMIT: Duration = Duration::from_secs(30);
/// For a pod to be removed.
pub const GONE_LIMIT: Duration = Duration::from_secs(45);

/// The ServiceAccount that may make sessions in its namespace.
const RUNNER: &str = "runner";

#[derive(Clone)]
pub struct Namespace {
    pub cluster: Cluster,
    pub name: String,
}

impl Namespace {
    pub(crate) async fn make(cluster: Cluster) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let namespace: KubeNamespace = serde_json::from_value(json!({
            "metadata": {
                "generateName": format!("e2e-{number}-"),
                "labels": {"browser-operator.io/e2e": "true"},
            },
        }))?;
        let made = Api::<KubeNamespace>::all(cluster.client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .context("make a namespace")?;
        Ok(Self { cluster, name: made.name_any() })
    }

    pub(crate) async fn clear(&self) -> Result<()> {
        self.sessions()
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
            .context("delete the sessions")?;
        self.nothing_left().await
    }

    /// Does not wait for the end, which takes the API server some seconds.
    pub(crate) async fn remove(&self) -> Result<()> {
        Api::<KubeNamespace>::all(self.cluster.client.clone())
            .delete(&self.name, &DeleteParams::default())
            .await
            .context("delete the namespace")?;
        Ok(())
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cluster.client.clone(), &self.name)
    }

    #[must_use]
    pub fn sessions(&self) -> Api<BrowserSession> {
        self.api()
    }

    #[must_use]
    pub fn pods(&self) -> Api<Pod> {
        self.api()
    }

    #[must_use]
    pub fn services(&self) -> Api<Service> {
        self.api()
    }

    /// Creates a session from a manifest's JSON, under strict validation, as `kubectl` does.
    pub async fn submit(&self, manifest: &Value) -> kube::Result<BrowserSession> {
        self.request("fieldValidation=Strict", manifest).await
    }

    /// Asks the API server whether it would take a session, without making it. Gives the object with its defaults.
    pub async fn try_out(&self, manifest: &Value) -> kube::Result<Value> {
        self.request("fieldValidation=Strict&dryRun=All", manifest).await
    }

    async fn request<T: DeserializeOwned>(&self, query: &str, manifest: &Value) -> kube::Result<T> {
        let uri = format!(
            "/apis/browser-operator.io/v1alpha1/namespaces/{}/browsersessions?{query}",
            self.name
        );
        let request = http::Request::post(uri)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(manifest.to_string().into_bytes())
            .map_err(|error| kube::Error::Service(Box::new(error)))?;
        self.cluster.client.request(request).await
    }

    pub async fn create(&self, name: &str, spec: Value) -> Result<BrowserSession> {
        self.submit(&session_json(name, spec))
            .await
            .with_context(|| format!("create session {name}"))
    }

    pub async fn create_ready(&self, name: &str, spec: Value) -> Result<Live> {
        self.create(name, spec).await?;
        self.ready(name).await
    }

    pub async fn ready(&self, name: &str) -> Result<Live> {
        let settled = |session: Option<&BrowserSession>| {
            session.is_some_and(|s| s.is_ready() || s.is_terminal())
        };
        let session = until(&self.sessions(), name, "Ready", READY_LIMIT, settled).await?;
        let session = session.context("it is there")?;
        ensure!(session.is_ready(), "{name} is not Ready: {:?}", session.telling_condition());
        Live::new(session)
    }

    /// Waits until a session's condition has a reason.
    pub async fn reason(
        &self,
        name: &str,
        reason: Reason,
        limit: Duration,
    ) -> Result<BrowserSession> {
        let is_it = |session: Option<&BrowserSession>| {
            session
                .and_then(BrowserSession::telling_condition)
                .is_some_and(|condition| condition.reason == reason.as_str())
        };
        let session = until(&self.sessions(), name, reason.as_str(), limit, is_it).await?;
        session.context("it is there")
    }

    /// Waits until a session has ended, checks that its record is as a finished one's must be, and waits until its pod
    /// is gone.
    pub async fn ended(&self, name: &str, phase: Phase, reason: Reason) -> Result<BrowserSession> {
        let session = until(&self.sessions(), name, "ended", END_LIMIT, |session| {
            session.is_some_and(BrowserSession::is_terminal)
        })
        .await?
        .context("it is there")?;
        check_end(&session, phase, reason)?;
        self.pod_gone(&session).await?;
        Ok(session)
    }

    pub async fn pod_gone(&self, session: &BrowserSession) -> Result<()> {
        let of_session = format!("{SESSION_UID_LABEL}={}", session.uid().unwrap_or_default());
        let config = Config::default().labels(&of_session);
        until_all(&self.pods(), config, "gone: the session's pod", GONE_LIMIT, |pods| {
            pods.is_empty()
        })
        .await
        .map(drop)
    }

    /// Waits until there is neither a browser's pod nor a session's own Service.
    pub async fn nothing_left(&self) -> Result<()> {
        let ours = format!("{MANAGED_BY_LABEL}={MANAGED_BY}");
        let config = Config::default().labels(&ours);
        until_all(&self.pods(), config, "gone: browser pods", GONE_LIMIT, |pods| pods.is_empty())
            .await?;
        let config = Config::default().labels(SESSION_UID_LABEL);
        until_all(&self.services(), config, "gone: sessions' Services", GONE_LIMIT, |services| {
            services.is_empty()
        })
        .await
        .map(drop)
    }

    pub async fn delete(&self, name: &str) -> Result<()> {
        self.sessions()
            .delete(name, &DeleteParams::default())
            .await
            .context("delete the session")?;
        Ok(())
    }

    /// The gateway for a client with a token that may make sessions here.
    pub async fn client(&self) -> Result<Classic> {
        let token = self.runner().await?;
        Ok(Classic::new(&self.cluster.settings.gateway_url, Some(token)))
    }

    /// A token of a ServiceAccount that may make sessions here.
    pub async fn runner(&self) -> Result<String> {
        let token = self.service_account(RUNNER).await?;
        let role: Role = serde_json::from_value(json!({
            "metadata": {"name": RUNNER},
            "rules": [{"apiGroups": ["browser-operator.io"], "resources": ["browsersessions"], "verbs": ["create"]}],
        }))?;
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": RUNNER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": RUNNER},
            "subjects": [{"kind": "ServiceAccount", "name": RUNNER, "namespace": self.name}],
        }))?;
        self.api().create(&PostParams::default(), &role).await.context("make a role")?;
        self.api().create(&PostParams::default(), &binding).await.context("bind the role")?;
        // The API server's authorizer learns of it a moment later.
        eventually(Duration::from_secs(10), async || self.may_create(RUNNER).await).await?;
        Ok(token)
    }

    /// A token of a ServiceAccount that may do nothing yet.
    pub async fn service_account(&self, name: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = self.api();
        let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        accounts.create(&PostParams::default(), &account).await.context("make a ServiceAccount")?;
        let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let granted = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .context("ask for a token")?;
        Ok(granted.status.context("a token")?.token)
    }

    async fn may_create(&self, account: &str) -> Result<()> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{}:{account}", self.name)),
                resource_attributes: Some(ResourceAttributes {
                    group: Some("browser-operator.io".to_owned()),
                    resource: Some("browsersessions".to_owned()),
                    namespace: Some(self.name.clone()),
                    verb: Some("create".to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews = Api::<SubjectAccessReview>::all(self.cluster.client.clone());
        let review = reviews.create(&PostParams::default(), &review).await?;
        ensure!(review.status.is_some_and(|status| status.allowed), "{account} may not yet");
        Ok(())
    }
}

/// A session that is Ready, with the fields that its status must have.
#[derive(Clone, Debug)]
pub struct Live {
    /// The object.
    pub session: BrowserSession,
    pub status: BrowserSessionStatus,
    /// The WebDriver session id.
    pub id: String,
    pub pod: String,
    /// The pod's IP.
    pub ip: String,
}

impl Live {
    fn new(session: BrowserSession) -> Result<Self> {
        let status = session.status.clone().context("status")?;
        Ok(Self {
            id: status.session_id.clone().context("status.sessionId")?,
            pod: status.pod_name.clone().context("status.podName")?,
            ip: status.pod_ip.clone().context("status.podIP")?,
            status,
            session,
        })
    }
}

/// Checks that a record is as one of a session that ended for this reason must be.
pub fn check_end(session: &BrowserSession, phase: Phase, reason: Reason) -> Result<()> {
    let status = session.status.as_ref().context("status")?;
    let finished = session.condition(FINISHED).context("the condition Finished")?;
    ensure!(
        finished.reason == reason.as_str(),
        "ended for {} ({}), not {reason}",
        finished.reason,
        finished.message
    );
    ensure!(finished.status == "True", "Finished is {}", finished.status);
    let expected = if phase == Phase::Failed { Some(("False", "True")) } else { None };
    let (ready, stalled) = (session.condition(READY), session.condition(STALLED));
    let found = ready.zip(stalled).map(|(r, s)| (r.status.as_str(), s.status.as_str()));
    ensure!(
        found == expected && ready.is_none() == expected.is_none(),
        "Ready is {ready:?}, Stalled is {stalled:?}"
    );
    ensure!(
        status.conditions.iter().all(|condition| condition.reason == finished.reason),
        "the conditions have several reasons: {:?}",
        status.conditions
    );
    ensure!(status.phase == Some(phase), "the phase is {:?}, not {phase:?}", status.phase);
    ensure!(status.ended_at.is_some(), "status.endedAt is missing");
    ensure!(
        status.web_socket_url.is_none()
            && status.web_driver_url.is_none()
            && status.cdp_url.is_none(),
        "status still has URLs"
    );
    ensure!(
        status.observed_generation == session.metadata.generation,
        "status.observedGeneration is {:?}",
        status.observed_generation
    );
    Ok(())
}
