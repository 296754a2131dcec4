//! The browser's DevTools through the gateway, where Selenium's clients look for them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{Bidi, with_namespace};
use kube::ResourceExt;
use serde_json::json;

#[tokio::test]
async fn a_cdp_client_finds_the_page_and_drives_it() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let created = client.new_session(json!({"browserName": "chrome"})).await?;
        client.open(&created.id, &namespace.cluster.page("/")).await?;
        let told = created.capabilities["se:cdp"].as_str().context("se:cdp")?;
        ensure!(told.ends_with(&format!("/session/{}/se/cdp", created.id)), "{told}");
        assert_eq!(created.capabilities["se:cdpVersion"], created.capabilities["browserVersion"]);

        let url = format!("{}/se/cdp", namespace.cluster.socket_url(&created.id));
        let mut tools = Bidi::connect(&url).await?;
        let mut ask = async |id: u64, method: &str, params, page: Option<String>| {
            let mut message = json!({"id": id, "method": method, "params": params});
            if let Some(page) = page {
                message["sessionId"] = page.into();
            }
            tools.say(message.to_string()).await?;
            // Answers have an id, events have none.
            loop {
                let reply = tools.hear().await?;
                if reply["id"] == id {
                    return Ok::<_, anyhow::Error>(reply["result"].clone());
                }
            }
        };
        let targets = ask(1, "Target.getTargets", json!({}), None).await?;
        let targets = targets["targetInfos"].as_array().context("targets")?;
        let page = targets.iter().find(|target| target["type"] == "page").context("a page")?;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let attached = ask(2, "Target.attachToTarget", attach, None).await?;
        let page = attached["sessionId"].as_str().context("sessionId")?.to_owned();
        let title = json!({"expression": "document.title"});
        let title = ask(3, "Runtime.evaluate", title, Some(page)).await?;
        assert_eq!(title["result"]["value"], "browser-operator");

        // It ends with its session, and says why.
        let session = namespace.cluster.session_with_id(&created.id).await?;
        client.delete(&format!("/session/{}", created.id)).await?;
        let frame = tools.closed(Duration::from_secs(2)).await?.context("a Close frame")?;
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, "ClientEnded"));
        namespace.ended(&session.name_any(), Phase::Completed, Reason::ClientEnded).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn firefox_has_none_and_says_so() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let created = client.new_session(json!({"browserName": "firefox"})).await?;
        ensure!(created.capabilities.get("se:cdp").is_none(), "{}", created.capabilities);
        let url = format!("{}/se/cdp", namespace.cluster.socket_url(&created.id));
        assert_eq!(Bidi::refusal(&url).await?, 404);
        let path = format!("/session/{}/goog/cdp/execute", created.id);
        let reply = client.send(reqwest::Method::POST, &path, Some(&json!({}))).await?;
        assert_eq!((reply.status, reply.error()), (404, "unknown command"));
        ensure!(reply.message().contains("Chrome DevTools Protocol"), "{}", reply.body);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_that_a_cdp_client_uses_is_not_idle() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let wanted = json!({"browserName": "chrome", "browser-operator:idleTimeoutSeconds": 3});
        let id = client.new_session(wanted).await?.id;
        let session = namespace.cluster.session_with_id(&id).await?;
        let mut tools =
            Bidi::connect(&format!("{}/se/cdp", namespace.cluster.socket_url(&id))).await?;
        // A page that logs keeps frames coming, twice as long as the limit.
        let script = "let left = 12; const tick = () => { console.log(left); left-- && setTimeout(tick, 500) }; tick()";
        let params = json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true});
        let attach = json!({"id": 1, "method": "Target.setAutoAttach", "params": params});
        tools.say(attach.to_string()).await?;
        let attached = tools.event("Target.attachedToTarget").await?;
        let page = attached["sessionId"].clone();
        for (id, method, params) in [
            (2, "Runtime.enable", json!({})),
            (3, "Runtime.evaluate", json!({"expression": script})),
        ] {
            let message = json!({"id": id, "method": method, "params": params, "sessionId": page});
            tools.say(message.to_string()).await?;
        }
        let frame = tools.closed(Duration::from_secs(30)).await?.context("a Close frame")?;
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "IdleTimeout"));
        let name = session.name_any();
        let ended = namespace.ended(&name, Phase::TimedOut, Reason::IdleTimeout).await?;
        let status = ended.status.context("status")?;
        let (started, ended) = (status.started_at.context("started")?, status.ended_at.context("ended")?);
        let lived = ended.0.duration_since(started.0);
        ensure!(lived.as_secs() >= 8, "it lived {lived:?}");
        Ok(())
    })
    .await
}
