//! One session, four APIs: whichever created it, every other one sees, drives and ends it, as one object with one id and
//! one end reason.

use anyhow::{Context, Result, ensure};
use crds::{BrowserSession, Phase, Reason};
use e2e::{
    Bidi, Classic, Namespace,
    hosted::{Hosted, below, evaluate, id, page, with_key},
    kubectl::kubectl,
    with_namespace,
};
use kube::ResourceExt;
use reqwest::Method;
use serde_json::{Value, json};

/// Who makes a session, and who ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Kubectl,
    Classic,
    Browserbase,
    BrowserUse,
}

const ROADS: [Api; 4] = [Api::Kubectl, Api::Classic, Api::Browserbase, Api::BrowserUse];

/// One key, shown in each protocol's way.
struct Apis<'a> {
    namespace: &'a Namespace,
    hosted: Hosted,
    classic: Classic,
}

impl Apis<'_> {
    /// Makes a session, and gives its id.
    async fn make(&self, api: Api, name: &str) -> Result<String> {
        let chrome = json!({"browserName": "chrome"});
        match api {
            Api::Kubectl => {
                let spec = json!({"capabilities": {"alwaysMatch": chrome}});
                Ok(self.namespace.create_ready(name, spec).await?.id)
            }
            Api::Classic => Ok(self.classic.new_session(chrome).await?.id),
            Api::Browserbase => id(&self.hosted.browserbase(json!({"keepAlive": true})).await?),
            Api::BrowserUse => id(&self.hosted.browser_use("sessions", json!({})).await?),
        }
    }

    /// Every API shows the same session, and it is the only one.
    async fn seen(&self, id: &str) -> Result<BrowserSession> {
        let object = self.namespace.cluster.session_with_id(id).await?;
        ensure!(object.namespace().as_deref() == Some(self.namespace.name.as_str()), "elsewhere");
        let shown = kubectl(&[
            "--namespace",
            &self.namespace.name,
            "get",
            "bs",
            &object.name_any(),
            "-o",
            "jsonpath={.status.sessionId} {.status.phase}",
        ])
        .await?;
        assert_eq!(shown, format!("{id} Ready"));
        let status = object.status.as_ref().context("status")?;
        let started = json!(status.started_at.as_ref().context("startedAt")?.0.to_string());
        let expires = json!(status.expires_at.as_ref().context("expiresAt")?.0.to_string());

        let session = self.hosted.get(&format!("/v1/sessions/{id}")).await?;
        assert_eq!((&session["status"], &session["id"]), (&json!("RUNNING"), &json!(id)));
        assert_eq!((&session["startedAt"], &session["expiresAt"]), (&started, &expires));
        let running = self.hosted.get("/v1/sessions?status=RUNNING").await?;
        assert_eq!((running.as_array().map(Vec::len), &running[0]["id"]), (Some(1), &json!(id)));

        for (kind, version) in [("sessions", "v2"), ("browsers", "v2"), ("browsers", "v4")] {
            let shown = self.hosted.get(&format!("/api/{version}/{kind}/{id}")).await?;
            assert_eq!((&shown["status"], &shown["startedAt"]), (&json!("active"), &started));
            let path = format!("/api/{version}/{kind}?filterBy=active");
            let list = self.hosted.get(&path).await?;
            assert_eq!((&list["totalItems"], &list["items"][0]["id"]), (&json!(1), &json!(id)));
        }
        Ok(object)
    }

    /// What one API does, the others see.
    async fn driven(&self, id: &str) -> Result<()> {
        self.classic.open(id, &self.namespace.cluster.page("/")).await?;
        let session = self.hosted.get(&format!("/v1/sessions/{id}")).await?;
        let browser = self.hosted.get(&format!("/api/v2/browsers/{id}")).await?;
        for (url, title) in [(&session["connectUrl"], "one"), (&browser["cdpUrl"], "two")] {
            let mut page = page(&self.hosted, url.as_str().context("a URL")?).await?;
            assert_eq!(
                evaluate(&mut page, "document.querySelector('#heading').textContent").await?,
                "browser-operator"
            );
            evaluate(&mut page, &format!("document.title = '{title}'")).await?;
            assert_eq!(self.classic.title(id).await?, title);
        }
        // Selenium's way into the same one.
        let (base, key) = (session["seleniumRemoteUrl"].as_str(), session["signingKey"].as_str());
        let (base, key) = (base.context("seleniumRemoteUrl")?, key.context("signingKey")?);
        let headers = [("x-bb-signing-key", key)];
        let path = format!("{base}/session");
        let joined =
            self.hosted.send_with(Method::POST, &path, Some("{}".to_owned()), &headers).await?;
        assert_eq!(joined.body["value"]["sessionId"], id);
        assert_eq!(Classic::new(base, None).title(id).await?, "two");
        Ok(())
    }

    async fn end(&self, api: Api, id: &str, object: &BrowserSession) -> Result<()> {
        match api {
            Api::Kubectl => self.namespace.delete(&object.name_any()).await,
            Api::Classic => self.classic.delete(&format!("/session/{id}")).await.map(drop),
            Api::Browserbase => self.hosted.release(id).await.map(drop),
            Api::BrowserUse => self.hosted.stop("browsers", id).await.map(drop),
        }
    }

    /// It has ended for all of them.
    async fn over(
        &self,
        api: Api,
        id: &str,
        urls: &[Value],
        object: &BrowserSession,
    ) -> Result<()> {
        let (one, other) = (format!("/v1/sessions/{id}"), format!("/api/v2/sessions/{id}"));
        let reason = match api {
            Api::Kubectl => {
                // The record goes with the object.
                self.namespace.pod_gone(object).await?;
                self.hosted.until_status(&one, 404).await?;
                self.hosted.until_status(&other, 404).await?;
                None
            }
            Api::Classic => Some(Reason::ClientEnded),
            Api::Browserbase | Api::BrowserUse => Some(Reason::Released),
        };
        if let Some(reason) = reason {
            let ended = self.namespace.ended(&object.name_any(), Phase::Completed, reason).await?;
            let at = ended.status.and_then(|status| status.ended_at).context("endedAt")?;
            let at = json!(at.0.to_string());
            let shown = self.hosted.get(&one).await?;
            assert_eq!((&shown["status"], &shown["endedAt"]), (&json!("COMPLETED"), &at));
            let shown = self.hosted.get(&other).await?;
            assert_eq!((&shown["status"], &shown["finishedAt"]), (&json!("stopped"), &at));
        }
        let reply = self.classic.send(Method::GET, &format!("/session/{id}/title"), None).await?;
        assert_eq!((reply.status, reply.error()), (404, "invalid session id"));
        for url in urls {
            let url = url.as_str().context("a URL")?;
            self.hosted.expect(404, Method::GET, &below(url, "/json/version")?, None).await?;
        }
        Ok(())
    }
}

