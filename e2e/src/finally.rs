//! Clean-up that runs whatever becomes of a test.

use std::panic::{AssertUnwindSafe, resume_unwind};

use anyhow::Result;
use futures::FutureExt;

/// Runs `work`, then `restore`, also if `work` fails or panics. The first error is returned.
pub async fn finally<T>(
    work: impl Future<Output = Result<T>>,
    restore: impl Future<Output = Result<()>>,
) -> Result<T> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    let restored = restore.await;
    match outcome {
        Ok(outcome) => outcome.and_then(|value| restored.map(|()| value)),
        Err(panic) => resume_unwind(panic),
    }
}
