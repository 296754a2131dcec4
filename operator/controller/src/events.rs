//! Events on sessions and classes, written off the path: losing one loses no state.

use std::time::Duration;

use crds::Reason;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, shortened::shortened};

/// Events that wait to be written. More than so many are dropped, with a log line each.
const QUEUE_SIZE: usize = 8192;
/// How many are written at a time.
const CONCURRENCY: usize = 8;
/// How long one may take, and how long all that wait at the end.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest note that Kubernetes keeps, in bytes.
const MAX_NOTE: usize = 1024;
const CONTROLLER: &str = "browser-operator";
/// After so many Events the recorder is replaced: it keeps each for six minutes and scans all for every new one, and
/// repeats, which it aggregates, come soon after each other.
const RECORDER_EVENTS: usize = 512;

/// Where Events are put.
#[derive(Clone)]
pub struct Events(mpsc::Sender<(Event, ObjectReference)>);

/// The task that writes them.
pub struct EventWriter {
    queue: mpsc::Receiver<(Event, ObjectReference)>,
    client: Client,
    reporter: Reporter,
    metrics: Metrics,
}

/// A queue of Events, and the task that writes them as those of the replica in the pod `instance`.
pub fn channel(client: Client, metrics: Metrics, instance: String) -> (Events, EventWriter) {
    let (send, queue) = mpsc::channel(QUEUE_SIZE);
    let reporter = Reporter { controller: CONTROLLER.to_owned(), instance: Some(instance) };
    (Events(send), EventWriter { queue, client, reporter, metrics })
}

impl Events {
    pub fn publish<K>(&self, regarding: &K, is_warning: bool, reason: Reason, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        let event = (event(is_warning, reason, note), regarding.object_ref(&()));
        if self.0.try_send(event).is_err() {
            tracing::warn!(%reason, "an Event was dropped");
        }
    }
}

fn event(is_warning: bool, reason: Reason, note: &str) -> Event {
    Event {
        type_: if is_warning { EventType::Warning } else { EventType::Normal },
        reason: reason.to_string(),
        note: Some(shortened(note, MAX_NOTE).into_owned()),
        action: "Reconcile".to_owned(),
        secondary: None,
    }
}

impl EventWriter {
    /// Writes until `stop`, several at a time: one that hangs must not hold up the others. Then those that wait have a
    /// moment.
    pub async fn run(self, stop: CancellationToken) {
        let Self { queue, client, reporter, metrics } = self;
        let recorder = || Recorder::new(client.clone(), reporter.clone());
        let queued = stream::unfold((queue, recorder(), 0), async |(mut queue, mut current, n)| {
            let (event, regarding) = queue.recv().await?;
            if n >= RECORDER_EVENTS {
                current = recorder();
            }
            let written = if n >= RECORDER_EVENTS { 1 } else { n + 1 };
            Some(((event, regarding, current.clone()), (queue, current, written)))
        });
        let writing =
            queued.for_each_concurrent(CONCURRENCY, async |(event, regarding, recorder)| {
                metrics.api_write("create", "events");
                match timeout(WRITE_TIMEOUT, recorder.publish(&event, &regarding)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "Event not written");
                    }
                    Err(_) => tracing::warn!("an Event was not written in time"),
                }
            });
        let end = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN_TIMEOUT).await;
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
    use crds::BrowserSession;
    use serde_json::json;

    #[test]
    fn an_event_is_about_its_session_and_short_enough() {
        let session: BrowserSession = serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s", "namespace": "n", "uid": "u"}, "spec": {},
        }))
        .unwrap();
        let (send, mut queue) = mpsc::channel(1);
        let note = format!("what; wrote last: {}the last", "ä".repeat(1000));
        Events(send).publish(&session, true, Reason::IdleTimeout, &note);
        let (event, regarding) = queue.try_recv().unwrap();
        assert_eq!((regarding.name.as_deref(), regarding.uid.as_deref()), (Some("s"), Some("u")));
        assert_eq!(regarding.namespace.as_deref(), Some("n"));
        let note = event.note.unwrap();
        assert!(note.len() <= MAX_NOTE && note.len() > MAX_NOTE - 8, "{}", note.len());
        assert!(note.starts_with("what; ") && note.ends_with("the last"), "{note}");
        assert_eq!(event.reason, "IdleTimeout");
    }
}
