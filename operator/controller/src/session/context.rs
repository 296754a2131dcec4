//! What a reconcile needs.

use std::sync::Arc;

use agent_api::{PodRef, installation_key::InstallationKey, pod_token::PodToken};
use jiff::Timestamp;
use kube::Client;

use crate::{
    admission::Gate,
    cache::{Confirmed, Expectations, History, Stores, Tombstones},
    class::Observations,
    events::Events,
    limits::Limits,
    metrics::Metrics,
    network::Policies,
    session_key::SessionKey,
    settings::Settings,
    work_queue::WorkQueue,
    writer::Writer,
};

pub struct Context {
    pub client: Client,
    pub writer: Writer,
    pub key: InstallationKey,
    pub settings: Settings,
    pub stores: Arc<Stores>,
    pub expectations: Arc<Expectations>,
    pub confirmed: Confirmed,
    pub tombstones: Arc<Tombstones>,
    pub history: Arc<History>,
    pub observations: Arc<Observations>,
    pub gate: Arc<Gate>,
    pub policies: Arc<Policies>,
    pub limits: Limits,
    pub work: WorkQueue<SessionKey>,
    pub events: Events,
    pub metrics: Metrics,
    pub clock: fn() -> Timestamp,
}

impl Context {
    pub fn token(&self, pod: &PodRef) -> PodToken {
        self.key.pod_token(pod)
    }
}
