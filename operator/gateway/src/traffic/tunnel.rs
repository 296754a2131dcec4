//! Tunnels between a client's WebSocket and the agent's, and what closes them from this side.

use std::{sync::Arc, time::Duration};

use hyper::upgrade::OnUpgrade;
use net::tunnel::{Endpoint, relay};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_util::sync::CancellationToken;

use crate::{metrics::TunnelGuard, session::LiveSession};

/// How long the agent may take to close the tunnels of a session that has ended.
const AGENT_CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// The reason in the Close frame of a replica that shuts down: the session is still there through another replica.
pub const REPLICA_CLOSING: &str = "this replica is shutting down; connect again";

/// What closes a tunnel from this side: the end of its session, or of this replica.
#[derive(Clone, Debug)]
pub struct TunnelEnd {
    pub session: Arc<LiveSession>,
    /// Cancelled when this replica closes its tunnels.
    pub closing: CancellationToken,
    /// Whether the client can be sent a Close frame; one that cannot only loses its connection.
    pub sends_close: bool,
}

impl TunnelEnd {
    /// Waits for the end of the session.
    async fn session_ended(&self) -> CloseFrame {
        self.session.ended.cancelled().await;
        match self.session.end.get() {
            Some(end) => CloseFrame {
                code: end.reason.close_code().map_or(CloseCode::Away, CloseCode::from),
                reason: end.reason.as_str().into(),
            },
            None => CloseFrame { code: CloseCode::Away, reason: "the session is over".into() },
        }
    }

    /// Waits until the tunnel must be closed. The agent's own Close frame goes first where it comes in time.
    async fn close(&self) -> CloseFrame {
        tokio::select! {
            () = self.closing.cancelled() => {
                CloseFrame { code: CloseCode::Away, reason: REPLICA_CLOSING.into() }
            }
            frame = async {
                let frame = self.session_ended().await;
                tokio::time::sleep(AGENT_CLOSE_TIMEOUT).await;
                frame
            } => frame,
        }
    }
}

/// Relays bytes until both ends are done or the tunnel is closed.
pub async fn tunnel(client: OnUpgrade, agent: OnUpgrade, end: TunnelEnd, _guard: TunnelGuard) {
    match Endpoint::upgraded(client).await {
        Ok(client) => tunnel_from(client, agent, end).await,
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no tunnel came of it");
        }
    }
}

/// The same for a client whose first messages this gateway has read itself.
pub async fn tunnel_from(client: Endpoint, agent: OnUpgrade, end: TunnelEnd) {
    match Endpoint::upgraded(agent).await {
        // The agent sends the pings.
        Ok(agent) => {
            let cut = async { Some(end.close().await).filter(|_| end.sends_close) };
            let loss = async { Some(end.session_ended().await).filter(|_| end.sends_close) };
            relay(client, agent, None, || {}, cut, loss).await;
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no tunnel came of it");
        }
    }
}
