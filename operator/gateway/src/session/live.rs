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
    /// As the browser matched them.
    pub capabilities: CapabilitySet,
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
        let ip: IpAddr = status.pod_ip.as_deref()?.parse().ok()?;
        let token = key.pod_token(&PodRef::new(session.namespace()?, status.pod_name.as_deref()?));
        Some(Self {
            session_id: status.session_id.clone()?,
            uid: uid.to_owned(),
            namespace: session.namespace()?,
            name: session.name_any(),
            capabilities: status.capabilities.clone().unwrap_or_default(),
            bidi: status.web_socket_url.is_some(),
            bidi_only: session.protocol() == Protocol::Bidi,
            agent: Agent::new(ip, token),
            share: ShareState::of(session),
            ended: CancellationToken::new(),
            end: OnceLock::new(),
        })
    }
}
