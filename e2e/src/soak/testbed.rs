//! What all cycles share: the namespace, the observer, the gateways.

use std::cell::RefCell;

use anyhow::{Context, Result};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount},
};
use kube::{Api, ResourceExt, api::PostParams};
use tokio::time::{Duration, Instant};

use super::{
    observer::Observer, outage::Component, outcome::Outcome, plan::Browser, random::Random,
};
use crate::{Classic, Namespace, operator::is_ready};

/// For a gateway to become ready.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(60);
/// A token is renewed after this time; it expires after an hour.
const TOKEN_LIFETIME: Duration = Duration::from_secs(1800);

pub struct Testbed<'a> {
    pub namespace: &'a Namespace,
    pub observer: &'a Observer,
    /// The browsers that the cluster has.
    pub browsers: Vec<Browser>,
    client: RefCell<(Instant, Classic)>,
    token: RefCell<String>,
}

#[derive(Clone, Debug)]
pub struct Gateway {
    /// The pod's uid.
    pub pod: String,
    /// `host:port`.
    pub authority: String,
}

impl<'a> Testbed<'a> {
    pub async fn new(
        namespace: &'a Namespace,
        observer: &'a Observer,
        browsers: Vec<Browser>,
    ) -> Result<Self> {
        let token = namespace.runner().await?;
        let client = Classic::new(&namespace.cluster.settings.gateway_url, Some(token.clone()));
        let client = RefCell::new((Instant::now(), client));
        Ok(Self { namespace, observer, browsers, client, token: RefCell::new(token) })
    }

    #[must_use]
    pub fn class(&self, browser: Browser) -> String {
        super::classes::name(self.namespace, browser)
    }

    /// A random gateway that is ready.
    pub async fn gateway(&self, random: &mut Random) -> Result<Gateway> {
        let find = |seen: &super::observer::Seen| {
            let ready = seen.component(Component::Gateway.as_str()).filter(|pod| is_ready(pod));
            let ready: Vec<Gateway> = ready.filter_map(gateway).collect();
            (!ready.is_empty()).then_some(ready)
        };
        let ready =
            self.observer.wait_for("a gateway that is ready", GATEWAY_TIMEOUT, find).await?;
        random.pick(&ready).cloned().context("there is one")
    }

    /// A client of that gateway with a token that may create sessions.
    pub async fn client(&self, gateway: &Gateway) -> Result<Classic> {
        let is_old = self.client.borrow().0.elapsed() > TOKEN_LIFETIME;
        if is_old {
            let token = self.new_token().await?;
            let url = &self.namespace.cluster.settings.gateway_url;
            *self.client.borrow_mut() = (Instant::now(), Classic::new(url, Some(token.clone())));
            *self.token.borrow_mut() = token;
        }
        Ok(self.client.borrow().1.at(&format!("http://{}", gateway.authority)))
    }

    /// A token that may create sessions.
    #[must_use]
    pub fn token(&self) -> String {
        self.token.borrow().clone()
    }

    async fn new_token(&self) -> Result<String> {
        let client = self.namespace.cluster.client.clone();
        let accounts = Api::<ServiceAccount>::namespaced(client, &self.namespace.name);
        let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let granted = accounts
            .create_token_request("runner", &PostParams::default(), &request)
            .await
            .context("ask for a token")?;
        Ok(granted.status.context("a token")?.token)
    }

    /// Whether a session is over, now or within `limit`.
    pub async fn is_over_within(&self, session: &str, limit: Duration) -> bool {
        let over =
            self.observer.wait_for("over", limit, |seen| seen.is_over(session).then_some(()));
        over.await.is_ok()
    }

    /// Drops a finished cycle whose object is gone, to bound memory.
    pub fn forget(&self, outcome: &Outcome) {
        let Some(uid) = outcome.journal.evidence().session else { return };
        self.observer.update(|seen| {
            if outcome.wrong.is_empty()
                && seen.sessions.get(&uid).is_some_and(|history| history.gone.is_some())
            {
                seen.sessions.remove(&uid);
                seen.event_reasons.remove(&uid);
            }
        });
    }
}

fn gateway(pod: &Pod) -> Option<Gateway> {
    let ip = pod.status.as_ref()?.pod_ip.as_deref()?;
    Some(Gateway { pod: pod.uid()?, authority: crate::agent::address(ip) })
}
