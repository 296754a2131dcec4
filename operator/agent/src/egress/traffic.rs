//! What went through each upstream, in bytes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use agent_api::traffic::{Bytes, Traffic as Report};
use parking_lot::Mutex;

/// The bytes of one upstream, as they stand on the wire: TLS, headers and handshakes too.
#[derive(Debug, Default)]
pub struct Counter {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Counter {
    pub fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The counters of a session. There are as many as it has had upstreams in its rules.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<BTreeMap<String, Arc<Counter>>>);

impl Traffic {
    pub fn counter(&self, upstream: &str) -> Arc<Counter> {
        let mut counters = self.0.lock();
        if let Some(counter) = counters.get(upstream) {
            return counter.clone();
        }
        counters.entry(upstream.to_owned()).or_default().clone()
    }

    pub fn report(&self) -> Report {
        let counters = self.0.lock();
        let upstreams = counters.iter().map(|(upstream, counter)| {
            let bytes = Bytes {
                sent: counter.sent.load(Ordering::Relaxed),
                received: counter.received.load(Ordering::Relaxed),
            };
            (upstream.clone(), bytes)
        });
        Report { upstreams: upstreams.collect(), ..Report::default() }
    }
}
