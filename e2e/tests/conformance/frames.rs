//! Frames (RFC 6455; B.2), on a socket without a session and on a session's.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    fixture::Fixture,
    messages::check_error,
    raw::{BINARY, CLOSE, Frames, PING, PONG, TEXT, frame},
    rows::Rows,
    rule::{Rule, rule},
};

/// A frame that goes on with a message.
const MORE: u8 = 0x0;

pub fn rules() -> Vec<Rule> {
    vec![
        rule("B.2", "a binary frame gets an error with id null, and the connection stays", binary),
        rule("B.2", "a message may come in fragments, with a ping in between", fragments),
        rule("B.2", "a message may come byte by byte, or many at once", pieces),
        rule("B.2", "a message may be large", large),
        rule("B.2", "a ping gets its pong", ping),
        rule("B.2", "a Close frame is answered with its own code", close),
        rule("B.2", "a frame that breaks the protocol closes with 1002", violations),
        rule("B.2", "text that is not UTF-8 closes with 1007", not_utf8),
    ]
}

/// Runs a check on a new socket of both kinds.
async fn both(fixture: &Fixture, check: impl AsyncFn(&mut Frames) -> Result<()>) -> Result<()> {
    let own = fixture.shared().await?.path("");
    let mut rows = Rows::default();
    for (name, path) in [("no session", "/session"), ("session", own.as_str())] {
        let outcome = async {
            let mut socket =
                Frames::open(&fixture.namespace.cluster.settings.gateway_url, path).await?;
            check(&mut socket).await
        };
        rows.row(name, outcome.await);
    }
    rows.done()
}

fn status(id: u64) -> Vec<u8> {
    json!({"id": id, "method": "session.status", "params": {}}).to_string().into_bytes()
}

async fn binary(fixture: &Fixture) -> Result<()> {
    both(fixture, async |socket| {
        for payload in [status(1), b"\xff\xfe".to_vec(), Vec::new()] {
            socket.message(BINARY, &payload).await?;
            check_error(&socket.next_reply().await?, &Value::Null, "invalid argument")?;
            socket.is_alive().await?;
        }
        socket.raw(&frame(BINARY, false, b"{")).await?;
        socket.raw(&frame(MORE, true, b"}")).await?;
        check_error(&socket.next_reply().await?, &Value::Null, "invalid argument")?;
        socket.is_alive().await
    })
    .await
}

async fn fragments(fixture: &Fixture) -> Result<()> {
    both(fixture, async |socket| {
        let message = status(6);
        let (start, rest) = message.split_at(10);
        let (middle, end) = rest.split_at(10);
        socket.raw(&frame(TEXT, false, start)).await?;
        socket.raw(&frame(PING, true, b"between")).await?;
        socket.raw(&frame(MORE, false, middle)).await?;
        socket.raw(&frame(MORE, false, b"")).await?;
        socket.raw(&frame(MORE, true, end)).await?;
        let mut ponged = false;
        loop {
            match socket.frame().await?.context("the connection is closed")? {
                (PONG, payload) => ponged = payload == b"between",
                (TEXT, payload) => {
                    let reply: Value = serde_json::from_slice(&payload)?;
                    if reply["type"] != "event" {
                        ensure!(reply["id"] == 6 && reply["type"] == "success", "{reply}");
                        break;
                    }
                }
                (PING, _) => {}
                (kind, payload) => bail!("frame {kind} {payload:?}"),
            }
        }
        ensure!(ponged, "no pong");
        socket.is_alive().await
    })
    .await
}

async fn pieces(fixture: &Fixture) -> Result<()> {
    both(fixture, async |socket| {
        for byte in frame(TEXT, true, &status(1)) {
            socket.raw(&[byte]).await?;
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        ensure!(socket.next_reply().await?["id"] == 1, "byte by byte");
        let all: Vec<u8> = (2..30).flat_map(|id| frame(TEXT, true, &status(id))).collect();
        socket.raw(&all).await?;
        let mut ids = Vec::new();
        for _ in 2..30 {
            ids.push(socket.next_reply().await?["id"].as_u64().context("an id")?);
        }
        ids.sort_unstable();
        ensure!(ids == (2..30).collect::<Vec<u64>>(), "{ids:?}");
        Ok(())
    })
    .await
}

async fn large(fixture: &Fixture) -> Result<()> {
    both(fixture, async |socket| {
        let filling = "x".repeat(500_000);
        let message = json!({"id": 1, "method": "session.status", "params": {"filling": filling}});
        socket.message(TEXT, message.to_string().as_bytes()).await?;
        let reply = socket.next_reply().await?;
        ensure!(reply["id"] == 1 && reply["type"] == "success", "{reply}");
        Ok(())
    })
    .await
}

async fn ping(fixture: &Fixture) -> Result<()> {
    both(fixture, async |socket| {
        for payload in [b"".as_slice(), b"x", &[0xff; 125]] {
            socket.message(PING, payload).await?;
            loop {
                match socket.frame().await?.context("the connection is closed")? {
                    (PONG, heard) => {
                        ensure!(heard == payload, "{heard:?}, not {payload:?}");
                        break;
                    }
                    (TEXT | PING, _) => {}
                    (kind, payload) => bail!("frame {kind} {payload:?}"),
                }
            }
        }
        socket.message(PONG, b"nobody asked").await?;
        socket.is_alive().await
    })
    .await
}

/// "it typically echos the status code it received" (RFC 6455, section 5.5.1).
async fn close(fixture: &Fixture) -> Result<()> {
    for code in [1000_u16, 1001, 3000, 4999] {
        both(fixture, async |socket| {
            let payload = [code.to_be_bytes().as_slice(), b"bye"].concat();
            socket.message(CLOSE, &payload).await?;
            let answer = socket.close_code().await?;
            ensure!(answer == Some(code), "{answer:?}, not {code}");
            let after = socket.frame().await?;
            ensure!(after.is_none(), "the connection is open after its Close frames: {after:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn violations(fixture: &Fixture) -> Result<()> {
    let unmasked = [vec![0x81, 0x02], b"{}".to_vec()].concat();
    let mut reserved_bit = frame(TEXT, true, &status(1));
    reserved_bit[0] |= 0x40;
    let too_long = frame(PING, true, &[0; 126]);
    let mut rows = Rows::default();
    for (name, bytes) in [
        ("a frame that is not masked", unmasked),
        ("a reserved bit", reserved_bit),
        ("a reserved kind", frame(0x3, true, b"x")),
        ("a reserved kind of control frame", frame(0xB, true, b"x")),
        ("a control frame in fragments", frame(PING, false, b"x")),
        ("a control frame that is too long", too_long),
        ("a fragment of no message", frame(MORE, true, b"{}")),
        ("a message inside another", [frame(TEXT, false, b"{"), frame(TEXT, true, b"}")].concat()),
    ] {
        let outcome = both(fixture, async |socket| {
            socket.raw(&bytes).await?;
            let code = socket.close_code().await?;
            ensure!(code == Some(1002), "{code:?}");
            Ok(())
        });
        rows.row(name, outcome.await);
    }
    rows.done()
}

async fn not_utf8(fixture: &Fixture) -> Result<()> {
    both(fixture, async |socket| {
        socket.message(TEXT, b"{\"id\": \xff}").await?;
        let code = socket.close_code().await?;
        ensure!(code == Some(1007), "{code:?}");
        Ok(())
    })
    .await
}