/// Creates a session over one API for each of the others, which ends it.
async fn ended_over_each_other(maker: Api) -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let gateway = &namespace.cluster.settings.gateway_url;
            let apis = Apis {
                namespace: &namespace,
                hosted: Hosted::of(&namespace, &key),
                classic: Classic::new(gateway, Some(key.text.clone())),
            };
            for (number, ender) in ROADS.into_iter().filter(|api| *api != maker).enumerate() {
                let ends = async {
                    let id = apis.make(maker, &format!("s{number}")).await?;
                    let object = apis.seen(&id).await?;
                    apis.driven(&id).await?;
                    let session = apis.hosted.get(&format!("/v1/sessions/{id}")).await?;
                    let mut tools =
                        Bidi::connect(session["connectUrl"].as_str().context("a URL")?).await?;
                    tools.send_command("Browser.getVersion", json!({})).await?;
                    apis.end(ender, &id, &object).await?;
                    let frame = tools.closed(e2e::namespace::END_LIMIT).await?;
                    println!("{maker:?}, ended by {ender:?}: {frame:?}");
                    let urls = [session["connectUrl"].clone()];
                    apis.over(ender, &id, &urls, &object).await
                };
                ends.await.with_context(|| format!("made by {maker:?}, ended by {ender:?}"))?;
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_session_of_a_manifest_is_everybodys() -> Result<()> {
    ended_over_each_other(Api::Kubectl).await
}

#[tokio::test]
async fn a_session_of_web_driver_is_everybodys() -> Result<()> {
    ended_over_each_other(Api::Classic).await
}

#[tokio::test]
async fn a_session_of_browserbase_is_everybodys() -> Result<()> {
    ended_over_each_other(Api::Browserbase).await
}

#[tokio::test]
async fn a_session_of_browser_use_is_everybodys() -> Result<()> {
    ended_over_each_other(Api::BrowserUse).await
}
