//! Panics: a defect in one request or one reconciliation costs that one only, and is always reported. What a process cannot do
//! without ends it.

use std::{future::Future, panic::AssertUnwindSafe, process};

use futures::FutureExt;
use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Rust's own exit code after a panic of the main thread.
const EXIT_CODE: i32 = 101;

/// Reports every panic from here on: a line in the log with its place, and the metric `browser_operator_panics_total`. Its
/// words are left out: they may repeat what a client has sent.
pub fn report(registry: &mut Registry) {
    let panics = Counter::<u64>::default();
    registry.register(
        "browser_operator_panics",
        "Defects that a request or a task ran into",
        panics.clone(),
    );
    report_with(move || {
        panics.inc();
    });
}

/// The same, without a metric.
pub fn report_without_metric() {
    report_with(|| {});
}

fn report_with(count: impl Fn() + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        count();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a defect: this request or task is given up");
    }));
}

/// Work that the process cannot go on without, such as a watch: its panic ends the process, which is started anew.
pub async fn essential<F: Future>(work: F) -> F::Output {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done,
        Err(_) => {
            tracing::error!("this process cannot go on without what was given up");
            process::exit(EXIT_CODE)
        }
    }
}
