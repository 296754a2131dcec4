//! A session's and a browser's life over Browser Use's calls.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::{
    Bidi,
    hosted::{self, Hosted, id, with_key},
    namespace::END_LIMIT,
    wait::eventually,
    with_namespace,
};
use kube::ResourceExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::{apart, object, released, time};

/// Requests after which every replica behind the Service has answered one.
const REQUESTS_FOR_ALL_REPLICAS: usize = 6;

/// What a session has in every answer; the last may be null.
const SESSION: [&str; 10] = [
    "id",
    "status",
    "startedAt",
    "persistMemory",
    "keepAlive",
    "proxyUsedMb",
    "proxyCost",
    "liveUrl",
    "recordingUrl",
    "finishedAt",
];
/// The same of a browser.
const BROWSER: [&str; 10] = [
    "id",
    "status",
    "timeoutAt",
    "startedAt",
    "proxyUsedMb",
    "proxyCost",
    "browserCost",
    "liveUrl",
    "cdpUrl",
    "finishedAt",
];

fn has(reply: &Value, fields: &[&str]) -> Result<()> {
    for field in fields {
        ensure!(reply.get(field).is_some(), "{field} is missing in {reply}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_is_made_found_stopped_and_deleted() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let made = client.browser_use("sessions", json!({"persistMemory": false})).await?;
            has(&made, &SESSION)?;
            assert_eq!((&made["status"], &made["keepAlive"]), (&json!("active"), &json!(true)));
            assert_eq!(
                (&made["persistMemory"], &made["proxyUsedMb"]),
                (&json!(false), &json!("0"))
            );
            let (id, object) = (id(&made)?, object(&namespace, &made).await?);
            let path = format!("/api/v2/sessions/{id}");
            let shown = client.get(&path).await?;
            has(&shown, &SESSION)?;
            assert_eq!((&shown["tasks"], &shown["publicShareUrl"]), (&json!([]), &Value::Null));
            assert_eq!(
                (&shown["persistMemory"], &shown["startedAt"]),
                (&json!(false), &made["startedAt"])
            );
            // Ids are UUIDs in any spelling.
            assert_eq!(
                client.get(&format!("/api/v2/sessions/{}", id.to_uppercase())).await?["id"],
                *id
            );

            for (body, kind) in [
                (json!({"action": "go"}), "enum"),
                (json!({"action": null}), "enum"),
                (json!({}), "missing"),
            ] {
                let refused = client.expect(422, Method::PATCH, &path, Some(body)).await?;
                assert_eq!(refused["detail"][0]["loc"], json!(["body", "action"]));
                assert_eq!(refused["detail"][0]["type"], kind);
            }
            let stopped = client.stop("sessions", &id).await?;
            assert_eq!((&stopped["status"], &stopped["tasks"]), (&json!("stopped"), &json!([])));
            ensure!(time(&stopped, "finishedAt")? >= time(&made, "startedAt")?, "{stopped}");
            let ended = released(&namespace, &object).await?;
            assert_eq!(client.stop("sessions", &id).await?["finishedAt"], stopped["finishedAt"]);

            client.expect(204, Method::DELETE, &path, None).await?;
            client.expect(404, Method::GET, &path, None).await?;
            client.expect(404, Method::DELETE, &path, None).await?;
            ensure!(
                namespace.sessions().get_opt(&ended.name_any()).await?.is_none(),
                "the record stays"
            );
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn delete_ends_a_session_that_lives() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let made = client.expect(201, Method::POST, "/api/v2/sessions", None).await?;
            let object = object(&namespace, &made).await?;
            client
                .expect(204, Method::DELETE, &format!("/api/v2/sessions/{}", id(&made)?), None)
                .await?;
            namespace.pod_gone(&object).await?;
            ensure!(
                namespace.sessions().get_opt(&object.name_any()).await?.is_none(),
                "the record stays"
            );
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_browser_is_the_same_under_every_version() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let wanted = json!({"timeout": 5, "metadata": {"team": "a"}, "proxyCountryCode": null});
            let made = client.expect(201, Method::POST, "/api/v3/browsers", Some(wanted)).await?;
            has(&made, &BROWSER)?;
            assert_eq!(
                (&made["status"], &made["metadata"]),
                (&json!("active"), &json!({"team": "a"}))
            );
            assert_eq!(apart(time(&made, "timeoutAt")?, time(&made, "startedAt")?).as_secs(), 300);
            let (id, object) = (id(&made)?, object(&namespace, &made).await?);
            for version in ["v2", "v3", "v4"] {
                let shown = client.get(&format!("/api/{version}/browsers/{id}")).await?;
                assert_eq!(
                    (&shown["cdpUrl"], &shown["timeoutAt"]),
                    (&made["cdpUrl"], &made["timeoutAt"])
                );
                let list = client.get(&format!("/api/{version}/browsers?filterBy=active")).await?;
                assert_eq!((&list["items"][0]["id"], &list["totalItems"]), (&json!(id), &json!(1)));
            }

            // What the open-source client does with an http URL: it keeps the query, and asks below the path.
            let cdp = made["cdpUrl"].as_str().context("cdpUrl")?;
            ensure!(cdp.starts_with("http"), "{cdp}");
            for path in ["/json/version", "/json/version/"] {
                let version = client.get(&hosted::below(cdp, path)?).await?;
                let socket =
                    version["webSocketDebuggerUrl"].as_str().context("webSocketDebuggerUrl")?;
                let reply = Bidi::connect(socket)
                    .await?
                    .send_command("Browser.getVersion", json!({}))
                    .await?;
                assert_eq!(reply["result"]["product"], version["Browser"]);
            }
            // Without its query it authorizes nobody.
            let bare = cdp.split('?').next().context("a path")?;
            client.expect(401, Method::GET, &format!("{bare}/json/version"), None).await?;

            let path = format!("/api/v4/browsers/{id}");
            let stopped =
                client.expect(200, Method::PATCH, &path, Some(json!({"action": "stop"}))).await?;
            has(&stopped, &BROWSER)?;
            assert_eq!((&stopped["status"], &stopped["cdpUrl"]), (&json!("stopped"), &Value::Null));
            released(&namespace, &object).await?;
            client
                .expect(404, Method::GET, &hosted::below(cdp, "/json/version")?, None)
                .await
                .map(drop)
        })
        .await
    })
    .await
}

