//! What a stranger sends to any port of the operator's, and what it costs: that request, or that connection.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Cluster, agent, authority, operator, with_namespace};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Shorter than idle connections may stay: an answer that waits for their end is none.
const PATIENCE: Duration = Duration::from_secs(4);
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
