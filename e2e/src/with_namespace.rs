//! Runs a test in a namespace of its own: made fresh, deleted afterwards, kept and printed where the test failed.

use std::panic::{AssertUnwindSafe, resume_unwind};

use anyhow::{Context, Result};
use futures::FutureExt;
use tokio::sync::Semaphore;

use crate::{cluster::Cluster, diagnostics, namespace::Namespace};

/// How many tests of a process run at a time: more browsers than a small machine holds would only wait for each other.
static CONCURRENT_TESTS: Semaphore = Semaphore::const_new(4);

/// Runs a test in a fresh namespace. Afterwards its sessions are deleted, and nothing may be left of them.
/// Where it fails, the namespace is kept, and what happened in it is printed.
pub async fn with_namespace(test: impl AsyncFnOnce(Namespace) -> Result<()>) -> Result<()> {
    let _permit = CONCURRENT_TESTS.acquire().await.context("the semaphore is never closed")?;
    let namespace = Namespace::make(Cluster::connect().await?).await?;
    let whole = async {
        test(namespace.clone()).await?;
        namespace.clear().await
    };
    match AssertUnwindSafe(Box::pin(whole)).catch_unwind().await {
        Ok(Ok(())) => namespace.remove().await,
        Ok(Err(error)) => {
            diagnostics::print(&namespace, &format!("{error:#}")).await;
            Err(error)
        }
        Err(panic) => {
            diagnostics::print(&namespace, "an assertion failed").await;
            resume_unwind(panic)
        }
    }
}
