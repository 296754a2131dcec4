//! The gateway's edges: what ends, what is full, what breaks, and what would only waste its memory.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{
    Bidi, Namespace, authority, class_like_the_default,
    gateway::with_gateway,
    kubectl::{exec, kubectl},
    wait::eventually,
    with_namespace,
};
use kube::{ResourceExt, api::ListParams};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

/// RFC 6455, section 7.4.1.
const GOING_AWAY: u16 = 1001;

#[tokio::test]
async fn a_gateway_that_ends_lets_go_at_its_limit_and_clients_go_on_through_another() -> Result<()>
{
    with_namespace(async |namespace| {
        with_gateway(&namespace, &["--drain-seconds=6"], async |gateway| {
            let created = gateway.client().new_session(json!({"webSocketUrl": true})).await?;
            let path = format!("/session/{}", created.id);
            let mut socket = Bidi::connect(&gateway.socket_url(&path)).await?;
            let token = Some(gateway.token());
            let mut bare = Bidi::connect_as(&gateway.socket_url("/session"), token).await?;
            let mut alone = Bidi::connect_as(&gateway.socket_url("/session"), token).await?;
            let made = alone.command("session.new", json!({"capabilities": {}})).await?;
            let alone_id = made["sessionId"].as_str().context("sessionId")?;
            let alone_object = namespace.cluster.session_with_id(alone_id).await?;

            gateway.stop().await?;
            let ready = format!("http://{}/readyz", authority(&gateway.ip, 8080));
            eventually(Duration::from_secs(5), async || {
                let status = reqwest::get(&ready).await?.status().as_u16();
                ensure!(status == 503, "/readyz says {status}");
                Ok(())
            })
            .await?;
            let told = Instant::now();
            // A socket without a session has nothing to lose.
            let frame = bare.closed(Duration::from_secs(2)).await?.context("a Close frame")?;
            assert_eq!(u16::from(frame.code), GOING_AWAY);
            // One with a session goes on for now.
            let context = socket.open(&namespace.cluster.page("/")).await?;
            let frame = socket.closed(Duration::from_secs(10)).await?.context("a Close frame")?;
            println!("closed after {:?}: {frame:?}", told.elapsed());
            assert_eq!(u16::from(frame.code), GOING_AWAY);
            ensure!(told.elapsed() > Duration::from_secs(1), "after {:?}", told.elapsed());
            let frame = alone.closed(Duration::from_secs(10)).await?.context("a Close frame")?;
            assert_eq!(u16::from(frame.code), GOING_AWAY);

            let mut again = namespace.cluster.socket(&created.id).await?;
            assert_eq!(again.context().await?, context);
            assert_eq!(again.evaluate(&context, "document.title").await?, "browser-operator");
            let name = alone_object.name_any();
            namespace.ended(&name, Phase::Completed, Reason::Disconnected).await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_full_class_is_told_when_the_client_has_waited_long_enough() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let class = class_like_the_default(&default, &namespace.name, json!({"capacity": 0}))?;
        let test = async || {
            with_gateway(&namespace, &["--create-timeout-seconds=4"], async |gateway| {
                let own = json!({"browser-operator:class": namespace.name});
                let body = json!({"capabilities": {"alwaysMatch": own}});
                let begun = Instant::now();
                let reply = gateway.client().send(Method::POST, "/session", Some(&body)).await?;
                assert_eq!((reply.status, reply.error()), (500, "session not created"));
                ensure!(reply.message().contains("CapacityReached"), "{}", reply.body);
                ensure!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
                let made = namespace.sessions().list(&ListParams::default()).await?.items;
                let name = made.first().context("the object")?.name_any();
                namespace.ended(&name, Phase::Completed, Reason::ClientGaveUp).await.map(drop)
            })
            .await
        };
        namespace.cluster.with_class(&class, test).await
    })
    .await
}

#[tokio::test]
async fn the_socket_url_is_what_the_client_can_reach() -> Result<()> {
    with_namespace(async |namespace| {
        let flags = ["--external-url", "--trusted-proxies=0.0.0.0/0,::/0"];
        with_gateway(&namespace, &flags, async |gateway| {
            let client = reqwest::Client::builder().no_proxy().build()?;
            let remote = "http://grid.example:4444/wd/hub";
            let host = gateway.socket_url("");
            let proxied: &[(&str, &str)] = &[
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "browsers.example"),
                ("x-forwarded-prefix", "/grid"),
            ];
            for (headers, remote, base) in [
                (proxied, Some(remote), "wss://browsers.example/grid"),
                (&[], Some(remote), "ws://grid.example:4444/wd/hub"),
                (&[], None, host.as_str()),
            ] {
                let set = json!({"webSocketUrl": true, "se:remoteUrl": remote});
                let mut request = client
                    .post(format!("{}/session", gateway.url()))
                    .bearer_auth(gateway.token())
                    .json(&json!({"capabilities": {"alwaysMatch": set}}));
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let made: Value = request.send().await?.json().await?;
                let id = made["value"]["sessionId"].as_str().with_context(|| made.to_string())?;
                let seen = &made["value"]["capabilities"];
                assert_eq!(seen["webSocketUrl"], format!("{base}/session/{id}"));
                assert_eq!(seen["se:cdp"], format!("{base}/session/{id}/se/cdp"));
                gateway.client().delete(&format!("/session/{id}")).await?;
            }
            Ok(())
        })
        .await
    })
    .await
}

/// Sends bytes to the gateway and reads its reply to the end.
async fn raw(namespace: &Namespace, bytes: &[u8], limit: Duration) -> Result<String> {
    let address = namespace.cluster.settings.gateway_url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await?;
    // It may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut reply = Vec::new();
    let read = timeout(limit, stream.read_to_end(&mut reply)).await;
    let reply = String::from_utf8_lossy(&reply).into_owned();
    match read {
        Ok(Ok(_)) => Ok(reply),
        Ok(Err(_)) if !reply.is_empty() => Ok(reply),
        Ok(Err(error)) => Err(error).context("read the reply"),
        Err(_) => anyhow::bail!("the connection is open after {limit:?}: {reply}"),
    }
}

#[tokio::test]
async fn whoever_never_finishes_a_request_is_let_go() -> Result<()> {
    with_namespace(async |namespace| {
        let limit = Duration::from_secs(40);
        let body = "POST /session HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{";
        let (head, body, status) = tokio::join!(
            raw(&namespace, b"GET /status HTTP/1.1\r\nhost: a\r\nx-slow: ", limit),
            raw(&namespace, body.as_bytes(), limit * 2),
            async {
                // Others are served meanwhile.
                namespace.cluster.anonymous().get("/status").await
            },
        );
        let (head, body) = (head?, body?);
        ensure!(!head.contains("200 OK"), "{head}");
        ensure!(body.starts_with("HTTP/1.1 408"), "{body}");
        ensure!(body.contains(r#""timeout""#) && body.contains("no byte of the body"), "{body}");
        ensure!(status?["ready"].is_boolean());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_too_long_is_refused_with_a_status_that_says_so() -> Result<()> {
    with_namespace(async |namespace| {
        let limit = Duration::from_secs(5);
        let long = "x".repeat(128 << 10);
        let url = format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n");
        let header = format!("GET /status HTTP/1.1\r\nhost: a\r\nx-long: {long}\r\n\r\n");
        let many: String = (0..200).map(|n| format!("x-{n}: a\r\n")).collect();
        let many = format!("GET /status HTTP/1.1\r\nhost: a\r\n{many}\r\n");
        for (what, reply) in [
            ("URL", raw(&namespace, url.as_bytes(), limit).await?),
            ("header", raw(&namespace, header.as_bytes(), limit).await?),
            ("headers", raw(&namespace, many.as_bytes(), limit).await?),
        ] {
            let status = reply.split(' ').nth(1).unwrap_or_default();
            ensure!(matches!(status, "414" | "431"), "{what}: {reply}");
        }
        let client = namespace.client().await?;
        let large = json!({"capabilities": {}, "more": "x".repeat(2 << 20)});
        let reply = client.send(Method::POST, "/session", Some(&large)).await?;
        assert_eq!((reply.status, reply.error()), (400, "invalid argument"));
        ensure!(reply.message().contains("524288"), "{}", reply.body);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_web_page_cannot_ask() -> Result<()> {
    with_namespace(async |namespace| {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("{}/session", namespace.cluster.settings.gateway_url);
        for (name, value, status, error) in [
            ("origin", "https://evil.example", 403, "unknown error"),
            ("content-type", "text/plain", 400, "invalid argument"),
            ("content-type", "application/x-www-form-urlencoded", 400, "invalid argument"),
        ] {
            let request = client.post(&url).header(name, value).body(r#"{"capabilities": {}}"#);
            let reply = request.send().await?;
            let (seen, body) = (reply.status().as_u16(), reply.json::<Value>().await?);
            ensure!((seen, &body["value"]["error"]) == (status, &json!(error)), "{value}: {body}");
            ensure!(body["value"]["message"].to_string().contains(value), "{body}");
        }
        Ok(())
    })
    .await
}

/// Kills every process of the browser, and leaves agent and driver.
const KILL_BROWSER: &str = r#"
for process in /proc/[0-9]*; do
    case $(tr '\0' ' ' <"$process/cmdline" 2>/dev/null) in
        /usr/lib/chromium/*|/usr/lib/firefox-esr/*) kill -9 "${process#/proc/}" ;;
    esac
done
true"#;

/// The error of the first command that comes back after something died; until then commands may still work.
async fn first_error(client: &e2e::Classic, id: &str) -> Result<(u16, String)> {
    let path = format!("/session/{id}/title");
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let reply = client.send(Method::GET, &path, None).await?;
        if reply.status != 200 || Instant::now() > limit {
            return Ok((reply.status, reply.error().to_owned()));
        }
    }
}

#[tokio::test]
async fn a_browser_that_dies_is_an_invalid_session_id_on_the_next_command() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        for (browser, bidi) in
            [("chrome", false), ("chrome", true), ("firefox", false), ("firefox", true)]
        {
            let wanted = json!({"browserName": browser, "webSocketUrl": bidi});
            let id = client.new_session(wanted).await?.id;
            let session = namespace.cluster.session_with_id(&id).await?;
            let pod =
                session.status.as_ref().and_then(|s| s.pod_name.clone()).context("its pod")?;
            // The agent may end the container, and the shell in it, before the shell has ended.
            let _ = exec(&namespace.name, &pod, KILL_BROWSER).await;
            let error = first_error(&client, &id).await?;
            assert_eq!(error, (404, "invalid session id".to_owned()), "{browser}, BiDi {bidi}");
            namespace.ended(&session.name_any(), Phase::Failed, Reason::BrowserCrashed).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_pod_that_dies_is_an_invalid_session_id_on_the_next_command() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        for browser in ["chrome", "firefox"] {
            let id = client.new_session(json!({"browserName": browser})).await?.id;
            let session = namespace.cluster.session_with_id(&id).await?;
            let pod =
                session.status.as_ref().and_then(|s| s.pod_name.clone()).context("its pod")?;
            let kill = [
                "--namespace",
                &namespace.name,
                "delete",
                "pod",
                &pod,
                "--force",
                "--grace-period=0",
            ];
            kubectl(&kill).await?;
            let error = first_error(&client, &id).await?;
            assert_eq!(error, (404, "invalid session id".to_owned()), "{browser}");
        }
        Ok(())
    })
    .await
}
