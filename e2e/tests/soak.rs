//! The soak in its short form; `make soak` has the long one.

use std::time::Duration;

use anyhow::Result;
use e2e::soak::{Settings, run};

#[tokio::test]
async fn whatever_is_killed_every_session_ends_once_for_a_reason_that_fits_and_leaves_nothing()
-> Result<()> {
    run(&Settings {
        seed: uuid::Uuid::new_v4().as_u64_pair().0,
        length: Duration::from_secs(40),
        cycles: u64::MAX,
        workers: 5,
        chaos: true,
        harm: true,
    })
    .await
}
