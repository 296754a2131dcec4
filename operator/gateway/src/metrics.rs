//! The metrics of the gateway. Labels are closed sets.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Front {
    Classic,
    Bidi,
    Browserbase,
    BrowserUse,
    Cdp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Outcome {
    Created,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    front: Front,
    outcome: Outcome,
}

#[derive(Clone, Debug)]
pub struct Metrics {
    requested: Family<Labels, Counter>,
    tunnels: Gauge,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { requested: Family::default(), tunnels: Gauge::default() };
        registry.register(
            "browser_operator_gateway_sessions_requested",
            "Sessions that clients asked for, by front and outcome",
            metrics.requested.clone(),
        );
        registry.register(
            "browser_operator_gateway_tunnels",
            "WebSockets that are open through this replica",
            metrics.tunnels.clone(),
        );
        metrics
    }

    pub(crate) fn requested(&self, front: Front, outcome: Outcome) {
        self.requested.get_or_create(&Labels { front, outcome }).inc();
    }

    /// Counts a tunnel until the guard is dropped.
    pub(crate) fn tunnel(&self) -> TunnelGuard {
        self.tunnels.inc();
        TunnelGuard(self.tunnels.clone())
    }
}

pub(crate) struct TunnelGuard(Gauge);

impl Drop for TunnelGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
