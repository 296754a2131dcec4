//! A page that takes all it can get harms its own session at most.

use std::{
    io::{Cursor, Read},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use crds::{Phase, Reason};
use e2e::{class_like_the_default, faults::beside_others, namespace::END_LIMIT};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::helpers::{Rows, both, ended_everywhere, pod_of, while_driven};

/// Allocates memory until there is none, and holds it.
const EAT: &str = r#"
globalThis.eaten = [];
setInterval(() => eaten.push(new Uint8Array(32 << 20).fill(1)), 10);
"#;

/// Keeps more processors busy than there are.
const SPIN: &str = r#"
const code = URL.createObjectURL(new Blob(["for (;;);"], {type: "text/javascript"}));
globalThis.workers = [1, 2, 3, 4].map(() => new Worker(code));
workers.length"#;

#[tokio::test]
async fn a_page_that_eats_its_memory_ends_its_own_session_alone() -> Result<()> {
    beside_others(async |_, namespace| {
        let cluster = &namespace.cluster;
        let default = cluster.default_class().await?;
        let resources = json!({
            "requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"},
        });
        let class =
            class_like_the_default(&default, &namespace.name, json!({"resources": resources}))?;
        cluster
            .with_class(&class, async || {
                let mut rows = Rows::default();
                let mut spec = both();
                spec["className"] = json!(namespace.name);
                let neighbour = namespace.create_ready("neighbour", spec.clone()).await?;
                let hungry = namespace.create_ready("hungry", spec).await?;
                let mut bidi = cluster.socket(&hungry.id).await?;
                let context = bidi.open(&cluster.page("/")).await?;
                let outcome = while_driven(namespace, &neighbour.id, async || {
                    bidi.evaluate(&context, EAT).await?;
                    let record =
                        ended_everywhere(namespace, "hungry", Phase::Failed, Reason::OutOfMemory)
                            .await;
                    rows.row("the record", record.map(drop));
                    let frame = bidi.closed(END_LIMIT).await.and_then(|frame| {
                        let frame = frame.context("a Close frame that says why")?;
                        ensure!(frame.reason.as_str() == "OutOfMemory", "closed with {frame:?}");
                        Ok(())
                    });
                    rows.row("the client", frame);
                    Ok(())
                })
                .await;
                rows.row("the neighbour", outcome);
                rows.all()
            })
            .await
    })
    .await
}

/// The body of an upload that is small on its way, and as large as its class's `scratch` on disk.
fn large_upload() -> Result<Value> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("large", SimpleFileOptions::default())?;
    std::io::copy(&mut std::io::repeat(0).take(256 << 20), &mut archive)?;
    Ok(json!({"file": BASE64_STANDARD.encode(archive.finish()?.into_inner())}))
}

/// The kubelet looks at the disk every ten seconds.
const EVICTION_LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_client_that_fills_its_disk_ends_its_own_session_alone() -> Result<()> {
    beside_others(async |_, namespace| {
        let (cluster, upload) = (&namespace.cluster, large_upload()?);
        let neighbour = namespace.create_ready("neighbour", both()).await?;
        for (like, browser) in [("chromium", "chrome"), ("firefox", "firefox")] {
            let name = format!("{}-{like}", namespace.name);
            let like = cluster.classes().get(like).await?;
            let class = class_like_the_default(&like, &name, json!({"scratch": "256Mi"}))?;
            cluster
                .with_class(&class, async || {
                    let mut spec = both();
                    spec["className"] = json!(name);
                    spec["capabilities"]["alwaysMatch"]["browserName"] = json!(browser);
                    let hungry = namespace.create_ready(browser, spec).await?;
                    let client = cluster.anonymous();
                    while_driven(namespace, &neighbour.id, async || {
                        for _ in 0..2 {
                            client
                                .post(&format!("/session/{}/se/file", hungry.id), upload.clone())
                                .await?;
                        }
                        let ended = namespace.reason(browser, Reason::Evicted, EVICTION_LIMIT);
                        let ended = ended.await?;
                        let finished = ended.telling_condition().context("a condition")?;
                        let words = "exceeds the limit \"256Mi\"";
                        ensure!(finished.message.contains(words), "{}", finished.message);
                        Ok(())
                    })
                    .await
                })
                .await?;
        }
        Ok(())
    })
    .await
}

/// How long a page spins before it is believed.
const MEASURED_TIME: Duration = Duration::from_secs(4);
/// What it may use: this share of a processor, and a little more for the end of a period.
const CPU_LIMIT: f64 = 0.5;
const SLACK: f64 = 0.1;

#[tokio::test]
async fn a_page_that_spins_has_no_more_of_the_processors_than_its_class_allows() -> Result<()> {
    beside_others(async |faults, namespace| {
        let cluster = &namespace.cluster;
        let default = cluster.default_class().await?;
        let resources = json!({
            "requests": {"cpu": "250m", "memory": "512Mi"},
            "limits": {"cpu": "500m", "memory": "2Gi"},
        });
        let class =
            class_like_the_default(&default, &namespace.name, json!({"resources": resources}))?;
        cluster
            .with_class(&class, async || {
                let mut spec = both();
                spec["className"] = json!(namespace.name);
                let spinning = namespace.create_ready("spinning", spec).await?;
                let neighbour = namespace.create_ready("neighbour", both()).await?;
                let mut bidi = cluster.socket(&spinning.id).await?;
                let context = bidi.open(&cluster.page("/")).await?;
                ensure!(bidi.evaluate(&context, SPIN).await? == 4);
                let pod = pod_of(namespace, &spinning).await?;
                while_driven(namespace, &neighbour.id, async || {
                    let (begun, before) = (Instant::now(), faults.processor_time(&pod)?);
                    // A CPU share is measured over a time.
                    sleep(MEASURED_TIME).await;
                    let used = faults.processor_time(&pod)? - before;
                    let share = used.as_secs_f64() / begun.elapsed().as_secs_f64();
                    println!("a page that spins had {share:.2} of a processor");
                    ensure!(share <= CPU_LIMIT + SLACK, "it had {share:.2}");
                    // Otherwise it did not spin; above that, its share depends on the machine's other work.
                    ensure!(share >= CPU_LIMIT / 4.0, "it had only {share:.2}");
                    Ok(())
                })
                .await
            })
            .await
    })
    .await
}
