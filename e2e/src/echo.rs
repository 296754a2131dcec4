//! Sessions of the echo driver (`e2e/driver`): a browser's place is taken by a program that answers at once, and takes
//! and gives as much as is asked for.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use crds::{BrowserSession, Reason};
use echo_driver::{Checksum, text};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Namespace, class_like_the_default,
    local::{OPERATOR, Process, process_of_pod},
    namespace::{Live, READY_LIMIT},
    raw::{Connection, Socket, body},
    wait::until,
};

/// Runs a test with a session of the echo driver, whose spec has these fields besides. Where the cluster has no image of
/// the driver, the test is left out with a remark.
pub async fn with_echo(
    namespace: &Namespace,
    fields: Value,
    test: impl AsyncFnOnce(&Live) -> Result<()>,
) -> Result<()> {
    let cluster = &namespace.cluster;
    let image = &cluster.settings.echo_image;
    if image.is_empty() {
        println!("left out: ECHO_IMAGE is empty");
        return Ok(());
    }
    let default = cluster.default_class().await?;
    let class = json!({
        "versions": [{"version": "1.0", "image": image}],
        "sandbox": "container",
        // Agent and driver hold a message of BiDi several times.
        "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"memory": "4Gi"}},
    });
    let class = class_like_the_default(&default, &namespace.name, class)?;
    let with_session = async || {
        let mut spec = json!({
            "className": namespace.name,
            "capabilities": {"alwaysMatch": {"webSocketUrl": true}},
        });
        if let (Value::Object(spec), Value::Object(fields)) = (&mut spec, fields) {
            spec.extend(fields);
        }
        namespace.create("echo", spec).await?;
        let has_no_image = |session: &BrowserSession| {
            let ready = session.telling_condition();
            ready.is_some_and(|ready| ready.reason == Reason::ImageUnavailable.as_str())
        };
        let settled = until(&namespace.sessions(), "echo", "settled", READY_LIMIT, |session| {
            session.is_some_and(|s| s.is_ready() || s.is_terminal() || has_no_image(s))
        })
        .await?;
        if settled.as_ref().is_some_and(has_no_image) {
            println!(
                "left out: the cluster cannot get the image {image}; ECHO_IMAGE names another"
            );
            return Ok(());
        }
        test(&namespace.ready("echo").await?).await
    };
    cluster.with_class(&class, with_session).await
}

/// The gateway's process in the pod of that name; `None` where it is not on this machine.
pub async fn gateway_process(namespace: &Namespace, pod: &str) -> Result<Option<Process>> {
    let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::all(namespace.cluster.client.clone());
    let named = kube::api::ListParams::default().fields(&format!("metadata.name={pod}"));
    let pods = pods.list(&named).await.context("find the gateway's pod")?.items;
    let uid = pods.into_iter().next().and_then(|pod| pod.metadata.uid);
    Ok(process_of_pod(&uid.context("the gateway's pod")?, OPERATOR))
}

/// The agent's process in a session's pod; `None` where it is not on this machine.
pub async fn agent_process(namespace: &Namespace, live: &Live) -> Result<Option<Process>> {
    let pod = namespace.pods().get(&live.pod).await.context("the session's pod")?;
    Ok(process_of_pod(&pod.metadata.uid.context("its uid")?, OPERATOR))
}

