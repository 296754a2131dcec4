//! A session's life over Browserbase's calls.

use anyhow::{Context, Result, ensure};
use e2e::{
    Bidi, Classic,
    hosted::{Hosted, id, with_key},
    with_namespace,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{apart, object, released, time};

/// What the service's own document says that every session has.
const REQUIRED: [&str; 10] = [
    "id",
    "createdAt",
    "updatedAt",
    "projectId",
    "startedAt",
    "expiresAt",
    "status",
    "proxyBytes",
    "keepAlive",
    "region",
];
/// What one that lives has as well.
const URLS: [&str; 3] = ["connectUrl", "seleniumRemoteUrl", "signingKey"];

fn ids(list: &Value) -> Result<Vec<String>> {
    list.as_array().context("a list")?.iter().map(id).collect()
}

#[tokio::test]
async fn a_session_is_made_found_driven_and_released() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let project = namespace.name.clone();
            let made = client
                .browserbase(json!({
                    "projectId": project, "timeout": 600, "keepAlive": true,
                    "userMetadata": {"build": 4711, "deep": {"why": "it's a test"}},
                }))
                .await?;
            for field in REQUIRED.iter().chain(&URLS) {
                ensure!(!made[*field].is_null(), "{field} is missing in {made}");
            }
            assert_eq!((&made["status"], &made["keepAlive"]), (&json!("RUNNING"), &json!(true)));
            assert_eq!((&made["proxyBytes"], &made["projectId"]), (&json!(0), &json!(project)));
            let lives = apart(time(&made, "expiresAt")?, time(&made, "startedAt")?);
            assert_eq!(lives.as_secs(), 600);
            ensure!(time(&made, "createdAt")? <= time(&made, "startedAt")?, "{made}");
            time(&made, "updatedAt")?;
            let (id, object) = (id(&made)?, object(&namespace, &made).await?);
            let path = format!("/v1/sessions/{id}");

            // Every call shows the same.
            let shown = client.get(&path).await?;
            for field in REQUIRED.iter().chain(&["connectUrl", "seleniumRemoteUrl", "signingKey"]) {
                ensure!(
                    shown[*field] == made[*field],
                    "{field}: {} {}",
                    shown[*field],
                    made[*field]
                );
            }
            for (query, found) in [
                ("", true),
                ("?status=RUNNING", true),
                ("?status=PENDING", false),
                ("?status=COMPLETED", false),
                ("?q=user_metadata%5B'build'%5D%3A'4711'", true),
                ("?q=user_metadata%5B'build'%5D%3A'4712'", false),
                ("?q=user_metadata%5B'deep'%5D%5B'why'%5D%3A%22it's%20a%20test%22", true),
                ("?status=RUNNING&q=user_metadata%5B'other'%5D%3A'x'", false),
            ] {
                let list = client.get(&format!("/v1/sessions{query}")).await?;
                assert_eq!(ids(&list)?.contains(&id), found, "{query}: {list}");
                ensure!(
                    !list.to_string().contains("signingKey"),
                    "a list is full of credentials: {list}"
                );
            }

            drives(&client, &made).await?;
            let pages = client.get(&format!("{path}/debug?expiresIn=60")).await?;
            ensure!(pages["pages"][0]["title"] == "browser-operator", "{pages}");
            for field in ["debuggerUrl", "debuggerFullscreenUrl"] {
                let url = pages["pages"][0][field].as_str().context(field)?;
                ensure!(url.starts_with("devtools://"), "{url}");
                ensure!(pages[field].is_string(), "{pages}");
            }
            let tools = pages["wsUrl"].as_str().context("wsUrl")?;
            let version =
                Bidi::connect(tools).await?.send_command("Browser.getVersion", json!({})).await?;
            ensure!(version["result"]["product"].is_string(), "{version}");

            let ended = client.release(&id).await?;
            assert_eq!(ended["status"], "COMPLETED");
            ensure!(time(&ended, "endedAt")? >= time(&made, "startedAt")?, "{ended}");
            released(&namespace, &object).await?;
            after_the_end(&client, &made).await
        })
        .await
    })
    .await
}

