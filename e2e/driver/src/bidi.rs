//! WebDriver BiDi.

use bytes::Bytes;
use echo_driver::{Checksum, text};
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

/// Above any agent's limit.
const MAX_MESSAGE: usize = 1 << 30;

/// Answers a WebSocket handshake and serves the socket.
pub fn open(request: Request<Incoming>) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    let accept = request
        .headers()
        .get(header::SEC_WEBSOCKET_KEY)
        .and_then(|key| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok());
    let Some(accept) = accept else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().extend([
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ]);
    // It ends with its client, or with the process.
    tokio::spawn(async {
        if let Err(error) = serve(hyper::upgrade::on(request)).await {
            eprintln!("a socket ended: {error}");
        }
    });
    response
}

async fn serve(upgrade: OnUpgrade) -> Result<(), Error> {
    let stream = upgrade.await.map_err(|error| Error::Io(std::io::Error::other(error)))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, Some(config)).await;
    while let Some(message) = socket.next().await {
        if let Message::Text(message) = message? {
            socket.send(Message::text(answer(&message))).await?;
        }
    }
    Ok(())
}

fn answer(message: &str) -> String {
    let command: Value = serde_json::from_str(message).unwrap_or_default();
    let (id, expression) = (&command["id"], &command["params"]["expression"]);
    let said = |value: Value| json!({"type": "success", "realm": "1", "result": {"type": "string", "value": value}});
    let result = match expression.as_str().filter(|_| command["method"] == "script.evaluate") {
        None => json!({}),
        Some(expression) => match expression.parse() {
            // Put together by hand: as a value it would be in memory once more.
            Ok(length) => return long(id, length),
            Err(_) => said(Checksum::of([expression]).json()),
        },
    };
    json!({"type": "success", "id": id, "result": result}).to_string()
}

fn long(id: &Value, length: u64) -> String {
    let before = format!(
        r#"{{"type":"success","id":{id},"result":{{"type":"success","realm":"1","result":{{"type":"string","value":""#
    );
    let after = r#""}}}"#;
    let mut whole = Vec::with_capacity(before.len() + length as usize + after.len());
    whole.extend_from_slice(before.as_bytes());
    text(length).for_each(|piece| whole.extend_from_slice(&piece));
    whole.extend_from_slice(after.as_bytes());
    String::from_utf8(whole).expect("letters are text")
}
