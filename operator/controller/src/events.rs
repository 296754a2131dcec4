//! Events on sessions, written off the path: losing one loses no state.

use std::time::Duration;

use crds::{BrowserSession, Reason};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, Resource, ResourceExt, api::PostParams};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Events that wait to be written. More than so many are dropped, and counted in the log.
const QUEUED: usize = 8192;
/// How many are written at a time.
const AT_A_TIME: usize = 8;
/// How long one may take, and how long all that wait at the end.
const WRITE: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(3);
/// The longest note that Kubernetes keeps, in bytes.
const MAX_NOTE: usize = 1024;
/// Who reports.
const CONTROLLER: &str = "browser-operator";
/// The longest part of a session's name in an Event's.
const MAX_STEM: usize = 200;

/// Where events are put.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Event>,
    clock: fn() -> Timestamp,
}

/// The task that writes them.
pub struct Writer {
    queue: mpsc::Receiver<Event>,
    client: Client,
    metrics: Metrics,
}

/// A place for events, and the task that writes what is put there.
pub fn channel(client: Client, metrics: Metrics, clock: fn() -> Timestamp) -> (Events, Writer) {
    let (send, queue) = mpsc::channel(QUEUED);
    (Events { queue: send, clock }, Writer { queue, client, metrics })
}

impl Events {
    /// Tells what happened to a session.
    pub fn tell(&self, session: &BrowserSession, is_warning: bool, reason: Reason, note: &str) {
        let event = event(session, is_warning, reason, note, (self.clock)());
        if self.queue.try_send(event).is_err() {
            tracing::warn!(%reason, "an Event was dropped");
        }
    }
}

/// One Event. Its name says when it was, as those of Kubernetes' own components do.
fn event(
    session: &BrowserSession,
    is_warning: bool,
    reason: Reason,
    note: &str,
    now: Timestamp,
) -> Event {
    let mut end = note.len().min(MAX_NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    let stem: String = session.name_any().chars().take(MAX_STEM).collect();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{stem}.{:x}", now.as_nanosecond())),
            namespace: session.namespace(),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(note[..end].to_owned()),
        reason: Some(reason.to_string()),
        regarding: Some(session.object_ref(&())),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(CONTROLLER.to_owned()),
        type_: Some(if is_warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

impl Writer {
    /// Writes until `stop`, several at a time: one that hangs must not hold up the others. Then what waits has a moment.
    pub async fn run(self, stop: CancellationToken) {
        let Self { queue, client, metrics } = self;
        let queued = stream::unfold(queue, async |mut queue| Some((queue.recv().await?, queue)));
        let writing = queued.for_each_concurrent(AT_A_TIME, async |event| {
            metrics.writes("create", "events");
            let namespace = event.namespace().unwrap_or_default();
            let events = Api::<Event>::namespaced(client.clone(), &namespace);
            match timeout(WRITE, events.create(&PostParams::default(), &event)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "Event not written");
                }
                Err(_) => tracing::warn!("an Event was not written in time"),
            }
        });
        let end = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            () = writing => {}
            () = end => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_about_its_session_and_short_enough() {
        let session: BrowserSession = serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s", "namespace": "n", "uid": "u"}, "spec": {},
        }))
        .unwrap();
        let now: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let event = event(&session, true, Reason::IdleTimeout, &"ä".repeat(1000), now);
        let regarding = event.regarding.unwrap();
        assert_eq!((regarding.name.as_deref(), regarding.uid.as_deref()), (Some("s"), Some("u")));
        assert_eq!(event.note.unwrap().len(), MAX_NOTE);
        assert_eq!(event.reason.as_deref(), Some("IdleTimeout"));
        assert!(event.metadata.name.unwrap().starts_with("s."));
    }
}
