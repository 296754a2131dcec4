//! What a stranger sends to any port of the operator's, and what it costs: that request, or that connection.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    Cluster, agent, authority,
    hosted::{BROWSER_USE_KEY, BROWSERBASE_KEY, with_key},
    operator, with_namespace,
};
use futures::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Shorter than idle connections may stay: an answer that waits for their end is none.
const PATIENCE: Duration = Duration::from_secs(4);
/// Longer than a body may be silent.
const BODY_PATIENCE: Duration = Duration::from_secs(20);
/// How many connections a component's second port takes at a time.
const ADMIN_CONNECTIONS: usize = 64;

/// What comes back on one connection, until it is closed.
async fn send(address: &str, bytes: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address).await.context("connect")?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.context("the answer")??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Every port that the operator listens on, one of a kind.
async fn ports(cluster: &Cluster, pod_ip: &str) -> Result<Vec<String>> {
    let mut ports = vec![agent::address(pod_ip)];
    for (component, numbers) in [("gateway", &[4444, 8080][..]), ("controller", &[8080])] {
        for ip in operator::addresses(cluster, component).await? {
            ports.extend(numbers.iter().map(|port| authority(&ip, *port)));
        }
    }
    Ok(ports)
}

#[tokio::test]
async fn a_target_without_a_path_ends_no_process() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("hostile", json!({})).await?;
        for address in ports(&namespace.cluster, &live.ip).await? {
            for target in ["CONNECT host:443", "GET x", "GET host:80", "OPTIONS *", "CONNECT /"] {
                let request = format!("{target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
                let answer = send(&address, request.as_bytes()).await.context(address.clone())?;
                ensure!(answer.starts_with("HTTP/1.1 400 "), "{address}, {target}: {answer:?}");
            }
            let answer = send(
                &address,
                b"GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            );
            let answer = answer.await.context(address.clone())?;
            ensure!(answer.starts_with("HTTP/1.1 40"), "{address}: {answer:?}");
        }
        for component in ["gateway", "controller"] {
            let panics =
                operator::metric(&namespace.cluster, component, "browser_operator_panics_total");
            assert_eq!(panics.await?, 0.0, "{component}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn idle_connections_keep_no_probe_out() -> Result<()> {
    let cluster = Cluster::connect().await?;
    for component in ["gateway", "controller"] {
        let ip = operator::addresses(&cluster, component).await?.pop().context("a pod")?;
        let address = authority(&ip, 8080);
        let mut idle = Vec::new();
        for _ in 0..2 * ADMIN_CONNECTIONS {
            idle.push(TcpStream::connect(&address).await?);
        }
        let answer =
            send(&address, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                .await?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{component}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_whose_chunks_are_malformed_is_its_senders_fault() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("hostile", json!({})).await?;
        let gateway = namespace.cluster.settings.gateway_url.trim_start_matches("http://");
        let request = format!(
            "POST /session/{}/execute/sync HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\nnot a size\r\n",
            live.id,
        );
        let answer = send(gateway, request.as_bytes()).await?;
        ensure!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
        // Nobody blames the pod for it.
        namespace.ready("hostile").await.map(drop)
    })
    .await
}

/// What a body that does not come gets for an answer on one face.
async fn answer_without_body(address: &str, path: &str, headers: &str) -> Result<String> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n{headers}\r\n{{"
    );
    let mut stream = TcpStream::connect(address).await.context("connect")?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    timeout(BODY_PATIENCE, stream.read_to_end(&mut answer)).await.context("the answer")??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_body_that_never_comes_is_told_so_on_every_face() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let live = namespace.create_ready("s", json!({"expose": {}})).await?;
            let gateway = namespace.cluster.settings.gateway_url.trim_start_matches("http://");
            let agent = agent::address(&live.ip);
            let id = &live.id;
            let (browserbase, browser_use) = (
                format!("{BROWSERBASE_KEY}: {}\r\n", key.text),
                format!("{BROWSER_USE_KEY}: {}\r\n", key.text),
            );
            let basic = format!("authorization: Bearer {}\r\n", key.text);
            let (url, file, cdp) = (
                format!("/session/{id}/url"),
                format!("/session/{id}/se/file"),
                format!("/session/{id}/goog/cdp/execute"),
            );
            let classic = r#""error":"timeout""#;
            let asked = [
                (gateway, "/session", &*basic, classic),
                (gateway, &url, "", classic),
                (gateway, &file, "", classic),
                (gateway, &cdp, "", classic),
                (gateway, "/v1/sessions", &browserbase, r#""statusCode":408"#),
                (gateway, "/api/v2/sessions", &browser_use, r#""detail":"no byte"#),
                (agent.as_str(), &url, "", classic),
                (agent.as_str(), &file, "", classic),
                (agent.as_str(), &cdp, "", classic),
            ];
            let answers =
                join_all(asked.iter().map(|(address, path, headers, words)| async move {
                    let answer = answer_without_body(address, path, headers);
                    let answer = answer.await.with_context(|| format!("{address}{path}"))?;
                    let is_right = answer.starts_with("HTTP/1.1 408 ")
                        && answer.contains("connection: close")
                        && answer.contains(words);
                    ensure!(is_right, "{address}{path}: {answer:?}");
                    anyhow::Ok(())
                }));
            answers.await.into_iter().collect::<Result<Vec<()>>>()?;
            // Nobody blames the pod for it.
            namespace.ready("s").await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_slow_body_that_comes_is_taken() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let gateway = namespace.cluster.settings.gateway_url.trim_start_matches("http://");
        let body = br#"{"script": "return 7", "args": []}"#;
        let head = format!(
            "POST /session/{}/execute/sync HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            live.id,
            body.len(),
        );
        let mut stream = TcpStream::connect(gateway).await.context("connect")?;
        stream.write_all(head.as_bytes()).await?;
        for piece in body.chunks(body.len() / 4) {
            stream.write_all(piece).await?;
            // The subject of this test: a sender that takes its time.
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.context("the answer")??;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(answer.contains(r#"{"value":7}"#), "{answer:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_host_is_refused_for_what_is_wrong_with_it() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let gateway = cluster.settings.gateway_url.trim_start_matches("http://");
    let long = format!("host: {}.example", "a".repeat(301));
    for (hosts, words) in
        [(long.as_str(), "at most 300 bytes"), ("host: a\r\nhost: b", "must have one Host")]
    {
        let request = format!("GET /status HTTP/1.1\r\nconnection: close\r\n{hosts}\r\n\r\n");
        let answer = send(gateway, request.as_bytes()).await?;
        ensure!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(words), "{answer:?}");
    }
    Ok(())
}
