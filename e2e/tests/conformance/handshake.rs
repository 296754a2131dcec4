//! The handshake of sockets (WebDriver BiDi, "Transport"; B.1).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    fixture::{Fixture, UNKNOWN_ID},
    raw,
    rows::{Rows, all},
    rule::{Rule, rule},
};

/// The answer to the key that `raw` sends (RFC 6455, section 1.3).
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub fn rules() -> Vec<Rule> {
    vec![
        rule("B.1", "/session and the path of a session with webSocketUrl take a handshake", taken),
        rule("B.1", "any other path refuses a handshake with 404", refused),
        rule("B.1", "a session whose webSocketUrl was not asked for has no socket", without),
        rule("B.1", "without Upgrade, the same paths are WebDriver's commands", no_upgrade),
        rule("B.1", "a malformed handshake is refused", malformed),
        rule("B.1", "what a handshake offers and we do not have is left out", offers),
        rule("B.1", "a handshake may come slowly", slowly),
    ]
}

fn gateway(fixture: &Fixture) -> &str {
    &fixture.namespace.cluster.settings.gateway_url
}

async fn taken(fixture: &Fixture) -> Result<()> {
    let own = fixture.shared().await?.path("");
    let mut rows = Rows::default();
    for prefix in ["", "/wd/hub"] {
        for path in ["/session", own.as_str()] {
            let outcome = async {
                let path = format!("{prefix}{path}");
                let (_, reply, _) = raw::handshake(gateway(fixture), &path, &[]).await?;
                ensure!(reply.status == 101, "{}", reply.status);
                let accept = reply.header("sec-websocket-accept");
                ensure!(accept == Some(ACCEPT), "Sec-WebSocket-Accept is {accept:?}");
                let upgrade = reply.header("upgrade").map(str::to_ascii_lowercase);
                ensure!(upgrade.as_deref() == Some("websocket"), "Upgrade is {upgrade:?}");
                Ok(())
            };
            rows.row(format!("{prefix}{}", path.replace(&own, "/session/{id}")), outcome.await);
        }
    }
    rows.done()
}

async fn refused(fixture: &Fixture) -> Result<()> {
    let own = fixture.shared().await?.path("");
    let paths = [
        "/".to_owned(),
        "/nothing".to_owned(),
        "/status".to_owned(),
        "/session/".to_owned(),
        "/sessions".to_owned(),
        "/Session".to_owned(),
        "/session/not-a-uuid".to_owned(),
        "/session/0".to_owned(),
        format!("/session/{UNKNOWN_ID}"),
        format!("/session/{UNKNOWN_ID}/"),
        format!("/session/{UNKNOWN_ID}/url"),
        format!("{own}/"),
        format!("{own}/url"),
        own.replace('-', ""),
        format!("{own}0"),
    ];
    all(
        paths,
        |path| path.replace(&own, "/session/{id}"),
        async |path| {
            let (_, reply, _) = raw::handshake(gateway(fixture), path, &[]).await?;
            ensure!(reply.status == 404, "{}", reply.status);
            Ok(())
        },
    )
    .await
}

async fn without(fixture: &Fixture) -> Result<()> {
    let path = fixture.plain().await?.path("");
    let (_, reply, _) = raw::handshake(gateway(fixture), &path, &[]).await?;
    ensure!(reply.status == 404, "{}", reply.status);
    Ok(())
}

async fn no_upgrade(fixture: &Fixture) -> Result<()> {
    let refusal = (405, "unknown method");
    fixture.fails(Method::GET, "/session", None, refusal).await?;
    fixture.fails(Method::GET, &fixture.shared().await?.path(""), None, refusal).await?;
    // An Upgrade to something else is none to a WebSocket.
    let request = "GET /session HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n";
    let reply = raw::Http::talk(gateway(fixture), request.as_bytes()).await?.reply()?;
    ensure!(reply.status == 405, "with Upgrade: h2c: {} {}", reply.status, reply.text());
    Ok(())
}

/// RFC 6455, section 4.2.1; an answer in the 400s is all that it asks for. A key of another length is taken: go-rod's is "nil".
async fn malformed(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let own = fixture.shared().await?.path("");
    for path in ["/session", own.as_str()] {
        for header in [
            ("Sec-WebSocket-Key", ""),
            ("Sec-WebSocket-Version", ""),
            ("Sec-WebSocket-Version", "8"),
        ] {
            let outcome = async {
                let (_, reply, _) = raw::handshake(gateway(fixture), path, &[header]).await?;
                ensure!((400..500).contains(&reply.status), "{}", reply.status);
                Ok(())
            };
            let name = path.replace(&own, "/session/{id}");
            rows.row(format!("{name} with {header:?}"), outcome.await);
        }
    }
    rows.done()
}

/// A client fails a connection on which it is told what it did not offer, or what it must not take (RFC 6455, 4.1).
async fn offers(fixture: &Fixture) -> Result<()> {
    let own = fixture.shared().await?.path("");
    for path in ["/session", own.as_str()] {
        let offers = [
            ("Sec-WebSocket-Extensions", "permessage-nothing; x=1, x-other"),
            ("Sec-WebSocket-Protocol", "a, b"),
        ];
        let (_, reply, _) = raw::handshake(gateway(fixture), path, &offers).await?;
        ensure!(reply.status == 101, "{}", reply.status);
        for name in ["sec-websocket-extensions", "sec-websocket-protocol"] {
            ensure!(reply.header(name).is_none(), "{name}: {:?}", reply.header(name));
        }
    }
    Ok(())
}

async fn slowly(fixture: &Fixture) -> Result<()> {
    let own = fixture.shared().await?.path("");
    for path in ["/session", own.as_str()] {
        let mut stream = raw::dial(gateway(fixture)).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let status = json!({"id": 1, "method": "session.status", "params": {}}).to_string();
        let message = raw::frame(raw::TEXT, true, status.as_bytes());
        // The first frame comes on the heels of the handshake, in the same small pieces.
        for piece in [request.as_bytes(), message.as_slice()].concat().chunks(7) {
            stream.write_all(piece).await.context("send")?;
            stream.flush().await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut heard = Vec::new();
        let listen = async {
            while !String::from_utf8_lossy(&heard).contains("\"ready\"") {
                ensure!(stream.read_buf(&mut heard).await? > 0, "the connection was closed");
            }
            Ok(())
        };
        let heard_it = tokio::time::timeout(Duration::from_secs(10), listen).await;
        heard_it.context("no reply to session.status")??;
    }
    Ok(())
}