/// Drives it with Selenium, and leaves a page for the next client.
async fn drives(client: &Hosted, made: &Value) -> Result<()> {
    let (base, id) = (made["seleniumRemoteUrl"].as_str().context("seleniumRemoteUrl")?, id(made)?);
    let signing = made["signingKey"].as_str().context("signingKey")?;
    let body = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome"}}}).to_string();
    let stranger = Hosted::new(base, None);
    let key = ("x-bb-signing-key", signing);
    let joined = stranger.send_with(Method::POST, "/session", Some(body.clone()), &[key]).await?;
    ensure!(joined.status == 200 && joined.body["value"]["sessionId"] == *id, "{joined:?}");
    ensure!(joined.body["value"]["capabilities"]["browserName"] == "chrome", "{joined:?}");
    // The other way, which Browserbase's example for Python goes: an API key, and the session's id.
    let named = ("session-id", id.as_str());
    let joined =
        client.send_with(Method::POST, &format!("{base}/session"), Some(body), &[named]).await?;
    ensure!(joined.status == 200 && joined.body["value"]["sessionId"] == *id, "{joined:?}");
    let driver = Classic::new(base, None);
    let site = e2e::settings::Settings::from_environment()?.site_url;
    driver.open(&id, &format!("{site}/")).await?;
    assert_eq!(driver.title(&id).await?, "browser-operator");
    Ok(())
}

/// The record stays; every URL that drives is gone.
async fn after_the_end(client: &Hosted, made: &Value) -> Result<()> {
    let id = id(made)?;
    let path = format!("/v1/sessions/{id}");
    let shown = client.get(&path).await?;
    assert_eq!((&shown["status"], &shown["id"]), (&json!("COMPLETED"), &json!(id)));
    for field in URLS {
        ensure!(shown.get(field).is_none(), "{field} in {shown}");
    }
    assert_eq!(client.release(&id).await?["endedAt"], shown["endedAt"], "what has ended has ended");
    let gone = client.expect(410, Method::GET, &format!("{path}/debug"), None).await?;
    assert_eq!(gone["statusCode"], 410);
    let list = client.get("/v1/sessions?status=RUNNING").await?;
    ensure!(!ids(&list)?.contains(&id), "{list}");
    ensure!(ids(&client.get("/v1/sessions?status=COMPLETED").await?)?.contains(&id));
    let url = made["connectUrl"].as_str().context("connectUrl")?;
    assert_eq!(Bidi::refusal(url).await?, 404);
    Ok(())
}

#[tokio::test]
async fn a_project_is_a_namespace() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let made = client.browserbase(json!({})).await?;
            assert_eq!(made["keepAlive"], false);
            let projects = client.get("/v1/projects").await?;
            let project = &projects[0];
            assert_eq!(
                (projects.as_array().map(Vec::len), &project["id"]),
                (Some(1), &json!(namespace.name))
            );
            for field in ["name", "ownerId"] {
                ensure!(project[field].is_string(), "{project}");
            }
            for field in ["concurrency", "defaultTimeout"] {
                ensure!(project[field].as_u64().is_some_and(|number| number > 0), "{project}");
            }
            time(project, "createdAt")?;
            time(project, "updatedAt")?;
            let path = format!("/v1/projects/{}", namespace.name);
            assert_eq!(client.get(&path).await?["id"], *namespace.name);
            let usage = client.get(&format!("{path}/usage")).await?;
            ensure!(usage["browserMinutes"].is_u64() && usage["proxyBytes"] == 0, "{usage}");
            for path in ["/v1/projects/default", "/v1/projects/default/usage"] {
                client.expect(404, Method::GET, path, None).await?;
            }
            client.release(&id(&made)?).await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn what_is_not_there_says_so() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let nobody = "00000000-0000-8000-8000-000000000000";
            for (status, method, path) in [
                (404, Method::GET, format!("/v1/sessions/{nobody}")),
                (404, Method::GET, "/v1/sessions/x".to_owned()),
                (404, Method::GET, format!("/v1/sessions/{nobody}/debug")),
                (404, Method::GET, "/v1/nothing".to_owned()),
                (405, Method::DELETE, format!("/v1/sessions/{nobody}")),
                (405, Method::PUT, "/v1/sessions".to_owned()),
                (501, Method::GET, format!("/v1/sessions/{nobody}/logs")),
                (501, Method::GET, format!("/v1/sessions/{nobody}/recording")),
                (501, Method::POST, format!("/v1/sessions/{nobody}/uploads")),
                (501, Method::POST, "/v1/contexts".to_owned()),
                (501, Method::POST, "/v1/extensions".to_owned()),
                (501, Method::POST, "/v1/fetch".to_owned()),
            ] {
                let answer = client.expect(status, method.clone(), &path, None).await?;
                ensure!(answer["statusCode"] == status, "{method} {path}: {answer}");
                ensure!(answer["message"].is_string() && answer["error"].is_string(), "{answer}");
            }
            Ok(())
        })
        .await
    })
    .await
}
