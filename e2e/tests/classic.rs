//! WebDriver Classic at the gateway, by plain HTTP.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason, names};
use e2e::{
    Classic, Reply, authority, class_like_the_default, namespace::END_LIMIT, operator,
    wait::until_all, with_namespace,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
    runtime::watcher::Config,
};
use reqwest::Method;
use serde_json::{Value, json};

/// A well-formed id that no session has.
const UNKNOWN_ID: &str = "00000000-0000-8000-8000-000000000000";

fn check_envelope(reply: &Reply) -> Result<()> {
    ensure!(
        reply.header("content-type") == "application/json; charset=utf-8",
        "{:?}",
        reply.headers
    );
    ensure!(reply.header("cache-control") == "no-cache", "{:?}", reply.headers);
    let object = reply.body.as_object().context("the body is no object")?;
    ensure!(object.len() == 1 && object.contains_key("value"), "{}", reply.body);
    if reply.status != 200 {
        let value = reply.body["value"].as_object().context("an error is an object")?;
        for key in ["error", "message", "stacktrace"] {
            ensure!(value.get(key).is_some_and(Value::is_string), "{key} in {}", reply.body);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_client_makes_a_session_finds_elements_and_ends_it() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let created = client.new_session(json!({"browserName": "chrome"})).await?;
        let (id, path) = (&created.id, format!("/session/{}", created.id));
        assert_eq!(created.capabilities["browserName"], "chrome");
        assert_eq!(created.capabilities.get("webSocketUrl"), None);

        client.open(id, &namespace.cluster.page("/")).await?;
        assert_eq!(client.title(id).await?, "browser-operator");
        let find = json!({"using": "css selector", "value": "#link"});
        let element = client.post(&format!("{path}/element"), find).await?;
        let element =
            element["element-6066-11e4-a52e-4f735466cecf"].as_str().context("an element")?;
        client.post(&format!("{path}/element/{element}/click"), json!({})).await?;
        assert_eq!(client.title(id).await?, "browser-operator: second page");

        assert_eq!(client.delete(&path).await?, Value::Null);
        let again = client.send(Method::DELETE, &path, None).await?;
        assert_eq!((again.status, again.error()), (404, "invalid session id"));
        check_envelope(&again)?;
        let session = namespace.cluster.session_with_id(id).await?;
        namespace.ended(&session.name_any(), Phase::Completed, Reason::ClientEnded).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn every_reply_has_the_envelope_and_the_two_headers() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let wanted = json!({"capabilities": {}});
        let made = client.send(Method::POST, "/session", Some(&wanted)).await?;
        check_envelope(&made)?;
        let id = made.body["value"]["sessionId"].as_str().context("sessionId")?;
        for (method, path, status) in [
            (Method::GET, "/status".to_owned(), 200),
            (Method::GET, format!("/session/{id}/url"), 200),
            (Method::GET, format!("/session/{id}/cookie/none"), 404),
            (Method::GET, format!("/session/{UNKNOWN_ID}/url"), 404),
            (Method::GET, "/nothing".to_owned(), 404),
            (Method::GET, "/session".to_owned(), 405),
        ] {
            let reply = client.send(method.clone(), &path, None).await?;
            ensure!(reply.status == status, "{method} {path}: {} {}", reply.status, reply.body);
            check_envelope(&reply).with_context(|| format!("{method} {path}"))?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_request_is_judged_by_path_then_method_then_session_then_body() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let id = client.new_session(json!({})).await?.id;
        let broken = || Some("{".to_owned());
        for (method, path, body, status, error) in [
            (Method::POST, "/nothing".to_owned(), broken(), 404, "unknown command"),
            (Method::PUT, "/session".to_owned(), broken(), 405, "unknown method"),
            (Method::POST, format!("/session/{UNKNOWN_ID}"), broken(), 405, "unknown method"),
            (Method::PUT, format!("/session/{UNKNOWN_ID}/url"), broken(), 405, "unknown method"),
            (
                Method::POST,
                format!("/session/{UNKNOWN_ID}/url"),
                broken(),
                404,
                "invalid session id",
            ),
            (Method::POST, "/session/no-uuid/url".to_owned(), broken(), 404, "invalid session id"),
            (Method::DELETE, format!("/session/{UNKNOWN_ID}"), None, 404, "invalid session id"),
            (Method::POST, format!("/session/{id}/nothing"), broken(), 404, "unknown command"),
            (Method::POST, format!("/session/{id}/url"), broken(), 400, "invalid argument"),
            (
                Method::POST,
                format!("/session/{id}/url"),
                Some("{}".to_owned()),
                400,
                "invalid argument",
            ),
            (Method::POST, "/session".to_owned(), broken(), 400, "invalid argument"),
            (Method::POST, "/session".to_owned(), Some("{}".to_owned()), 400, "invalid argument"),
            (Method::POST, "/session".to_owned(), Some("[]".to_owned()), 400, "invalid argument"),
        ] {
            let reply = client.send_text(method.clone(), &path, body).await?;
            ensure!(
                (reply.status, reply.error()) == (status, error),
                "{method} {path}: {} {}, not {status} {error}",
                reply.status,
                reply.body
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn old_clients_put_wd_hub_before_every_path() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let old = client.at(&format!("{}/wd/hub", namespace.cluster.settings.gateway_url));
        assert_eq!(old.get("/status").await?["ready"], true);
        let id = old.new_session(json!({})).await?.id;
        old.open(&id, &namespace.cluster.page("/")).await?;
        assert_eq!(old.title(&id).await?, "browser-operator");
        assert_eq!(old.delete(&format!("/session/{id}")).await?, Value::Null);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn paths_keep_their_percent_encoding() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let id = client.new_session(json!({})).await?.id;
        let script = "const body = document.body; body['a/b c'] = 42; return body";
        let element = client.script(&id, script, json!([])).await?;
        let element =
            element["element-6066-11e4-a52e-4f735466cecf"].as_str().context("an element")?;
        let path = format!("/session/{id}/element/{element}/property/a%2Fb%20c");
        assert_eq!(client.get(&path).await?, 42);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn large_bodies_pass_both_ways() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let id = client.new_session(json!({})).await?.id;
        let text: String = ('a'..='z').cycle().take(3 << 20).collect();
        let back = client.script(&id, "return arguments[0] + '!'", json!([text])).await?;
        let back = back.as_str().context("text")?;
        ensure!(
            back.len() == text.len() + 1 && back.starts_with(&text),
            "{} bytes came back",
            back.len()
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_made_through_one_replica_is_usable_at_once_through_another() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let replicas: Vec<Classic> = operator::addresses(&namespace.cluster, "gateway")
            .await?
            .iter()
            .map(|ip| client.at(&format!("http://{}", authority(ip, 4444))))
            .collect();
        let [a, b] = replicas.as_slice() else {
            anyhow::bail!("there are {} gateways; this test wants two", replicas.len());
        };
        let id = a.new_session(json!({})).await?.id;
        b.open(&id, &namespace.cluster.page("/")).await?;
        assert_eq!(a.title(&id).await?, "browser-operator");
        b.delete(&format!("/session/{id}")).await?;
        let after = a.send(Method::GET, &format!("/session/{id}/title"), None).await?;
        assert_eq!((after.status, after.error()), (404, "invalid session id"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_client_that_hangs_up_takes_its_unfinished_session_along() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let default = namespace.cluster.default_class().await?;
        let class = class_like_the_default(&default, &namespace.name, json!({"capacity": 0}))?;
        namespace
            .cluster
            .with_class(&class, async || {
                let (sessions, any) = (namespace.sessions(), Config::default());
                let made = until_all(&sessions, any, "a session", END_LIMIT, |sessions| !sessions.is_empty());
                let session = tokio::select! {
                    outcome = client.new_session(json!({"browser-operator:class": namespace.name})) => {
                        anyhow::bail!("a full class gave {outcome:?}")
                    }
                    made = made => made?.into_values().next().context("a session")?,
                };
                // The request is dropped here, and its connection with it.
                namespace.ended(&session.name_any(), Phase::Completed, Reason::ClientGaveUp).await.map(drop)
            })
            .await
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_had_is_told_with_its_reason_and_makes_no_object() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "safari"}}});
        let reply = client.send(Method::POST, "/session", Some(&wanted)).await?;
        assert_eq!((reply.status, reply.error()), (500, "session not created"));
        ensure!(
            reply.message().contains("CapabilitiesNotMatched")
                && reply
                    .message()
                    .contains("class chromium has browserName chrome, not \"safari\"")
                && reply.message().contains("class firefox has browserName firefox"),
            "{}",
            reply.body
        );
        let made = namespace.sessions().list(&ListParams::default()).await?.items;
        ensure!(made.is_empty(), "{made:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn our_own_capabilities_become_fields_of_the_object() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let url = namespace.cluster.page("/second.html");
        let created = client
            .new_session(json!({
                "browser-operator:timeoutSeconds": 77,
                "browser-operator:idleTimeoutSeconds": 66,
                "browser-operator:viewport": {"width": 900, "height": 600},
                "browser-operator:startUrl": url,
                "browser-operator:userMetadata": {"build": "4711"},
            }))
            .await?;
        let session = namespace.cluster.session_with_id(&created.id).await?;
        let spec = &session.spec;
        assert_eq!((spec.timeout_seconds, spec.idle_timeout_seconds), (Some(77), 66));
        assert_eq!(spec.user_metadata.as_ref().context("userMetadata")?["build"], "4711");
        assert_eq!(spec.connect_timeout_seconds, 300);
        assert_eq!(spec.ttl_seconds_after_finished, Some(3600));
        let caller = format!("system:serviceaccount:{}:runner", namespace.name);
        assert_eq!(session.annotations()[names::CALLER_ANNOTATION], caller);

        let seen = client
            .script(&created.id, "return [location.href, innerWidth, innerHeight]", json!([]))
            .await?;
        assert_eq!(seen, json!([url, 900, 600]));

        for (set, word) in [
            (json!({"browser-operator:colour": "blue"}), "browser-operator:colour"),
            (json!({"browser-operator:timeoutSeconds": "long"}), "browser-operator:"),
            (json!({"browser-operator:timeoutSeconds": 0}), "timeoutSeconds"),
        ] {
            let body = json!({"capabilities": {"alwaysMatch": set}});
            let reply = client.send(Method::POST, "/session", Some(&body)).await?;
            assert_eq!((reply.status, reply.error()), (400, "invalid argument"), "{set}");
            ensure!(reply.message().contains(word), "{}", reply.body);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_client_without_a_token_gets_the_configured_namespace_and_no_other() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.cluster.anonymous();
        let wanted = json!({"capabilities": {"alwaysMatch": {"browser-operator:namespace": namespace.name}}});
        let refused = client.send(Method::POST, "/session", Some(&wanted)).await?;
        assert_eq!((refused.status, refused.error()), (403, "session not created"));
        check_envelope(&refused)?;

        let id = client.new_session(json!({})).await?.id;
        let session = namespace.cluster.session_with_id(&id).await?;
        assert_eq!(session.annotations()[names::CALLER_ANNOTATION], "system:anonymous");
        client.delete(&format!("/session/{id}")).await?;
        let own = session.namespace().context("its namespace")?;
        Api::<crds::BrowserSession>::namespaced(namespace.cluster.client.clone(), &own)
            .delete(&session.name_any(), &DeleteParams::default())
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_account_makes_sessions_where_rbac_lets_it() -> Result<()> {
    with_namespace(async |namespace| {
        let gateway = &namespace.cluster.settings.gateway_url;
        let client = namespace.client().await?;
        let id = client.new_session(json!({})).await?.id;
        let session = namespace.cluster.session_with_id(&id).await?;
        assert_eq!(session.namespace().as_deref(), Some(namespace.name.as_str()));

        let wanted = |set: Value| json!({"capabilities": {"alwaysMatch": set}});
        let elsewhere = wanted(json!({"browser-operator:namespace": "kube-system"}));
        let refused = client.send(Method::POST, "/session", Some(&elsewhere)).await?;
        assert_eq!(refused.status, 403);
        ensure!(refused.message().contains("kube-system"), "{}", refused.body);

        let nobody = Classic::new(gateway, Some(namespace.service_account("nobody").await?));
        let refused = nobody.send(Method::POST, "/session", Some(&wanted(json!({})))).await?;
        assert_eq!((refused.status, refused.error()), (403, "session not created"));
        ensure!(refused.message().contains("nobody"), "{}", refused.body);

        let forged = Classic::new(gateway, Some("no.token".to_owned()));
        let refused = forged.send(Method::POST, "/session", Some(&wanted(json!({})))).await?;
        assert_eq!(refused.status, 401);
        ensure!(refused.header("www-authenticate").contains("Bearer"), "{:?}", refused.headers);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_with_bidi_tells_a_socket_url_that_works_for_its_client() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let created = client.new_session(json!({"webSocketUrl": true})).await?;
        let url = created.capabilities["webSocketUrl"].as_str().context("webSocketUrl")?;
        let mut bidi =
            tokio::time::timeout(Duration::from_secs(5), e2e::Bidi::connect(url)).await??;
        let context = bidi.open(&namespace.cluster.page("/")).await?;
        assert_eq!(bidi.evaluate(&context, "document.title").await?, "browser-operator");
        assert_eq!(client.title(&created.id).await?, "browser-operator");
        Ok(())
    })
    .await
}

/// A.4: what stands in the body of New Session beside the capabilities goes on to the driver, but for the names that were
/// about capabilities before the standard.
#[tokio::test]
async fn other_members_of_new_session_reach_the_driver() -> Result<()> {
    with_namespace(async |namespace| {
        e2e::echo::with_echo(&namespace, json!({}), async |_| {
            let token = namespace.runner().await?;
            let client = Classic::new(&namespace.cluster.settings.gateway_url, Some(token));
            let body = json!({
                "capabilities": {"alwaysMatch": {"browser-operator:class": namespace.name}},
                "desiredCapabilities": {"browserName": "chrome"},
                "requiredCapabilities": {},
                "vendor": {"deep": [1, null, "x"]},
                "user": "alice",
            });
            let made = client.send(Method::POST, "/session", Some(&body)).await?;
            let seen = &made.body["value"]["capabilities"]["echo:parameters"];
            ensure!(
                *seen == json!({"vendor": {"deep": [1, null, "x"]}, "user": "alice"}),
                "{}",
                made.body
            );
            let large = json!({"capabilities": body["capabilities"], "vendor": "x".repeat(20_000)});
            let refused = client.send(Method::POST, "/session", Some(&large)).await?;
            let message = refused.body["value"]["message"].as_str().unwrap_or_default();
            ensure!(refused.status == 400 && message.contains("16384"), "{}", refused.body);
            Ok(())
        })
        .await
    })
    .await
}
