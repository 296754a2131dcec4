//! What the controller counts. Labels are closed sets.

use std::sync::Arc;

use crds::Reason;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Word(Reason);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

/// The controller's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    ended: Family<ReasonLabel, Counter>,
    ready_seconds: Arc<Histogram>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            ended: Family::default(),
            ready_seconds: Arc::new(Histogram::new(exponential_buckets(0.1, 1.5, 16))),
        };
        registry.register(
            "browser_operator_sessions_ended",
            "Sessions that ended, by the reason of their Ready condition",
            metrics.ended.clone(),
        );
        registry.register(
            "browser_operator_session_ready_seconds",
            "Seconds from a session's creation until it was Ready",
            Histogram::clone(&metrics.ready_seconds),
        );
        metrics
    }

    /// A session ended.
    pub(crate) fn ended(&self, reason: Reason) {
        self.ended.get_or_create(&ReasonLabel { reason: Word(reason) }).inc();
    }

    /// A session became Ready so many seconds after its creation.
    pub(crate) fn ready(&self, seconds: f64) {
        self.ready_seconds.observe(seconds);
    }
}
