//! The controller's metrics. Labels are closed sets.

use std::sync::Arc;

use crds::Reason;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    verb: &'static str,
    resource: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: String,
}

#[derive(Clone, Debug)]
pub struct Metrics {
    ended: Family<ReasonLabel, Counter>,
    live: Family<ClassLabel, Gauge>,
    waiting: Family<ClassLabel, Gauge>,
    writes: Family<WriteLabels, Counter>,
    ready_seconds: Arc<Histogram>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            ended: Family::default(),
            live: Family::default(),
            waiting: Family::default(),
            writes: Family::default(),
            ready_seconds: Arc::new(Histogram::new(exponential_buckets(0.1, 1.5, 16))),
        };
        registry.register(
            "browser_operator_sessions_ended",
            "Sessions that ended, by the reason of their Ready condition",
            metrics.ended.clone(),
        );
        registry.register(
            "browser_operator_sessions_live",
            "Sessions that have their pod or are about to, by class",
            metrics.live.clone(),
        );
        registry.register(
            "browser_operator_sessions_waiting",
            "Sessions that wait to be admitted, by class",
            metrics.waiting.clone(),
        );
        registry.register(
            "browser_operator_api_writes",
            "Writes to the API server, by verb and resource",
            metrics.writes.clone(),
        );
        registry.register(
            "browser_operator_session_ready_seconds",
            "Seconds from a session's creation until it was Ready",
            Histogram::clone(&metrics.ready_seconds),
        );
        metrics
    }

    pub(crate) fn session_ended(&self, reason: Reason) {
        self.ended.get_or_create(&ReasonLabel { reason: Word(reason) }).inc();
    }

    pub(crate) fn set_queue(&self, class: &str, live: usize, waiting: usize) {
        for (family, count) in [(&self.live, live), (&self.waiting, waiting)] {
            let gauge = family.get_or_create(&ClassLabel { class: class.to_owned() });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A class is gone, with its last session.
    pub(crate) fn forget_queue(&self, class: &str) {
        let label = ClassLabel { class: class.to_owned() };
        self.live.remove(&label);
        self.waiting.remove(&label);
    }

    /// This replica does not lead any more.
    pub(crate) fn clear_queue(&self) {
        self.live.clear();
        self.waiting.clear();
    }

    /// Counts a write to the API server, whatever comes of it.
    pub(crate) fn api_write(&self, verb: &'static str, resource: &'static str) {
        self.writes.get_or_create(&WriteLabels { verb, resource }).inc();
    }

    /// `seconds`: since the session's creation.
    pub(crate) fn session_ready(&self, seconds: f64) {
        self.ready_seconds.observe(seconds);
    }
}
