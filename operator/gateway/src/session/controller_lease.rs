//! Whether a controller lives, by its Lease: without one no session gets a browser.

use std::time::Duration;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    runtime::watcher::{Config, Event},
};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// How long a client waits for a controller beyond the end of its Lease: as long as the next one may take to start.
pub const GRACE: Duration = Duration::from_secs(15);
/// Of a Lease that says nothing of it.
const DEFAULT_DURATION: Duration = Duration::from_secs(15);

/// The Lease that the working controller renews.
pub struct ControllerLease {
    client: Client,
    namespace: String,
    name: String,
    clock: fn() -> Timestamp,
    renewals: Mutex<Renewals>,
    /// Until when a controller is known to live; `None` before anything is known, which counts as alive.
    alive_until: watch::Sender<Option<Instant>>,
}

impl ControllerLease {
    pub fn new(client: Client, namespace: String, name: String, clock: fn() -> Timestamp) -> Self {
        let (renewals, alive_until) = (Mutex::default(), watch::Sender::new(None));
        Self { client, namespace, name, clock, renewals, alive_until }
    }

    /// Follows the Lease until `stop`.
    pub async fn watch(&self, client: Client, stop: CancellationToken) {
        let config = Config::default().fields(&format!("metadata.name={}", self.name));
        let events = support::watch::events_in::<Lease>(&client, &self.namespace, config, stop);
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Event::InitApply(lease) | Event::Apply(lease) => self.see(&lease),
                // There is none yet.
                Event::InitDone if self.alive_until.borrow().is_none() => {
                    self.alive_until.send_replace(Some(Instant::now()));
                }
                // What was renewed was renewed.
                Event::Init | Event::InitDone | Event::Delete(_) => {}
            }
        }
    }

    fn see(&self, lease: &Lease) {
        let until = self.renewals.lock().handle(lease, Instant::now(), (self.clock)());
        if let Some(until) = until {
            self.alive_until.send_replace(Some(until));
        }
    }

    /// Whether a controller lives.
    pub fn is_held(&self) -> bool {
        self.alive_until.borrow().is_none_or(|until| Instant::now() < until)
    }

    /// That none does, for a person.
    pub fn not_held(&self) -> String {
        format!(
            "no controller works: Lease {} in namespace {} is not renewed",
            self.name, self.namespace
        )
    }

    /// Returns when no controller has lived for [`GRACE`], and the API server has confirmed it: a watch may be behind.
    pub async fn abandoned(&self) {
        let leases = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        loop {
            self.silence().await;
            match leases.get_opt(&self.name).await {
                Ok(lease) => {
                    lease.iter().for_each(|lease| self.see(lease));
                    if !self.is_held() {
                        return;
                    }
                }
                // Nothing is known, and another time may tell.
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "is there a controller?"
                    );
                    tokio::time::sleep(GRACE).await;
                }
            }
        }
    }

    /// Returns when the watch has shown no controller for [`GRACE`].
    async fn silence(&self) {
        let mut changes = self.alive_until.subscribe();
        loop {
            let until = *changes.borrow_and_update();
            let silent = async {
                match until {
                    Some(until) => sleep_until(until + GRACE).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = silent => return,
                // The sender lives as long as this.
                _ = changes.changed() => {}
            }
        }
    }

    /// Waits at most [`GRACE`] for a controller; returns whether there is one.
    pub async fn wait_until_held(&self) -> bool {
        let mut changes = self.alive_until.subscribe();
        let held = changes.wait_for(|until| until.is_none_or(|until| Instant::now() < until));
        matches!(tokio::time::timeout(GRACE, held).await, Ok(Ok(_)))
    }
}

/// The renewals that were seen. A machine's clock is not compared with another's, but for the first one.
#[derive(Default)]
struct Renewals {
    last: Option<Timestamp>,
}

impl Renewals {
    /// Until when a controller lives, if this is a renewal.
    fn handle(&mut self, lease: &Lease, now: Instant, clock: Timestamp) -> Option<Instant> {
        let spec = lease.spec.as_ref()?;
        spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())?;
        let renewed = spec.renew_time.as_ref()?.0;
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(DEFAULT_DURATION, Duration::from_secs);
        let age = match self.last.replace(renewed) {
            Some(last) if last == renewed => return None,
            Some(_) => Duration::ZERO,
            // How old it is when this replica starts; a clock that is behind makes it new.
            None => Duration::try_from(clock.duration_since(renewed).max(SignedDuration::ZERO))
                .unwrap_or_default()
                .min(duration),
        };
        Some(now + duration - age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lease(holder: Option<&str>, renewed: Timestamp) -> Lease {
        serde_json::from_value(json!({
            "metadata": {"name": "l"},
            "spec": {"holderIdentity": holder, "renewTime": renewed.to_string(),
                "leaseDurationSeconds": 15},
        }))
        .unwrap()
    }

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    const DURATION: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn only_a_renewal_keeps_a_controller_alive() {
        let (now, start) = (Instant::now(), Timestamp::from_second(1_000_000).unwrap());
        for (age, left) in [(0, 15), (10, 5), (60, 0), (-60, 15)] {
            let first = lease(Some("a"), start - seconds(age));
            let until = Renewals::default().handle(&first, now, start);
            assert_eq!(until, Some(now + Duration::from_secs(left)), "{age}");
        }
        let mut renewals = Renewals::default();
        renewals.handle(&lease(Some("a"), start), now, start);
        // The same again, after a new list, and a release, which is no renewal.
        assert_eq!(renewals.handle(&lease(Some("a"), start), now, start), None);
        assert_eq!(renewals.handle(&lease(None, start + seconds(1)), now, start), None);
        // Another machine's clock may be wrong.
        let renewed = lease(Some("b"), start - seconds(3600));
        assert_eq!(renewals.handle(&renewed, now, start), Some(now + DURATION));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rolling_update_is_waited_for_and_an_absence_is_not() {
        let nobody = tower::service_fn(async |_: http::Request<kube::client::Body>| {
            Err::<http::Response<kube::client::Body>, _>("no API server")
        });
        let client = Client::new(nobody, "default");
        let lease =
            ControllerLease::new(client, "n".to_owned(), "l".to_owned(), || Timestamp::UNIX_EPOCH);
        assert!(lease.is_held() && lease.wait_until_held().await);
        lease.alive_until.send_replace(Some(Instant::now() + DURATION));
        assert!(lease.is_held());
        let begun = Instant::now();
        lease.silence().await;
        assert_eq!(begun.elapsed(), DURATION + GRACE);
        assert!(!lease.is_held());
        let begun = Instant::now();
        assert!(!lease.wait_until_held().await);
        assert_eq!(begun.elapsed(), GRACE);
        let (held, ()) = tokio::join!(lease.wait_until_held(), async {
            tokio::time::sleep(GRACE / 2).await;
            lease.alive_until.send_replace(Some(Instant::now() + DURATION));
        });
        assert!(held && lease.is_held());
    }
}
