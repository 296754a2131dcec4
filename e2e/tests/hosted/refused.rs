//! Bad input: each service's own status and shape, every fault by its name, and no object made.

use anyhow::{Result, ensure};
use e2e::{
    Reply,
    gateway::with_gateway,
    hosted::{Hosted, Key, with_key},
    with_namespace,
};
use kube::api::ListParams;
use reqwest::Method;
use serde_json::{Value, json};

/// A create call, with its service's shape of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Browserbase,
    Session,
    Browser,
}

use Call::{Browser, Browserbase, Session};

/// Every create call, and those of Browser Use.
const ALL: &[Call] = &[Browserbase, Session, Browser];
const BOTH: &[Call] = &[Session, Browser];

impl Call {
    fn path(self) -> &'static str {
        match self {
            Browserbase => "/v1/sessions",
            Session => "/api/v2/sessions",
            Browser => "/api/v3/browsers",
        }
    }

    /// Whether a reply is this service's refusal of a body, for the sake of this field.
    fn refuses(self, reply: &Reply, field: &str) -> bool {
        match self {
            Browserbase => {
                let message = reply.body["message"].as_str().unwrap_or_default();
                let names = field.is_empty() || message.contains(&format!("{field}: "));
                names && is_browserbase(reply, 400)
            }
            Session | Browser => {
                let path = field.split('.').filter(|part| !part.is_empty());
                let path: Vec<Value> = ["body"].into_iter().chain(path).map(Value::from).collect();
                let faults = reply.body["detail"].as_array().map(Vec::as_slice).unwrap_or_default();
                let is_whole =
                    |fault: &Value| fault["msg"].is_string() && fault["type"].is_string();
                reply.status == 422
                    && faults.iter().all(is_whole)
                    && faults.iter().any(|fault| fault["loc"] == Value::Array(path.clone()))
            }
        }
    }

    /// Whether a reply is this service's way to say anything else.
    fn says(self, reply: &Reply, status: u16) -> bool {
        match self {
            Browserbase => is_browserbase(reply, status),
            Session | Browser => reply.status == status && reply.body["detail"].is_string(),
        }
    }
}

fn is_browserbase(reply: &Reply, status: u16) -> bool {
    let body = &reply.body;
    reply.status == status
        && body["statusCode"] == status
        && body["error"].is_string()
        && body["message"].is_string()
}

/// A field in the settings of Browserbase's browser.
fn settings(field: Value) -> Value {
    json!({"browserSettings": field})
}

