//! Writes a class's status.

use std::{error::Error as _, sync::Arc};

use crds::{BrowserClass, BrowserClassStatus, Reason, conditions::READY};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio::time::Instant;

use super::{
    observations::Observations,
    pace::Pace,
    status::{Counts, revisions, status},
};
use crate::{admission::Gate, cache::Stores, events::Events, work_queue::Action, writer::Writer};

pub struct ClassController {
    pub stores: Arc<Stores>,
    pub observations: Arc<Observations>,
    pub gate: Arc<Gate>,
    pub writer: Writer,
    pub events: Events,
    pub clock: fn() -> Timestamp,
    pub pace: Pace,
}

impl ClassController {
    /// Writes the status of a class if it has changed, and if it was not written just now.
    pub async fn reconcile(&self, name: &str) -> Action {
        let now = Instant::now();
        if let Some(wait) = self.pace.wait(name, now) {
            return Action::RequeueAfter(wait);
        }
        let Some(class) = self.stores.class(name) else {
            self.observations.forget(name);
            self.pace.forget(name);
            return Action::AwaitChange;
        };
        let seen = self.observations.of(name, &revisions(&class));
        let (live, waiting) = self.gate.counts(name);
        let status = status(&class, &seen, Counts { live, waiting }, (self.clock)());
        if class.status.as_ref() == Some(&status) || class.metadata.deletion_timestamp.is_some() {
            return Action::AwaitChange;
        }
        self.pace.wrote(name, now);
        match self.writer.write_class_status(&class, status.clone()).await {
            Ok(()) => {
                self.tell(&class, &status);
                Action::AwaitChange
            }
            // It has changed, or is gone: its watch is behind.
            Err(error) if matches!(error.code(), Some(404 | 409)) => Action::Retry,
            Err(error) => {
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(name, cause, "{error}");
                Action::Retry
            }
        }
    }

    /// An Event and a log line where the class is ready by now, or not any more, or not for another reason.
    fn tell(&self, class: &BrowserClass, status: &BrowserClassStatus) {
        let (before, now) = (class.status.as_ref().and_then(ready), ready(status));
        let Some(now) = now else { return };
        let is_same =
            before.is_some_and(|before| before.status == now.status && before.reason == now.reason);
        let Some(reason) = Reason::parse(&now.reason).filter(|reason| *reason != Reason::Untried)
        else {
            return;
        };
        if is_same {
            return;
        }
        tracing::info!(name = class.metadata.name, %reason, message = now.message, "class");
        self.events.publish(class, now.status == "False", reason, &now.message);
    }
}

fn ready(status: &BrowserClassStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == READY)
}
