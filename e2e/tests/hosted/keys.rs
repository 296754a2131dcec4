//! API keys: what they open, and what they do not.

use anyhow::{Context, Result, ensure};
use e2e::{
    Classic,
    hosted::{Hosted, Key, command, id, with_key},
    with_namespace,
};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_session_of_another_namespace_is_none() -> Result<()> {
    with_namespace(async |ours| {
        with_namespace(async |theirs| {
            with_key(&ours, async |our_key| {
                with_key(&theirs, async |their_key| {
                    let (us, them) = (Hosted::of(&ours, &our_key), Hosted::of(&theirs, &their_key));
                    let made = us.browserbase(json!({"keepAlive": true})).await?;
                    let id = id(&made)?;
                    let stop = Some(json!({"action": "stop"}));
                    for (method, path, body) in [
                        (Method::GET, format!("/v1/sessions/{id}"), None),
                        (Method::GET, format!("/v1/sessions/{id}/debug"), None),
                        (
                            Method::POST,
                            format!("/v1/sessions/{id}"),
                            Some(json!({"status": "REQUEST_RELEASE"})),
                        ),
                        (Method::GET, format!("/api/v2/sessions/{id}"), None),
                        (Method::PATCH, format!("/api/v2/sessions/{id}"), stop.clone()),
                        (Method::PATCH, format!("/api/v4/browsers/{id}"), stop),
                        (Method::DELETE, format!("/api/v2/sessions/{id}"), None),
                        (Method::GET, format!("/v1/projects/{}", ours.name), None),
                    ] {
                        them.expect(404, method, &path, body).await?;
                    }
                    for path in ["/v1/sessions", "/api/v2/sessions", "/api/v2/browsers"] {
                        let list = them.get(path).await?;
                        ensure!(!list.to_string().contains(&id), "{path}: {list}");
                    }
                    let base = made["seleniumRemoteUrl"].as_str().context("seleniumRemoteUrl")?;
                    let joined = them
                        .send_with(
                            Method::POST,
                            &format!("{base}/session"),
                            Some("{}".to_owned()),
                            &[("session-id", &id)],
                        )
                        .await?;
                    assert_eq!(
                        (joined.status, joined.error()),
                        (404, "invalid session id"),
                        "{joined:?}"
                    );
                    // None of that touched the session.
                    assert_eq!(us.get(&format!("/v1/sessions/{id}")).await?["status"], "RUNNING");
                    // A link is for one session.
                    let other = us.browserbase(json!({"keepAlive": true})).await?;
                    let (url, other) = (
                        made["connectUrl"].as_str().context("connectUrl")?,
                        e2e::hosted::id(&other)?,
                    );
                    assert_eq!(e2e::Bidi::refusal(&url.replace(&id, &other)).await?, 401);
                    Ok(())
                })
                .await
            })
            .await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_key_is_shown_once_listed_and_taken_back() -> Result<()> {
    with_namespace(async |namespace| {
        let key = Key::create(&namespace).await?;
        let list = command(&["list"]).await?;
        let line =
            list.lines().find(|line| line.starts_with(&key.id)).context("it is not listed")?;
        ensure!(line.contains(&namespace.name), "{line}");
        ensure!(!list.contains(&key.text), "the list shows whole keys");
        let client = Hosted::of(&namespace, &key);
        let made = client.browserbase(json!({"keepAlive": true})).await?;

        key.revoke().await?;
        // Each replica hears of it by its watch.
        for _ in 0..8 {
            let refused = client.until_status("/v1/projects", 401).await?;
            assert_eq!(refused.body["statusCode"], 401);
            client.until_status("/api/v2/browsers", 401).await?;
        }
        let driver = Classic::new(&namespace.cluster.settings.gateway_url, Some(key.text.clone()));
        let refused =
            driver.send(Method::POST, "/session", Some(&json!({"capabilities": {}}))).await?;
        assert_eq!(refused.error(), "session not created");
        // Its session goes on, and so does the URL: that belongs to the session, not to the key.
        let url = made["connectUrl"].as_str().context("connectUrl")?;
        e2e::Bidi::connect(url).await?.send_command("Browser.getVersion", json!({})).await?;

        ensure!(key.revoke().await.is_err(), "it was there twice");
        ensure!(command(&["create", "no-such-namespace"]).await.is_err());
        ensure!(command(&["create", &namespace.name, "--service-account=nobody"]).await.is_err());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_key_may_what_its_service_account_may() -> Result<()> {
    with_namespace(async |namespace| {
        namespace.service_account("bare").await?;
        let key = Key::unused(&namespace.name, &["--service-account=bare"]).await?;
        let client = Hosted::of(&namespace, &key);
        let refused = client.until_status("/v1/sessions", 403).await?;
        let message = refused.body["message"].as_str().context("a message")?;
        ensure!(message.contains("may not list BrowserSessions"), "{message}");
        for (method, path) in [(Method::POST, "/v1/sessions"), (Method::POST, "/api/v2/browsers")] {
            let refused = client.expect(403, method, path, Some(json!({}))).await?;
            ensure!(refused.to_string().contains("may not create"), "{refused}");
        }
        ensure!(namespace.sessions().list(&Default::default()).await?.items.is_empty());
        key.revoke().await
    })
    .await
}

#[tokio::test]
async fn the_same_key_opens_web_driver() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let gateway = &namespace.cluster.settings.gateway_url;
            let basic = gateway.replacen("://", &format!("://any:{}@", key.text), 1);
            for driver in
                [Classic::new(gateway, Some(key.text.clone())), Classic::new(&basic, None)]
            {
                let id = driver.new_session(json!({"browserName": "chrome"})).await?.id;
                let object = namespace.cluster.session_with_id(&id).await?;
                assert_eq!(object.metadata.namespace.as_deref(), Some(namespace.name.as_str()));
                driver.delete(&format!("/session/{id}")).await?;
            }
            let driver = Classic::new(gateway, Some(key.text.clone()));
            let elsewhere: Value =
                json!({"capabilities": {"alwaysMatch": {"browser-operator:namespace": "default"}}});
            let refused = driver.send(Method::POST, "/session", Some(&elsewhere)).await?;
            ensure!(refused.message().contains("for namespace"), "{}", refused.body);
            Ok(())
        })
        .await
    })
    .await
}