/// Calls, what they are sent, and the field that is at fault.
fn cases() -> Vec<(&'static [Call], String, &'static str)> {
    let long = "x".repeat(9000);
    let pairs: serde_json::Map<String, Value> =
        (0..11).map(|number| (format!("k{number}"), json!("v"))).collect();
    let mut cases: Vec<(&'static [Call], String, &'static str)> = vec![
        (ALL, "{".to_owned(), ""),
        (ALL, "[]".to_owned(), ""),
        (ALL, "null".to_owned(), ""),
        (ALL, "timeout=60".to_owned(), ""),
    ];
    let bodies: Vec<(&'static [Call], Value, &'static str)> = vec![
        (ALL, json!({"colour": "blue"}), "colour"),
        (&[Browserbase], json!({"projectId": "another"}), "projectId"),
        (&[Browserbase], json!({"projectId": 7}), "projectId"),
        (&[Browserbase], json!({"timeout": 59}), "timeout"),
        (&[Browserbase], json!({"timeout": 21_601}), "timeout"),
        (&[Browserbase], json!({"timeout": -1}), "timeout"),
        (&[Browserbase], json!({"timeout": 90.5}), "timeout"),
        (&[Browserbase], json!({"timeout": "60"}), "timeout"),
        (&[Browserbase], json!({"timeout": null}), "timeout"),
        (&[Browserbase], json!({"keepAlive": "yes"}), "keepAlive"),
        (&[Browserbase], json!({"region": 1}), "region"),
        (&[Browserbase], json!({"region": "mars-north-1"}), ""),
        (&[Browserbase], json!({"userMetadata": []}), "userMetadata"),
        (&[Browserbase], json!({"userMetadata": {"big": "x".repeat(20_000)}}), ""),
        (&[Browserbase], json!({"extensionId": "e"}), "extensionId"),
        (&[Browserbase], json!({"proxies": true}), "proxies"),
        (&[Browserbase], json!({"proxies": "yes"}), "proxies"),
        (&[Browserbase], json!({"proxies": [{"type": "browserbase"}]}), "proxies"),
        (&[Browserbase], json!({"proxies": [{"type": "external"}]}), "proxies.0"),
        (&[Browserbase], json!({"proxySettings": {"caCertificates": ["c"]}}), "proxySettings"),
        (&[Browserbase], json!({"browserSettings": []}), "browserSettings"),
        (&[Browserbase], settings(json!({"colour": 1})), "browserSettings.colour"),
        (&[Browserbase], settings(json!({"context": {"id": "c"}})), "browserSettings.context"),
        (&[Browserbase], settings(json!({"extensionId": "e"})), "browserSettings.extensionId"),
        (
            &[Browserbase],
            settings(json!({"viewport": {"height": 239}})),
            "browserSettings.viewport.height",
        ),
        (
            &[Browserbase],
            settings(json!({"viewport": {"width": 319, "height": 700}})),
            "browserSettings.viewport.width",
        ),
        (
            &[Browserbase],
            settings(json!({"viewport": {"width": 1280, "height": 4321}})),
            "browserSettings.viewport.height",
        ),
        (
            &[Browserbase],
            settings(json!({"viewport": {"width": "wide", "height": 700}})),
            "browserSettings.viewport.width",
        ),
        (&[Browserbase], settings(json!({"blockAds": true})), "browserSettings.blockAds"),
        (&[Browserbase], settings(json!({"blockAds": "yes"})), "browserSettings.blockAds"),
        (&[Browserbase], settings(json!({"solveCaptchas": true})), "browserSettings.solveCaptchas"),
        (&[Browserbase], settings(json!({"recordSession": true})), "browserSettings.recordSession"),
        (&[Browserbase], settings(json!({"logSession": true})), "browserSettings.logSession"),
        (
            &[Browserbase],
            settings(json!({"advancedStealth": true})),
            "browserSettings.advancedStealth",
        ),
        (&[Browserbase], settings(json!({"verified": true})), "browserSettings.verified"),
        (
            &[Browserbase],
            settings(json!({"captchaImageSelector": "#i"})),
            "browserSettings.captchaImageSelector",
        ),
        (
            &[Browserbase],
            settings(json!({"captchaInputSelector": "#i"})),
            "browserSettings.captchaInputSelector",
        ),
        (&[Browserbase], settings(json!({"os": "beos"})), "browserSettings.os"),
        (&[Browserbase], settings(json!({"os": "windows"})), "browserSettings.os"),
        (
            &[Browserbase],
            settings(json!({"allowedDomains": ["https://a.example"]})),
            "browserSettings.allowedDomains",
        ),
        (
            &[Browserbase],
            settings(json!({"ignoreCertificateErrors": 1})),
            "browserSettings.ignoreCertificateErrors",
        ),
        (BOTH, json!({"profileId": "p"}), "profileId"),
        (BOTH, json!({"profileId": 7}), "profileId"),
        (BOTH, json!({"profile_id": "6d1f2f4e-0000-8000-8000-000000000001"}), "profileId"),
        (BOTH, json!({"proxyCountryCode": "us"}), "proxyCountryCode"),
        (BOTH, json!({"proxyCountryCode": 1}), "proxyCountryCode"),
        (BOTH, json!({"customProxy": "http://h:8080"}), "customProxy"),
        (BOTH, json!({"enableRecording": true}), "enableRecording"),
        (BOTH, json!({"enable_recording": "yes"}), "enableRecording"),
        (&[Session], json!({"startUrl": 7}), "startUrl"),
        (&[Session], json!({"startUrl": long}), "startUrl"),
        (&[Session], json!({"startUrl": "ftp://example.com/"}), "startUrl"),
        (&[Session], json!({"startUrl": "javascript:alert(1)"}), "startUrl"),
        (BOTH, json!({"browserScreenWidth": 319}), "browserScreenWidth"),
        (BOTH, json!({"browserScreenWidth": 6145}), "browserScreenWidth"),
        (BOTH, json!({"browserScreenWidth": "wide"}), "browserScreenWidth"),
        (BOTH, json!({"browser_screen_height": 319}), "browserScreenHeight"),
        (BOTH, json!({"browserScreenHeight": 3457}), "browserScreenHeight"),
        (&[Session], json!({"persistMemory": "yes"}), "persistMemory"),
        (&[Session], json!({"keepAlive": 1}), "keepAlive"),
        (&[Session], json!({"timeout": 5}), "timeout"),
        (&[Browser], json!({"timeout": 0}), "timeout"),
        (&[Browser], json!({"timeout": "5"}), "timeout"),
        (&[Browser], json!({"keepAlive": true}), "keepAlive"),
        (&[Browser], json!({"metadata": []}), "metadata"),
        (&[Browser], json!({"metadata": {"a": 1}}), "metadata"),
        (&[Browser], json!({"metadata": pairs}), "metadata"),
        (&[Browser], json!({"allowResizing": 1}), "allowResizing"),
        (&[Browser], json!({"pdfRendererEnabled": false}), "pdfRendererEnabled"),
        (&[Browser], json!({"solveCaptchas": true}), "solveCaptchas"),
        (&[Browser], json!({"extensionIds": ["e"]}), "extensionIds"),
    ];
    cases.extend(bodies.into_iter().map(|(calls, body, field)| (calls, body.to_string(), field)));
    cases
}