/// The processes of a gateway and of a session's agent, by name; `None`, with a remark, where they are not on this machine.
pub async fn processes(
    namespace: &Namespace,
    gateway: &str,
    live: &Live,
) -> Result<Option<[(&'static str, Process); 2]>> {
    let gateway = gateway_process(namespace, gateway).await?;
    let agent = agent_process(namespace, live).await?;
    if gateway.is_none() || agent.is_none() {
        println!("left out: gateway or agent is on another machine");
    }
    Ok(gateway.zip(agent).map(|(gateway, agent)| [("gateway", gateway), ("agent", agent)]))
}

/// Sends a command with a body of that length, and checks that the driver got it whole. Gives how long it took.
pub async fn send_body(authority: &str, id: &str, length: u64) -> Result<Duration> {
    let (before, after) = (r#"{"script":""#, r#"","args":[]}"#);
    let pieces = move || {
        let text = text(length - (before.len() + after.len()) as u64);
        [Bytes::from_static(before.as_bytes())].into_iter().chain(text).chain([Bytes::from(after)])
    };
    let sent = Checksum::of(pieces());
    let mut connection = Connection::open(authority).await?;
    let path = format!("/session/{id}/execute/sync");
    let begun = Instant::now();
    let mut reply = connection.send(&Method::POST, &path, length, body(pieces())).await?;
    let took = begun.elapsed();
    let mut said = Vec::new();
    while let Some(piece) = connection.piece(reply.body_mut()).await? {
        said.extend_from_slice(&piece);
    }
    let said = serde_json::from_slice::<Value>(&said).context("the reply")?;
    ensure!(said["value"] == sent.json(), "sent {}, the driver got {said}", sent.json());
    Ok(took)
}

/// Gets a reply with a text of that length, and checks that it is whole. Gives how long it took.
pub async fn get_body(authority: &str, id: &str, length: u64) -> Result<Duration> {
    let expected = [r#"{"value":""#, r#""}"#].map(Bytes::from);
    let [before, after] = expected;
    let expected = Checksum::of([before].into_iter().chain(text(length)).chain([after]));
    let mut connection = Connection::open(authority).await?;
    let path = format!("/session/{id}/element/{length}/text");
    let begun = Instant::now();
    let mut reply = connection.send(&Method::GET, &path, 0, body([].into_iter())).await?;
    ensure!(reply.status() == StatusCode::OK, "{path}: {}", reply.status());
    let mut got = Checksum::default();
    while let Some(piece) = connection.piece(reply.body_mut()).await? {
        got.add(&piece);
    }
    let took = begun.elapsed();
    ensure!(got == expected, "the driver sent {}, got {}", expected.json(), got.json());
    Ok(took)
}

/// Sends a BiDi command whose message has that length, and checks that the driver got it whole. Gives how long it took.
pub async fn send_message(url: &str, length: u64) -> Result<Duration> {
    let (before, after) =
        (r#"{"id":1,"method":"script.evaluate","params":{"expression":""#, r#""}}"#);
    let pieces = move || text(length - (before.len() + after.len()) as u64);
    let expected = Checksum::of(pieces()).json();
    let text: Vec<u8> = pieces().flatten().collect();
    let message = [before.as_bytes(), &text, after.as_bytes()].concat();
    let message = String::from_utf8(message).context("a text")?;
    let mut socket = Socket::open(url).await?;
    let begun = Instant::now();
    let said = socket.ask(message).await?;
    let took = begun.elapsed();
    let said: Value = serde_json::from_str(&said).context("the reply")?;
    let got = &said["result"]["result"]["value"];
    ensure!(*got == expected, "sent {expected}, the driver got {said}");
    Ok(took)
}

/// Gets a BiDi reply with a text of that length, and checks that it is whole. Gives how long it took.
pub async fn get_message(url: &str, length: u64) -> Result<Duration> {
    let expected = Checksum::of(text(length)).json();
    let command =
        json!({"id": 1, "method": "script.evaluate", "params": {"expression": length.to_string()}});
    let mut socket = Socket::open(url).await?;
    let begun = Instant::now();
    let said = socket.ask(command.to_string()).await?;
    let took = begun.elapsed();
    let (_, from) = said.split_once(r#""value":""#).context("the text")?;
    let (got, _) = from.rsplit_once(r#""}}"#).context("its end")?;
    let got = Checksum::of([got]).json();
    ensure!(got == expected, "the driver sent {expected}, got {got}");
    Ok(took)
}
