//! The cluster under test.

use anyhow::{Context, Result};
use crds::{BrowserClass, BrowserSession};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams},
};
use support::objects;

use crate::{bidi::Bidi, classic::Classic, finally::finally, settings::Settings};

/// A cluster with the operator in it.
#[derive(Clone)]
pub struct Cluster {
    /// Its API, as its administrator.
    pub client: Client,
    pub settings: Settings,
}

impl Cluster {
    /// Connects to the cluster that the environment names.
    pub async fn connect() -> Result<Self> {
        let settings = Settings::from_environment()?;
        // An error means that another test of this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_default().await.context("read KUBECONFIG")?;
        client.apiserver_version().await.context("the cluster that KUBECONFIG names")?;
        Ok(Self { client, settings })
    }

    /// A page of the test site: `/` or one of its files.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.settings.site_url)
    }

    /// The gateway for a client that does not say who it is.
    #[must_use]
    pub fn anonymous(&self) -> Classic {
        Classic::new(&self.settings.gateway_url, None)
    }

    /// Where a session's BiDi is, as this machine reaches it: status has the URL as clients in the cluster do.
    #[must_use]
    pub fn socket_url(&self, session_id: &str) -> String {
        format!("{}/session/{session_id}", self.bare_socket_url().trim_end_matches("/session"))
    }

    /// Where BiDi sessions are made.
    #[must_use]
    pub fn bare_socket_url(&self) -> String {
        format!("{}/session", self.settings.gateway_url.replacen("http", "ws", 1))
    }

    pub async fn socket(&self, session_id: &str) -> Result<Bidi> {
        Bidi::connect(&self.socket_url(session_id)).await
    }

    #[must_use]
    pub fn classes(&self) -> Api<BrowserClass> {
        Api::all(self.client.clone())
    }

    /// The class that a session without a class name gets.
    pub async fn default_class(&self) -> Result<BrowserClass> {
        let all = Api::all(self.client.clone());
        let classes = objects::list::<BrowserClass>(&all).await.context("list classes")?;
        classes
            .into_iter()
            .find(BrowserClass::is_default)
            .context("no BrowserClass is annotated as the default")
    }

    /// Runs a test with a class of its own, which is deleted after it.
    pub async fn with_class<T>(
        &self,
        class: &BrowserClass,
        test: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<T> {
        self.classes().create(&PostParams::default(), class).await.context("create the class")?;
        let away = async {
            let deleted = self.classes().delete(&class.name_any(), &DeleteParams::default()).await;
            deleted.map(drop).context("delete the class")
        };
        // A test is large, and stands in tests that are larger: not on the stack of a test's thread.
        finally(Box::pin(test()), away).await
    }

    /// Those of all namespaces that can be read: a test beside this one may have made one that cannot.
    pub async fn sessions(&self) -> Result<Vec<BrowserSession>> {
        objects::list(&Api::all(self.client.clone())).await.context("list sessions")
    }

    /// The object of a session that a client made.
    pub async fn session_with_id(&self, session_id: &str) -> Result<BrowserSession> {
        self.sessions()
            .await?
            .into_iter()
            .find(|session| {
                session.status.as_ref().and_then(|status| status.session_id.as_deref())
                    == Some(session_id)
            })
            .context("no BrowserSession has this id in its status")
    }
}
