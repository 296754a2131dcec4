//! A session that clients can drive.

use std::{net::IpAddr, sync::OnceLock};

use agent_api::{PodRef, installation_key::InstallationKey};
use crds::{BrowserSession, capabilities::CapabilitySet, names::Protocol};
use kube::ResourceExt;
use net::agent::Agent;
use tokio_util::sync::CancellationToken;

use super::{not_ready::NotReady, share_state::ShareState};

#[derive(Debug)]
pub struct LiveSession {
    /// WebDriver's id: a credential, which appears in no log.
    pub session_id: String,
    /// The uid of the object.
    pub uid: String,
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// As the browser matched them, in JSON: a few hundred bytes that are wanted once or twice in a session's life.
    capabilities: Box<str>,
    /// Whether it speaks BiDi.
    pub bidi: bool,
    /// Whether it was made on a bare socket: then it is reachable over that socket alone.
    pub bidi_only: bool,
    /// The connections to its pod.
    pub agent: Agent,
    pub share: ShareState,
    /// Cancelled when the session has ended; `end` is set before.
    pub ended: CancellationToken,
    pub end: OnceLock<NotReady>,
}

impl LiveSession {
    /// The session of an object that is Ready; `None` while it is not.
    pub fn of(session: &BrowserSession, uid: &str, key: &InstallationKey) -> Option<Self> {
        let status = session.status.as_ref().filter(|_| session.is_ready())?;
        // Another installation's controller has another key, and its pods would not believe this gateway.
        let session_id = key.session_id(uid).to_string();
        status.session_id.as_ref().filter(|id| **id == session_id)?;
        let ip: IpAddr = status.pod_ip.as_deref()?.parse().ok()?;
        let token = key.pod_token(&PodRef::new(session.namespace()?, status.pod_name.as_deref()?));
        Some(Self {
            session_id,
            uid: uid.to_owned(),
            namespace: session.namespace()?,
            name: session.name_any(),
            capabilities: text(status.capabilities.as_ref()),
            bidi: status.web_socket_url.is_some(),
            bidi_only: session.protocol() == Protocol::Bidi,
            agent: Agent::new(ip, token),
            share: ShareState::of(session),
            ended: CancellationToken::new(),
            end: OnceLock::new(),
        })
    }

    /// As the browser matched them.
    pub fn capabilities(&self) -> CapabilitySet {
        serde_json::from_str(&self.capabilities).unwrap_or_default()
    }
}

fn text(capabilities: Option<&CapabilitySet>) -> Box<str> {
    // What was JSON is JSON.
    let text = capabilities.and_then(|set| serde_json::to_string(set).ok());
    text.unwrap_or_else(|| "{}".to_owned()).into_boxed_str()
}
