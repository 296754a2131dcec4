//! One session, four roads: whoever made it, it is seen, driven and ended over each of the others, as one object with one
//! id and one reason at its end.

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
enum Road {
    Kubectl,
    Classic,
    Browserbase,
    BrowserUse,
}

const ROADS: [Road; 4] = [Road::Kubectl, Road::Classic, Road::Browserbase, Road::BrowserUse];

/// One key, shown in each protocol's way.
struct Roads<'a> {
    namespace: &'a Namespace,
    hosted: Hosted,
    classic: Classic,
}

impl Roads<'_> {
    /// Makes a session, and gives its id.
    async fn make(&self, road: Road, name: &str) -> Result<String> {
        let chrome = json!({"browserName": "chrome"});
        match road {
            Road::Kubectl => {
                let spec = json!({"capabilities": {"alwaysMatch": chrome}});
                Ok(self.namespace.create_ready(name, spec).await?.id)
            }
            Road::Classic => Ok(self.classic.new_session(chrome).await?.id),
            Road::Browserbase => id(&self.hosted.browserbase(json!({"keepAlive": true})).await?),
            Road::BrowserUse => id(&self.hosted.browser_use("sessions", json!({})).await?),
        }
    }

    /// Every road shows the same session, and it is the only one.
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

    /// What one road does, the others see.
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

    async fn end(&self, road: Road, id: &str, object: &BrowserSession) -> Result<()> {
        match road {
            Road::Kubectl => self.namespace.delete(&object.name_any()).await,
            Road::Classic => self.classic.delete(&format!("/session/{id}")).await.map(drop),
            Road::Browserbase => self.hosted.release(id).await.map(drop),
            Road::BrowserUse => self.hosted.stop("browsers", id).await.map(drop),
        }
    }

    /// It has ended for all of them.
    async fn over(
        &self,
        road: Road,
        id: &str,
        urls: &[Value],
        object: &BrowserSession,
    ) -> Result<()> {
        let (one, other) = (format!("/v1/sessions/{id}"), format!("/api/v2/sessions/{id}"));
        let reason = match road {
            Road::Kubectl => {
                // The record goes with the object.
                self.namespace.pod_gone(object).await?;
                self.hosted.until_status(&one, 404).await?;
                self.hosted.until_status(&other, 404).await?;
                None
            }
            Road::Classic => Some(Reason::ClientEnded),
            Road::Browserbase | Road::BrowserUse => Some(Reason::Released),
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

/// Makes a session over one road for each of the others, over which it is ended.
async fn ended_over_each_other(maker: Road) -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let gateway = &namespace.cluster.settings.gateway_url;
            let roads = Roads {
                namespace: &namespace,
                hosted: Hosted::of(&namespace, &key),
                classic: Classic::new(gateway, Some(key.text.clone())),
            };
            for (number, ender) in ROADS.into_iter().filter(|road| *road != maker).enumerate() {
                let ends = async {
                    let id = roads.make(maker, &format!("s{number}")).await?;
                    let object = roads.seen(&id).await?;
                    roads.driven(&id).await?;
                    let session = roads.hosted.get(&format!("/v1/sessions/{id}")).await?;
                    let mut tools =
                        Bidi::connect(session["connectUrl"].as_str().context("a URL")?).await?;
                    tools.exchange("Browser.getVersion", json!({})).await?;
                    roads.end(ender, &id, &object).await?;
                    let frame = tools.closed(e2e::namespace::END_LIMIT).await?;
                    println!("{maker:?}, ended by {ender:?}: {frame:?}");
                    let urls = [session["connectUrl"].clone()];
                    roads.over(ender, &id, &urls, &object).await
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
    ended_over_each_other(Road::Kubectl).await
}

#[tokio::test]
async fn a_session_of_web_driver_is_everybodys() -> Result<()> {
    ended_over_each_other(Road::Classic).await
}

#[tokio::test]
async fn a_session_of_browserbase_is_everybodys() -> Result<()> {
    ended_over_each_other(Road::Browserbase).await
}

#[tokio::test]
async fn a_session_of_browser_use_is_everybodys() -> Result<()> {
    ended_over_each_other(Road::BrowserUse).await
}
