//! Ends the session when its browser's process ends.

use std::sync::Arc;

use rustix::process::Pid;

use super::activity::Activity;
use crate::{
    driver::browser_process,
    end::{BrowserLoss, EndPolicy},
};

pub async fn watch(browser: Pid, activity: Arc<Activity>, end_policy: EndPolicy) {
    let ended = tokio::select! {
        ended = browser_process::wait(browser) => ended,
        () = end_policy.latch().token().cancelled_owned() => return,
    };
    match ended {
        Ok(()) => end_policy.browser_disconnected(&activity, &BrowserLoss::ProcessEnded).await,
        Err(error) => {
            let cause = &error as &dyn std::error::Error;
            tracing::warn!(error = cause, "the browser's end is seen at its next command only");
        }
    }
}
