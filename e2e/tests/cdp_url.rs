//! `status.cdpUrl`: the Chrome DevTools Protocol of a session that a manifest made.

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{Bidi, Namespace, with_namespace};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The URL as this machine reaches it: status has it as clients in the cluster do.
fn reachable(namespace: &Namespace, cdp_url: &str) -> Result<String> {
    let gateway = namespace.cluster.settings.gateway_url.replacen("http", "ws", 1);
    let path = cdp_url.find("/cdp/").with_context(|| format!("no /cdp/ in {cdp_url}"))?;
    Ok(format!("{}{}", gateway.trim_end_matches('/'), &cdp_url[path..]))
}

#[tokio::test]
async fn a_chrome_session_has_the_url_of_its_dev_tools_while_it_lives() -> Result<()> {
    with_namespace(async |namespace| {
        // With BiDi and without: DevTools need none.
        for (name, bidi) in [("with-bidi", true), ("without-bidi", false)] {
            let wanted = json!({"browserName": "chrome", "webSocketUrl": bidi});
            let spec = json!({"capabilities": {"alwaysMatch": wanted}});
            let live = namespace.create_ready(name, spec).await?;
            let url = live.status.cdp_url.clone().context("status.cdpUrl")?;
            ensure!(url.starts_with("ws://") || url.starts_with("wss://"), "{url}");
            ensure!(url.contains(&format!("/cdp/{}?signingKey=", live.id)), "{url}");

            let url = reachable(&namespace, &url)?;
            let mut browser = Bidi::connect(&url).await?;
            let version = browser.send_command("Browser.getVersion", json!({})).await?;
            let product = version["result"]["product"].as_str().context("product")?;
            ensure!(product.contains("Chrome"), "{version}");
            // It is a credential for this session: without its key there is nothing.
            let (bare, _) = url.split_once('?').context("a query")?;
            assert_eq!(Bidi::refusal(bare).await?, 401);

            // The end of the session clears it, which `ended` checks.
            let closed = browser.send_command("Browser.close", json!({})).await?;
            ensure!(closed.get("error").is_none(), "{closed}");
            namespace.ended(name, Phase::Completed, Reason::ClientEnded).await?;
            ensure!(Bidi::connect(&url).await.is_err(), "the URL outlives the session");
        }
        Ok(())
    })
    .await
}

/// go-rod says `nil` for its key, and takes every frame for a message: a Close frame ends its process.
#[tokio::test]
async fn who_reads_no_control_frames_hears_text_and_the_end() -> Result<()> {
    with_namespace(async |namespace| {
        let spec = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome"}}});
        let live = namespace.create_ready("browser", spec).await?;
        let url = live.status.cdp_url.clone().context("status.cdpUrl")?;
        let (_, path) = url.split_once("/cdp/").context("a path")?;
        let gateway = &namespace.cluster.settings.gateway_url;
        let authority = gateway.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(authority).await?;
        let handshake = format!(
            "GET /cdp/{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: nil\r\n\r\n"
        );
        stream.write_all(handshake.as_bytes()).await?;
        // A mask of zeros leaves the text as it is.
        let close = br#"{"id":1,"method":"Browser.close"}"#;
        let head = [0x81, 0x80 | close.len() as u8, 0, 0, 0, 0];
        stream.write_all(&[&head, close.as_slice()].concat()).await?;
        let mut seen = Vec::new();
        stream.read_to_end(&mut seen).await?;
        let start = seen.windows(4).position(|part| part == b"\r\n\r\n").context("a reply")? + 4;
        ensure!(seen.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&seen));
        let answer = br#"{"id":1,"result":{}}"#;
        assert_eq!(seen[start..], [&[0x81, answer.len() as u8], answer.as_slice()].concat());
        namespace.ended("browser", Phase::Completed, Reason::ClientEnded).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_without_dev_tools_has_no_such_url() -> Result<()> {
    with_namespace(async |namespace| {
        let spec = json!({"capabilities": {"alwaysMatch": {"browserName": "firefox"}}});
        let firefox = namespace.create_ready("firefox", spec).await?;
        assert_eq!(firefox.status.cdp_url, None);

        // Made on a bare socket, it is reachable over that alone.
        let token = namespace.runner().await?;
        let mut bidi = Bidi::connect_as(&namespace.cluster.bare_socket_url(), Some(&token)).await?;
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome"}}});
        let made = bidi.command("session.new", wanted).await?;
        let id = made["sessionId"].as_str().context("sessionId")?;
        let status = namespace.cluster.session_with_id(id).await?.status.context("status")?;
        assert_eq!(status.cdp_url, None);
        bidi.close().await
    })
    .await
}
