//! A page, or a client by its page, does not get to the driver beside its browser, and so not to a program of its own.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::{Namespace, classic::Classic, kubectl::exec, namespace::Live, with_namespace};
use reqwest::Method;
use serde_json::{Value, json};

/// A program that leaves a trace, as a client's upload might.
const PREPARE: &str =
    r#"printf '#!/bin/sh\ntouch /tmp/ran\nexec "$@"\n' >/tmp/evil.sh && chmod 755 /tmp/evil.sh"#;
/// The ports that somebody listens on in the pod, in hexadecimal (proc_net_tcp(5): state 0A).
const LISTENING: &str =
    "awk '$4 == \"0A\" {split($2, at, \":\"); print at[2]}' /proc/net/tcp /proc/net/tcp6";
/// Asks for a session with that program, over HTTP and over WebSocket, and answers what came of it.
const ATTACK: &str = r#"
    const [base, body, done] = arguments;
    const http = fetch(`http://${base}/session`, {
        method: "POST", body: JSON.stringify(body),
        headers: {"content-type": "application/json"}, signal: AbortSignal.timeout(5000),
    }).then(reply => reply.text(), error => `${error}`);
    const socket = new Promise(said => {
        try {
            const socket = new WebSocket(`ws://${base}/session`);
            socket.onopen = () => said("open");
            socket.onerror = () => said("refused");
            setTimeout(() => said("nothing"), 5000);
        } catch (error) { said(`${error}`); }
    });
    Promise.all([http, socket]).then(done);
"#;

async fn listening(namespace: &Namespace, live: &Live) -> Result<BTreeSet<u16>> {
    let said = exec(&namespace.name, &live.pod, LISTENING).await?;
    said.split_whitespace().map(|port| Ok(u16::from_str_radix(port, 16)?)).collect()
}

/// A New Session that starts the program in place of the browser's own, whichever browser it is.
fn with_the_program() -> Value {
    json!({"capabilities": {"alwaysMatch": {}, "firstMatch": [{
        "goog:chromeOptions": {
            "binary": "/usr/lib/chromium/chromium",
            "args": ["--headless=new", "--no-sandbox", "--no-zygote", "--renderer-cmd-prefix=/tmp/evil.sh"],
        },
    }, {"moz:firefoxOptions": {"binary": "/tmp/evil.sh"}}]}})
}

async fn attack(client: &Classic, session: &str, base: &str) -> Result<()> {
    let url = json!({"url": format!("http://{base}/status")});
    // It may load or not; the page that results is where the script runs.
    client.send(Method::POST, &format!("/session/{session}/url"), Some(&url)).await?;
    let command = json!({"script": ATTACK, "args": [base, with_the_program()]});
    let path = format!("/session/{session}/execute/async");
    let reply = client.send(Method::POST, &path, Some(&command)).await?;
    let said = format!("{reply:?}");
    ensure!(!said.contains("sessionId"), "a session at {base}: {said}");
    ensure!(!said.contains("capabilities"), "a session at {base}: {said}");
    ensure!(!said.contains("\"open\""), "a socket at {base}: {said}");
    Ok(())
}

async fn holds(namespace: &Namespace, browser: &str) -> Result<()> {
    let spec =
        json!({"capabilities": {"alwaysMatch": {"browserName": browser, "webSocketUrl": true}}});
    let live = namespace.create_ready(browser, spec).await?;
    exec(&namespace.name, &live.pod, PREPARE).await?;
    let client = namespace.client().await?;
    let ports = listening(namespace, &live).await?;
    ensure!(ports.len() >= 3, "agent, driver and browser listen: {ports:?}");
    for port in &ports {
        // Names of loopback stand for a name of the world that was rebound to it.
        for host in ["127.0.0.1", "localhost", "rebound.localhost"] {
            attack(&client, &live.id, &format!("{host}:{port}")).await?;
        }
    }
    let ran = exec(&namespace.name, &live.pod, "ls /tmp/ran 2>/dev/null; true").await?;
    ensure!(ran.is_empty(), "the program ran");
    ensure!(listening(namespace, &live).await? == ports, "something else listens now");
    namespace.delete(browser).await
}

#[tokio::test]
async fn a_page_reaches_no_driver_beside_chrome() -> Result<()> {
    with_namespace(async |namespace| holds(&namespace, "chrome").await).await
}

#[tokio::test]
async fn a_page_reaches_no_driver_beside_firefox() -> Result<()> {
    with_namespace(async |namespace| holds(&namespace, "firefox").await).await
}