/// What a list of browsers shows.
async fn listed(client: &Hosted, query: &str) -> Result<(Vec<String>, Value)> {
    let list = client.get(&format!("/api/v2/browsers?{query}")).await?;
    let ids = list["items"].as_array().context("items")?.iter().map(id).collect::<Result<_>>()?;
    Ok((ids, list))
}

#[tokio::test]
async fn lists_have_pages_and_filters() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let mut ids = Vec::new();
            for team in ["a", "b"] {
                let made =
                    client.browser_use("browsers", json!({"metadata": {"team": team}})).await?;
                ids.push(id(&made)?);
            }
            client.stop("browsers", &ids[0]).await?;
            let (ended, lives) = (&ids[0], &ids[1]);
            for (query, expected) in [
                ("pageSize=100", vec![ended, lives]),
                ("pageNumber=2", vec![]),
                ("filterBy=active", vec![lives]),
                ("filterBy=stopped", vec![ended]),
                ("metadata=team", vec![ended, lives]),
                ("metadata=team%3Da", vec![ended]),
                ("metadata=team%3Da&metadata=team%3Db", vec![]),
                ("metadata=other", vec![]),
                ("agentSessionId=00000000-0000-8000-8000-000000000000", vec![]),
            ] {
                let (found, list) = listed(&client, query).await?;
                assert_eq!(
                    found.iter().collect::<BTreeSet<_>>(),
                    expected.iter().copied().collect(),
                    "{list}"
                );
                let all = if query == "pageNumber=2" { 2 } else { expected.len() };
                assert_eq!(list["totalItems"], all, "{query}: {list}");
                ensure!(list["pageNumber"].is_u64() && list["pageSize"].is_u64(), "{list}");
            }
            let (first, list) = listed(&client, "pageSize=1").await?;
            let (second, _) = listed(&client, "pageSize=1&pageNumber=2").await?;
            assert_eq!((first.len(), &list["totalItems"]), (1, &json!(2)));
            assert_eq!(BTreeSet::from_iter([first, second].concat()), BTreeSet::from_iter(ids));
            for (query, parameter, kind) in [
                ("pageSize=0", "pageSize", "greater_than_equal"),
                ("pageSize=101", "pageSize", "less_than_equal"),
                ("pageSize=x", "pageSize", "int_parsing"),
                ("pageNumber=0", "pageNumber", "greater_than_equal"),
                ("filterBy=idle", "filterBy", "enum"),
            ] {
                let path = format!("/api/v2/browsers?{query}");
                let refused = client.expect(422, Method::GET, &path, None).await?;
                assert_eq!(refused["detail"][0]["loc"], json!(["query", parameter]), "{refused}");
                assert_eq!(refused["detail"][0]["type"], kind, "{refused}");
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn what_runs_agents_is_not_ours_and_says_so() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let nobody = "00000000-0000-8000-8000-000000000000";
            for (status, method, path) in [
                (404, Method::GET, format!("/api/v2/sessions/{nobody}")),
                (404, Method::PATCH, format!("/api/v2/browsers/{nobody}")),
                (422, Method::GET, "/api/v2/sessions/x".to_owned()),
                (404, Method::GET, "/api/v2/nothing".to_owned()),
                (405, Method::PUT, "/api/v2/sessions".to_owned()),
                (405, Method::DELETE, format!("/api/v2/browsers/{nobody}")),
                (501, Method::POST, "/api/v2/tasks".to_owned()),
                (501, Method::GET, "/api/v2/profiles".to_owned()),
                (501, Method::POST, "/api/v3/sessions".to_owned()),
                (501, Method::POST, "/api/v4/runs".to_owned()),
                (501, Method::POST, format!("/api/v2/sessions/{nobody}/purge")),
            ] {
                let body = (method == Method::PATCH).then(|| json!({"action": "stop"}));
                let answer = client.expect(status, method.clone(), &path, body).await?;
                if status == 422 {
                    assert_eq!(answer["detail"][0]["loc"][0], "path", "{path}: {answer}");
                } else {
                    ensure!(answer["detail"].is_string(), "{method} {path}: {answer}");
                }
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_share_shows_a_session_to_everybody_and_lets_nobody_drive_it() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let site = namespace.cluster.page("/");
            let made = client.browser_use("sessions", json!({"startUrl": site})).await?;
            let path = format!("/api/v2/sessions/{}", id(&made)?);
            let shares = format!("{path}/public-share");
            client.expect(404, Method::GET, &shares, None).await?;
            let share = client.expect(201, Method::POST, &shares, None).await?;
            assert_eq!((&share["viewCount"], &share["lastViewedAt"]), (&json!(0), &Value::Null));
            assert_eq!(client.expect(201, Method::POST, &shares, None).await?, share);
            let url = share["shareUrl"].as_str().context("shareUrl")?;
            assert_eq!(client.get(&path).await?["publicShareUrl"], url);
            ensure!(!url.contains(&id(&made)?.replace('-', "")), "it tells the id: {url}");

            // It works for whoever has it, also as a link on another site.
            let anybody = reqwest::Client::builder().no_proxy().build()?;
            let look = async |url: &str| {
                anybody.get(url).header("sec-fetch-site", "cross-site").send().await
            };
            let page = look(url).await?;
            let policy = page.headers().get("content-security-policy").context("a policy")?;
            ensure!(policy.to_str()?.contains("default-src 'none'"), "{policy:?}");
            let text = page.text().await?;
            let (screen, token) = (format!("{url}/screen"), share["shareToken"].as_str());
            ensure!(text.contains(&format!("{}/screen", token.context("shareToken")?)), "{text}");
            let picture =
                eventually(END_LIMIT, async || Ok(look(&screen).await?.error_for_status()?));
            let picture = picture.await?;
            assert_eq!(picture.headers()["content-type"], "image/jpeg");
            let picture = picture.bytes().await?;
            ensure!(picture.starts_with(&[0xff, 0xd8, 0xff]), "no JPEG");
            // Looks are written a few seconds later, those of each replica at once.
            eventually(END_LIMIT, async || {
                let seen = client.get(&shares).await?;
                ensure!(seen["viewCount"] == 1, "{seen}");
                time(&seen, "lastViewedAt").map(drop)
            })
            .await?;
            // A change of it is another share's.
            assert_eq!(look(&format!("{}0", url)).await?.status(), 404);

            // Taken back, and shared again, under another URL.
            client.expect(204, Method::DELETE, &shares, None).await?;
            client.expect(404, Method::GET, &shares, None).await?;
            eventually(END_LIMIT, async || {
                for _ in 0..REQUESTS_FOR_ALL_REPLICAS {
                    ensure!(look(&screen).await?.status() == 404, "it still shows");
                }
                Ok(())
            })
            .await?;
            let again = client.expect(201, Method::POST, &shares, None).await?;
            let url = again["shareUrl"].as_str().context("shareUrl")?;
            assert_ne!(again["shareToken"], share["shareToken"]);
            eventually(END_LIMIT, async || {
                ensure!(look(url).await?.status() == 200, "it does not show yet");
                Ok(())
            })
            .await?;
            client.stop("sessions", &id(&made)?).await?;
            eventually(END_LIMIT, async || {
                let text = look(url).await?.text().await?;
                ensure!(text.contains("has ended: Released"), "{text}");
                Ok(())
            })
            .await?;
            // A revoked share stays revoked.
            let old = share["shareUrl"].as_str().context("shareUrl")?;
            assert_eq!(look(old).await?.status(), 404);
            let refused = client.expect(422, Method::POST, &shares, None).await?;
            ensure!(refused["detail"][0]["msg"].is_string(), "{refused}");
            Ok(())
        })
        .await
    })
    .await
}
