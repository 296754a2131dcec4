//! WebDriver BiDi at the gateway: bare sockets, sessions made on them, and sockets of sessions that exist.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason, names};
use e2e::{Bidi, Namespace, with_namespace};
use kube::ResourceExt;
use reqwest::Method;
use serde_json::{Value, json};

const UNKNOWN_ID: &str = "00000000-0000-8000-8000-000000000000";

async fn bare(namespace: &Namespace) -> Result<Bidi> {
    let token = namespace.runner().await?;
    Bidi::connect_as(&namespace.cluster.bare_socket_url(), Some(&token)).await
}

async fn new_session(bidi: &mut Bidi) -> Result<String> {
    let result = bidi.command("session.new", json!({"capabilities": {}})).await?;
    Ok(result["sessionId"].as_str().context("sessionId")?.to_owned())
}

#[tokio::test]
async fn a_bare_socket_says_whether_sessions_can_be_made() -> Result<()> {
    with_namespace(async |namespace| {
        let mut bidi = Bidi::connect(&namespace.cluster.bare_socket_url()).await?;
        let status = bidi.command("session.status", json!({})).await?;
        assert_eq!(status["ready"], true);
        assert!(status["message"].is_string());
        bidi.close().await
    })
    .await
}

#[tokio::test]
async fn a_message_that_is_wrong_gets_the_standards_error() -> Result<()> {
    with_namespace(async |namespace| {
        let mut bidi = Bidi::connect(&namespace.cluster.bare_socket_url()).await?;
        for (text, id, error) in [
            ("nonsense", Value::Null, "invalid argument"),
            ("[]", Value::Null, "invalid argument"),
            ("{}", Value::Null, "invalid argument"),
            (r#"{"id": 1}"#, json!(1), "invalid argument"),
            (r#"{"method": "session.status", "params": {}}"#, Value::Null, "invalid argument"),
            (
                r#"{"id": -1, "method": "session.status", "params": {}}"#,
                Value::Null,
                "invalid argument",
            ),
            (r#"{"id": 2, "method": "session.status"}"#, json!(2), "invalid argument"),
            (
                r#"{"id": 3, "method": "session.status", "params": []}"#,
                json!(3),
                "invalid argument",
            ),
            (r#"{"id": 4, "method": "no.such", "params": {}}"#, json!(4), "unknown command"),
            (r#"{"id": 5, "method": "session.end", "params": {}}"#, json!(5), "invalid session id"),
            (
                r#"{"id": 6, "method": "browsingContext.getTree", "params": {}}"#,
                json!(6),
                "invalid session id",
            ),
            (r#"{"id": 7, "method": "session.new", "params": {}}"#, json!(7), "invalid argument"),
        ] {
            bidi.send_text(text).await?;
            let reply = bidi.next_reply().await?;
            let seen = (&reply["type"], &reply["id"], &reply["error"]);
            ensure!(seen == (&json!("error"), &id, &json!(error)), "{text}: {reply}");
            ensure!(reply["message"].is_string() && reply.get("id").is_some(), "{text}: {reply}");
        }
        bidi.command("session.status", json!({})).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_is_made_and_driven_on_a_bare_socket_and_ends_with_session_end() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let mut bidi = bare(&namespace).await?;
        let id = new_session(&mut bidi).await?;
        let session = cluster.session_with_id(&id).await?;
        assert_eq!(session.namespace().as_deref(), Some(namespace.name.as_str()));
        assert_eq!(session.annotations()[names::PROTOCOL_ANNOTATION], "bidi");
        assert_eq!(session.status.as_ref().and_then(|status| status.web_driver_url.clone()), None);
        let context = bidi.open(&cluster.page("/")).await?;
        assert_eq!(bidi.evaluate(&context, "document.title").await?, "browser-operator");
        assert_eq!(
            bidi.failure("session.new", json!({"capabilities": {}})).await?,
            "session not created"
        );

        // It has this socket and no other.
        assert_eq!(Bidi::refusal(&cluster.socket_url(&id)).await?, 404);
        assert_eq!(bidi.command("session.end", json!({})).await?, json!({}));
        let frame = bidi.closed(Duration::from_secs(2)).await?.context("a Close frame")?;
        assert_eq!(frame.reason.as_str(), "ClientEnded");
        namespace.ended(&session.name_any(), Phase::Completed, Reason::ClientEnded).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn every_socket_of_a_session_gets_its_events_and_its_own_replies() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let live = namespace.create_ready("s", json!({"startUrl": cluster.page("/")})).await?;
        let mut first = cluster.socket(&live.id).await?;
        let mut second = cluster.socket(&live.id).await?;
        // The same id on both: each gets its own answer.
        let (one, two) = tokio::join!(
            first.send_command("session.subscribe", json!({"events": ["log.entryAdded"]})),
            second.send_command("browsingContext.getTree", json!({})),
        );
        assert!(one?["result"]["subscription"].is_string());
        assert!(two?["result"]["contexts"].is_array());

        let context = first.context().await?;
        first.evaluate(&context, "console.log('heard by all')").await?;
        for socket in [&mut first, &mut second] {
            let entry = socket.event("log.entryAdded").await?;
            assert_eq!(entry["text"], "heard by all");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_bidi_only_session_ends_with_the_close_frame_of_its_only_socket() -> Result<()> {
    with_namespace(async |namespace| {
        let mut bidi = bare(&namespace).await?;
        let id = new_session(&mut bidi).await?;
        let session = namespace.cluster.session_with_id(&id).await?;
        bidi.close().await?;
        namespace.ended(&session.name_any(), Phase::Completed, Reason::Disconnected).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_session_that_could_not_be_made_leaves_its_socket_usable() -> Result<()> {
    with_namespace(async |namespace| {
        let mut bidi = bare(&namespace).await?;
        for (capabilities, error) in [
            (json!({"alwaysMatch": {"acceptInsecureCerts": "yes"}}), "invalid argument"),
            (json!({"firstMatch": []}), "invalid argument"),
            (json!({"alwaysMatch": {"browserName": "safari"}}), "session not created"),
        ] {
            let params = json!({"capabilities": capabilities});
            assert_eq!(bidi.failure("session.new", params.clone()).await?, error, "{params}");
        }
        assert_eq!(bidi.command("session.status", json!({})).await?["ready"], true);
        new_session(&mut bidi).await?;
        bidi.context().await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_bidi_only_session_is_not_reachable_over_http() -> Result<()> {
    with_namespace(async |namespace| {
        let mut bidi = bare(&namespace).await?;
        let id = new_session(&mut bidi).await?;
        let client = namespace.cluster.anonymous();
        for (method, rest) in [(Method::GET, "/title"), (Method::GET, "/url"), (Method::DELETE, "")]
        {
            let reply = client.send(method.clone(), &format!("/session/{id}{rest}"), None).await?;
            assert_eq!(
                (reply.status, reply.error()),
                (404, "invalid session id"),
                "{method} {rest}"
            );
        }
        bidi.context().await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_handshake_on_what_is_not_there_is_refused() -> Result<()> {
    with_namespace(async |namespace| {
        let base = namespace.cluster.settings.gateway_url.replacen("http", "ws", 1);
        for path in [
            format!("/session/{UNKNOWN_ID}"),
            "/session/no-uuid".to_owned(),
            format!("/session/{UNKNOWN_ID}/url"),
            "/nothing".to_owned(),
            "/".to_owned(),
        ] {
            assert_eq!(Bidi::refusal(&format!("{base}{path}")).await?, 404, "{path}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_without_bidi_has_no_socket() -> Result<()> {
    with_namespace(async |namespace| {
        let spec = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome"}}});
        let live = namespace.create_ready("s", spec).await?;
        assert_eq!(live.status.web_socket_url, None);
        assert_eq!(Bidi::refusal(&namespace.cluster.socket_url(&live.id)).await?, 404);
        Ok(())
    })
    .await
}
