//! Counts the views of a share.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::store;
use crate::{session::LiveSession, state::Gateway};

/// How long views are collected before they are written: one write for a session in this time.
const WRITE_DELAY: Duration = Duration::from_secs(5);

/// Counts a view, and writes it with those that come meanwhile.
pub fn count(gateway: &Gateway, session: &Arc<LiveSession>) {
    let now = (gateway.clock)();
    {
        let mut views = session.share.unwritten_views.lock();
        views.add(now);
        if std::mem::replace(&mut views.is_scheduled, true) {
            return;
        }
    }
    let (session, client) = (session.clone(), gateway.sessions.client.clone());
    let closing = gateway.closing.clone();
    gateway.tasks.spawn(async move {
        tokio::select! {
            () = sleep(WRITE_DELAY) => {}
            () = closing.cancelled() => {}
        }
        let views = std::mem::take(&mut *session.share.unwritten_views.lock());
        match store::add_views(&client, &session, &views).await {
            Ok(()) => {}
            // The record is gone, and with it the count.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "looks at a share are not counted");
            }
        }
    });
}
