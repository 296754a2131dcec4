//! What the fields of the create calls come to: in the object, and in the browser.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{
    Bidi,
    hosted::{self, Hosted, evaluate, socket, with_key},
    wait::eventually,
    with_namespace,
};
use k8s_openapi::api::core::v1::Event;
use kube::{Api, ResourceExt, api::ListParams};
use reqwest::Method;
use serde_json::{Value, json};

use super::object;

fn connect_url(made: &Value) -> Result<&str> {
    made["connectUrl"].as_str().or(made["cdpUrl"].as_str()).context("connectUrl or cdpUrl")
}

/// A socket on the page of a session, however that was made: Browser Use's sessions are its browsers, too, and have their
/// URL there.
async fn page_of(client: &Hosted, made: &Value) -> Result<Bidi> {
    let browser = client.get(&format!("/api/v2/browsers/{}", hosted::id(made)?)).await?;
    hosted::page(client, connect_url(&browser)?).await
}

#[tokio::test]
async fn every_field_is_the_objects() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let nothing = json!({
                "timeout": 1800, "idle": 0, "connect": 300, "ttl": 3600, "keepAlive": false, "viewport": null,
                "metadata": null, "insecure": false, "domains": null,
            });
            let browserbase = json!({
                "timeout": 60, "keepAlive": true, "userMetadata": {"stagehand": "true"}, "proxies": false,
                "browserSettings": {
                    "viewport": {"width": 1288, "height": 711}, "os": "linux", "ignoreCertificateErrors": true,
                    "blockAds": false, "recordSession": false, "logSession": false, "solveCaptchas": false,
                    "allowedDomains": ["example.com"],
                },
            });
            let same = json!({
                "timeout": 60, "idle": 0, "connect": 300, "ttl": 3600, "keepAlive": true,
                "viewport": {"width": 1288, "height": 711}, "metadata": {"stagehand": "true"}, "insecure": true,
                "domains": ["example.com", "*.example.com"],
            });
            for (path, body, expected) in [
                ("/v1/sessions", json!({}), nothing),
                ("/v1/sessions", browserbase, same),
                (
                    "/api/v2/browsers",
                    // As the open-source client sends it.
                    json!({"timeout": 1, "profile_id": null, "proxy_country_code": null, "enable_recording": false}),
                    json!({
                        "timeout": 60, "idle": 0, "connect": 300, "ttl": 3600, "keepAlive": true, "viewport": null,
                        "metadata": null, "insecure": false, "domains": null,
                    }),
                ),
            ] {
                let made = client.expect(201, Method::POST, path, Some(body)).await?;
                let spec = serde_json::to_value(object(&namespace, &made).await?.spec)?;
                assert_eq!(spec["capabilities"]["alwaysMatch"], json!({"browserName": "chrome"}));
                let shown = json!({
                    "timeout": spec["timeoutSeconds"], "idle": spec["idleTimeoutSeconds"],
                    "connect": spec["connectTimeoutSeconds"], "ttl": spec["ttlSecondsAfterFinished"],
                    "keepAlive": spec["keepAlive"], "viewport": spec["viewport"], "metadata": spec["userMetadata"],
                    "insecure": spec["ignoreCertificateErrors"], "domains": spec["allowedDomains"],
                });
                assert_eq!(shown, expected, "{path}");
                client.release(&hosted::id(&made)?).await?;
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_viewport_is_what_the_page_has() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let viewport = json!({"browserSettings": {"viewport": {"width": 1000, "height": 700}}});
            for (path, body, expected) in [
                ("/v1/sessions", viewport, [1000, 700]),
                (
                    "/api/v2/sessions",
                    json!({"browserScreenWidth": 900, "browserScreenHeight": 600}),
                    [900, 600],
                ),
                ("/api/v2/browsers", json!({"browser_screen_width": 800}), [800, 1080]),
            ] {
                let made = client.expect(201, Method::POST, path, Some(body)).await?;
                let mut page = page_of(&client, &made).await?;
                let size = evaluate(&mut page, "[innerWidth, innerHeight]").await?;
                assert_eq!(size, json!(expected), "{path}");
                client.release(&hosted::id(&made)?).await?;
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn the_first_page_is_open_when_the_call_answers() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let site = namespace.cluster.page("/");
            let made = client.browser_use("sessions", json!({"startUrl": site})).await?;
            let mut page = page_of(&client, &made).await?;
            assert_eq!(evaluate(&mut page, "document.title").await?, "browser-operator");
            assert_eq!(evaluate(&mut page, "document.readyState").await?, "complete");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_first_page_that_does_not_load_is_an_event() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            // A name that nobody has.
            let made = client
                .browser_use("sessions", json!({"startUrl": "http://nowhere.invalid/"}))
                .await?;
            assert_eq!(made["status"], "active");
            let uid = object(&namespace, &made).await?.uid().context("a uid")?;
            let events =
                Api::<Event>::namespaced(namespace.cluster.client.clone(), &namespace.name);
            let of_it =
                ListParams::default().fields(&format!("involvedObject.uid={uid},type=Warning"));
            eventually(Duration::from_secs(10), async || {
                let told: Vec<String> = events
                    .list(&of_it)
                    .await?
                    .into_iter()
                    .filter_map(|event| event.message)
                    .collect();
                ensure!(
                    told.iter().any(|message| message.contains("startUrl did not load")),
                    "{told:?}"
                );
                Ok(())
            })
            .await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_session_that_is_not_kept_ends_with_its_connection() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            for keep in [false, true] {
                let made = client.browserbase(json!({"keepAlive": keep})).await?;
                let (object, url) = (object(&namespace, &made).await?, connect_url(&made)?);
                let mut tools = Bidi::connect(url).await?;
                tools.send_command("Browser.getVersion", json!({})).await?;
                // One of two.
                let other = Bidi::connect(url).await?;
                other.close().await?;
                tools.send_command("Browser.getVersion", json!({})).await?;
                tools.close().await?;
                if keep {
                    Bidi::connect(url).await?.send_command("Browser.getVersion", json!({})).await?;
                    client.release(&hosted::id(&made)?).await?;
                } else {
                    namespace
                        .ended(&object.name_any(), Phase::Completed, Reason::Disconnected)
                        .await?;
                    let shown = client.get(&format!("/v1/sessions/{}", hosted::id(&made)?)).await?;
                    assert_eq!(shown["status"], "COMPLETED");
                }
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn browser_close_ends_it_even_if_it_is_kept() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let made = client.browser_use("browsers", json!({})).await?;
            let object = object(&namespace, &made).await?;
            let mut tools = Bidi::connect(&socket(connect_url(&made)?)).await?;
            tools.send_command("Browser.close", json!({})).await?;
            namespace.ended(&object.name_any(), Phase::Completed, Reason::ClientEnded).await?;
            let shown = client.get(&format!("/api/v2/browsers/{}", hosted::id(&made)?)).await?;
            assert_eq!((&shown["status"], &shown["cdpUrl"]), (&json!("stopped"), &Value::Null));
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn firefox_has_no_such_urls_and_says_so() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let firefox = json!({"capabilities": {"alwaysMatch": {"browserName": "firefox"}}});
            let live = namespace.create_ready("firefox", firefox).await?;
            let shown = client.get(&format!("/v1/sessions/{}", live.id)).await?;
            assert_eq!(shown["status"], "RUNNING");
            let url = connect_url(&shown)?;
            let refused = client
                .expect(404, Method::GET, &hosted::below(url, "/json/version")?, None)
                .await?;
            ensure!(refused.to_string().contains("Firefox"), "{refused}");
            assert_eq!(Bidi::refusal(url).await?, 404);
            // Selenium's road is as good as any.
            let driver = e2e::Classic::new(
                shown["seleniumRemoteUrl"].as_str().context("seleniumRemoteUrl")?,
                None,
            );
            driver.open(&live.id, &namespace.cluster.page("/")).await
        })
        .await
    })
    .await
}
