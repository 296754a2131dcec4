//! Events on sessions, written off the path: losing one loses no state.

use std::time::Duration;

use crds::{BrowserSession, Reason};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Events that wait to be written. More than so many are dropped, and counted in the log.
const QUEUED: usize = 8192;
/// How many are written at a time.
const AT_A_TIME: usize = 8;
/// How long one may take.
const WRITE: Duration = Duration::from_secs(10);
/// The longest note that Kubernetes keeps.
const MAX_NOTE: usize = 1024;

type Queued = (ObjectReference, Event);

/// Where events are put.
#[derive(Clone)]
pub struct Events(mpsc::Sender<Queued>);

/// The task that writes them.
pub struct Writer {
    queue: mpsc::Receiver<Queued>,
    recorder: Recorder,
    metrics: Metrics,
}

/// A place for events, and the task that writes what is put there.
pub fn channel(client: Client, metrics: Metrics) -> (Events, Writer) {
    let (events, queue) = mpsc::channel(QUEUED);
    let reporter = Reporter { controller: "browser-operator".to_owned(), instance: None };
    (Events(events), Writer { queue, recorder: Recorder::new(client, reporter), metrics })
}

impl Events {
    /// Tells what happened to a session.
    pub fn tell(&self, session: &BrowserSession, is_warning: bool, reason: Reason, note: &str) {
        let mut note = note.to_owned();
        while note.len() > MAX_NOTE {
            note.pop();
        }
        let event = Event {
            type_: if is_warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_string(),
            note: Some(note),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if self.0.try_send((session.object_ref(&()), event)).is_err() {
            tracing::warn!(%reason, "an Event was dropped");
        }
    }
}

impl Writer {
    /// Writes until `stop`, several at a time: one that hangs must not hold up the others.
    pub async fn run(self, stop: CancellationToken) {
        let Self { queue, recorder, metrics } = self;
        let queued = stream::unfold(queue, async |mut queue| Some((queue.recv().await?, queue)));
        let writing = queued.for_each_concurrent(AT_A_TIME, async |(object, event)| {
            metrics.writes("publish", "events");
            match timeout(WRITE, recorder.publish(&event, &object)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "Event not written");
                }
                Err(_) => tracing::warn!("an Event was not written in time"),
            }
        });
        tokio::select! {
            () = writing => {}
            () = stop.cancelled() => {}
        }
    }
}
