//! Sessions that are refused: what can never be had, and what cannot be had now.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use crds::{BrowserSession, Phase, Reason};
use e2e::{
    Namespace, class_like_the_default,
    namespace::{END_LIMIT, check_end},
    wait::{until, until_all},
    with_namespace,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{api::ListParams, runtime::watcher::Config};
use serde_json::{Value, json};
use tokio::time::Instant;

/// A second is promised; a machine that is busy with other tests may take two.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may take until a pod that does not start says so.
const PROBLEM_TIMEOUT: Duration = Duration::from_secs(10);

/// Creates a session that must be refused at once, and gives the message.
async fn refused(namespace: &Namespace, spec: Value, reason: Reason) -> Result<String> {
    let begun = Instant::now();
    namespace.create("s", spec).await?;
    let session = until(&namespace.sessions(), "s", "refused", REFUSAL_TIMEOUT, |session| {
        session.is_some_and(BrowserSession::is_terminal)
    })
    .await?
    .context("it is there")?;
    println!("refused after {:?}: {reason}", begun.elapsed());

    check_end(&session, Phase::Failed, reason)?;
    ensure!(
        session.status.as_ref().is_some_and(|status| status.pod_name.is_none()),
        "it has a pod"
    );
    let pods = namespace.pods().list(&ListParams::default()).await?;
    ensure!(pods.items.is_empty(), "a pod was made");
    Ok(session.telling_condition().context("Ready")?.message.clone())
}

fn names(message: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(message.contains(word), "{word:?} is not in {message:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_class_that_does_not_exist_is_refused_with_the_classes_that_do() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let message =
            refused(&namespace, json!({"className": "mosaic"}), Reason::ClassNotFound).await?;
        names(&message, &["spec.className", "mosaic", &default.metadata.name.unwrap()])
    })
    .await
}

#[tokio::test]
async fn a_region_that_the_class_lacks_is_refused_with_the_regions_that_it_has() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let regions = json!({"regions": [{"name": "eu"}, {"name": "us"}]});
        let class = class_like_the_default(&default, &namespace.name, regions)?;
        namespace
            .cluster
            .with_class(&class, async || {
                let spec = json!({"className": namespace.name, "region": "mars"});
                let message = refused(&namespace, spec, Reason::RegionNotFound).await?;
                names(&message, &["spec.region", "mars", "eu, us"])
            })
            .await
    })
    .await
}

#[tokio::test]
async fn capabilities_that_no_class_has_are_refused_with_what_there_is() -> Result<()> {
    with_namespace(async |namespace| {
        let spec = json!({"capabilities": {"alwaysMatch": {"browserName": "safari"}}});
        let message = refused(&namespace, spec, Reason::CapabilitiesNotMatched).await?;
        names(&message, &["spec.capabilities", "browserName", "chrome", "firefox", "safari"])
    })
    .await
}

#[tokio::test]
async fn a_version_that_no_class_has_is_refused_with_the_versions_that_there_are() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let spec = json!({"capabilities": {"alwaysMatch": {"browserVersion": "1"}}});
        let message = refused(&namespace, spec, Reason::CapabilitiesNotMatched).await?;
        names(&message, &["browserVersion", &default.spec.versions[0].version])
    })
    .await
}

#[tokio::test]
async fn capabilities_that_the_schema_lets_through_but_webdriver_does_not_are_refused() -> Result<()>
{
    with_namespace(async |namespace| {
        let spec = json!({"capabilities": {"alwaysMatch": {"colour": "blue"}}});
        let message = refused(&namespace, spec, Reason::CapabilitiesInvalid).await?;
        names(&message, &["spec.capabilities", "alwaysMatch.colour"])
    })
    .await
}

#[tokio::test]
async fn a_capability_in_both_sets_is_refused_by_name() -> Result<()> {
    with_namespace(async |namespace| {
        let spec = json!({"capabilities": {
            "alwaysMatch": {"browserName": "chrome"}, "firstMatch": [{"browserName": "chrome"}],
        }});
        let message = refused(&namespace, spec, Reason::CapabilitiesInvalid).await?;
        names(&message, &["spec.capabilities", "browserName", "firstMatch[0]"])
    })
    .await
}

#[tokio::test]
async fn vendor_options_that_would_leave_the_walls_are_refused_all_at_once() -> Result<()> {
    with_namespace(async |namespace| {
        let arguments = [
            "--renderer-cmd-prefix=/bin/sh",
            "--log-net-log=/tmp/x",
            "--enable-blink-features=MojoJS",
        ];
        let options = json!({"goog:chromeOptions": {"args": arguments}});
        let spec = json!({"capabilities": {"alwaysMatch": options}});
        let message = refused(&namespace, spec, Reason::CapabilitiesInvalid).await?;
        let named = ["goog:chromeOptions", "renderer-cmd-prefix", "log-net-log", "MojoJS"];
        names(&message, &named)
    })
    .await
}

