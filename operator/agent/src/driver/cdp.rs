//! One Chrome DevTools Protocol command, on a socket of its own.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::error::Elapsed;
use tokio_tungstenite::tungstenite::{self, Message};

use super::endpoint::Endpoint;

/// Why the browser did not answer a command.
#[derive(Debug, thiserror::Error)]
pub enum CdpError {
    #[error(transparent)]
    Socket(#[from] tungstenite::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("the browser hung up")]
    Disconnected,
    #[error(transparent)]
    Timeout(#[from] Elapsed),
}

/// Sends a command and returns the answer, which has an `error` member where the browser refused.
pub async fn call(target: &Endpoint, method: &str, params: Value) -> Result<Value, CdpError> {
    let mut socket = target.open().await?;
    let command = json!({"id": 1, "method": method, "params": params});
    socket.send(Message::text(command.to_string())).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let answer: Value = serde_json::from_str(&text)?;
        if answer["id"] == 1 {
            socket.close(None).await?;
            return Ok(answer);
        }
    }
    Err(CdpError::Disconnected)
}