#[tokio::test]
async fn a_bad_body_is_refused_by_the_name_of_its_field() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let mut wrong = Vec::new();
            for (calls, body, field) in cases() {
                for call in calls {
                    let reply = client.send(Method::POST, call.path(), Some(body.clone())).await?;
                    if !call.refuses(&reply, field) {
                        let body: String = body.chars().take(120).collect();
                        wrong.push(format!("{call:?} {body}: {} {}", reply.status, reply.body));
                    }
                }
            }
            ensure!(wrong.is_empty(), "not as it should be:\n{}", wrong.join("\n"));
            let long = Some(json!({"timeout": 241}));
            let refused = client.expect(403, Method::POST, "/api/v2/browsers", long).await?;
            assert_eq!(refused["detail"], "Maximum session timeout is 4 hours (240 minutes).");
            let nobody = "/v1/sessions/00000000-0000-8000-8000-000000000000";
            for (body, fault) in [
                (json!({"status": "COMPLETED"}), "status: must be one of REQUEST_RELEASE"),
                (json!({}), "status: Field required"),
            ] {
                let refused = client.expect(400, Method::POST, nobody, Some(body)).await?;
                assert_eq!(refused["message"], fault);
            }
            let made = namespace.sessions().list(&ListParams::default()).await?.items;
            ensure!(made.is_empty(), "made all the same: {made:?}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn an_empty_body_asks_for_nothing_in_particular() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            for call in ALL {
                let made = client.expect(201, Method::POST, call.path(), None).await?;
                client.release(&e2e::hosted::id(&made)?).await?;
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn who_has_no_key_gets_nothing() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            with_gateway(&namespace, &["--anonymous-namespace"], async |gateway| {
                let secret = key.text.rsplit('_').next().unwrap_or_default();
                let other: String = secret.chars().rev().collect();
                let keys = [
                    None,
                    Some("anonymous".to_owned()),
                    Some("x".to_owned()),
                    Some(format!("bok_0000000000_{secret}")),
                    Some(key.text.replace(secret, &other)),
                    Some(key.text[..key.text.len() - 1].to_owned()),
                ];
                for shown in keys {
                    let client = Hosted::new(&gateway.url(), shown.as_deref());
                    for call in ALL {
                        for (method, body) in
                            [(Method::POST, Some("{}".to_owned())), (Method::GET, None)]
                        {
                            let reply = client.send(method, call.path(), body).await?;
                            ensure!(
                                call.says(&reply, 401),
                                "{call:?} with {shown:?}: {} {}",
                                reply.status,
                                reply.body
                            );
                        }
                    }
                    client.expect(401, Method::GET, "/json/version", None).await?;
                }
                // The right key is accepted.
                let known = Hosted::new(&gateway.url(), Some(&key.text));
                known.get("/v1/projects").await?;
                let bearer = format!("Bearer {}", key.text);
                let nameless = Hosted::new(&gateway.url(), None);
                let reply = nameless
                    .send_with(Method::GET, "/api/v2/browsers", None, &[("authorization", &bearer)])
                    .await?;
                assert_eq!(reply.status, 200);
                Ok(())
            })
            .await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_page_of_the_web_may_not_ask() -> Result<()> {
    with_namespace(async |namespace| {
        let key = Key { text: "anonymous".to_owned(), id: String::new() };
        let client = Hosted::of(&namespace, &key);
        for path in ["/v1/sessions", "/api/v2/browsers", "/json/version"] {
            let origin = ("origin", "https://evil.example");
            let reply = client.send_with(Method::GET, path, None, &[origin]).await?;
            assert_eq!(reply.status, 403, "{path}: {}", reply.body);
        }
        Ok(())
    })
    .await
}