#[tokio::test]
async fn a_vendor_option_whose_loss_harms_nobody_is_left_out_and_said() -> Result<()> {
    with_namespace(async |namespace| {
        let arguments = ["--no-sandbox", "--headless=new", "--window-size=500,400"];
        let options = json!({"goog:chromeOptions": {"args": arguments}});
        let spec = json!({"capabilities": {"alwaysMatch": options}});
        let live = namespace.create_ready("lenient", spec).await?;
        let capabilities = live.status.capabilities.context("capabilities")?;
        let ignored = capabilities["browser-operator:ignored"].to_string();
        names(&ignored, &["goog:chromeOptions.args: --no-sandbox", "--headless"])
    })
    .await
}

#[tokio::test]
async fn metadata_that_is_too_large_is_refused_with_its_limit() -> Result<()> {
    with_namespace(async |namespace| {
        let spec = json!({"userMetadata": {"text": "x".repeat(17_000)}});
        let message = refused(&namespace, spec, Reason::FieldInvalid).await?;
        names(&message, &["spec.userMetadata", "16384"])
    })
    .await
}

#[tokio::test]
async fn an_image_that_is_missing_is_told_in_the_kubelets_words_until_the_schedule_timeout()
-> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let fields = json!({
            // Of no browser: the test beside this one asks for one that no class has.
            "versions": [{"version": "0.0.1", "image": "browser-operator.invalid/none:1"}],
            "imagePullPolicy": "Never",
            "scheduleTimeoutSeconds": PROBLEM_TIMEOUT.as_secs() + 5,
        });
        let class = class_like_the_default(&default, &namespace.name, fields)?;
        namespace
            .cluster
            .with_class(&class, async || {
                namespace.create("s", json!({"className": namespace.name})).await?;
                let held = namespace.reason("s", Reason::ImageUnavailable, PROBLEM_TIMEOUT).await?;
                ensure!(!held.is_terminal(), "it ended before the schedule timeout");
                let message = held.telling_condition().context("Ready")?.message.clone();
                names(&message, &["ErrImageNeverPull", "browser-operator.invalid/none:1"])?;

                let ended = namespace.ended("s", Phase::Failed, Reason::ImageUnavailable).await?;
                let message = &ended.telling_condition().context("Ready")?.message;
                names(message, &["scheduleTimeoutSeconds: 15", "ErrImageNeverPull"])
            })
            .await
    })
    .await
}

#[tokio::test]
async fn a_pod_that_fits_no_node_is_told_in_the_schedulers_words() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let fields = json!({
            "regions": [{"name": "mars", "nodeSelector": {"browser-operator.io/e2e": "nowhere"}}],
            "scheduleTimeoutSeconds": PROBLEM_TIMEOUT.as_secs() + 5,
        });
        let class = class_like_the_default(&default, &namespace.name, fields)?;
        namespace
            .cluster
            .with_class(&class, async || {
                namespace.create("s", json!({"className": namespace.name})).await?;
                let held = namespace.reason("s", Reason::Unschedulable, PROBLEM_TIMEOUT).await?;
                names(
                    &held.telling_condition().context("Ready")?.message,
                    &["node affinity/selector"],
                )?;
                let ended = namespace.ended("s", Phase::Failed, Reason::Unschedulable).await?;
                names(
                    &ended.telling_condition().context("Ready")?.message,
                    &["scheduleTimeoutSeconds: 15"],
                )
            })
            .await
    })
    .await
}

#[tokio::test]
async fn a_full_class_makes_the_next_session_wait_until_one_ends() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let class = class_like_the_default(&default, &namespace.name, json!({"capacity": 1}))?;
        namespace
            .cluster
            .with_class(&class, async || {
                let spec = json!({"className": namespace.name});
                let first = namespace.create_ready("first", spec.clone()).await?;
                namespace.create("second", spec).await?;
                let waiting =
                    namespace.reason("second", Reason::CapacityReached, END_LIMIT).await?;
                check_waiting(&waiting, &namespace.name)?;
                let one = |pods: &BTreeMap<String, Pod>| pods.len() == 1;
                until_all(&namespace.pods(), Config::default(), "one pod", END_LIMIT, one).await?;

                namespace.cluster.anonymous().delete(&format!("/session/{}", first.id)).await?;
                let second = namespace.ready("second").await?;
                ensure!(second.pod != first.pod, "a pod was used twice");
                Ok(())
            })
            .await
    })
    .await
}

fn check_waiting(session: &BrowserSession, class: &str) -> Result<()> {
    let status = session.status.as_ref().context("status")?;
    assert_eq!(status.phase, Some(Phase::Pending));
    assert!(status.pod_name.is_none() && !session.is_terminal());
    names(&session.telling_condition().context("Ready")?.message, &[class, "capacity: 1"])
}
