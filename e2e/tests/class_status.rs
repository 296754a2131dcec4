//! What a class says of itself: whether its browsers start, what they are, and how many there are.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result, ensure};
use crds::{BrowserClass, BrowserClassStatus, Phase, Reason, names::CLASS_REVISION_ANNOTATION};
use e2e::{
    Namespace, class_like_the_default,
    finally::finally,
    kubectl::{kubectl, kubectl_with},
    wait::{until, until_all},
    with_namespace,
};
use futures::{StreamExt, future::try_join};
use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::watcher::{Config, watch_object},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

/// A status is written at most every five seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a test with a class of the namespace's name, like the default but for these fields.
async fn with_own_class(
    fields: impl FnOnce(&BrowserClass) -> Value,
    test: impl AsyncFnOnce(&Namespace) -> Result<()>,
) -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let default = cluster.default_class().await?;
        let class = class_like_the_default(&default, &namespace.name, fields(&default))?;
        cluster.with_class(&class, async || test(&namespace).await).await
    })
    .await
}

fn image(default: &BrowserClass) -> &str {
    &default.spec.versions[0].image
}

/// Waits until the class's status is so.
async fn class_is(
    namespace: &Namespace,
    what: &str,
    met: impl Fn(&BrowserClassStatus) -> bool,
) -> Result<BrowserClassStatus> {
    let classes = namespace.cluster.classes();
    let class = until(&classes, &namespace.name, what, LIMIT, |class: Option<&BrowserClass>| {
        class.and_then(|class| class.status.as_ref()).is_some_and(&met)
    })
    .await?;
    class.and_then(|class| class.status).context("a status")
}

/// Waits until the condition Ready has this status and reason; returns the whole status.
async fn class_says(
    namespace: &Namespace,
    met: &str,
    reason: Reason,
) -> Result<BrowserClassStatus> {
    class_is(namespace, &format!("{met} {reason}"), |status| {
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        ready.is_some_and(|ready| ready.status == met && ready.reason == reason.as_str())
    })
    .await
}

async fn patch_class(namespace: &Namespace, spec: Value) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": spec}));
    let classes = namespace.cluster.classes();
    classes.patch(&namespace.name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Waits for an Event about an object of that name.
async fn event(events: Api<Event>, about: &str, reason: Reason, words: &str) -> Result<()> {
    let config = Config::default().fields(&format!("involvedObject.name={about}"));
    let is_it = |event: &Event| {
        event.reason.as_deref() == Some(reason.as_str())
            && event.type_.as_deref() == Some("Warning")
            && event.message.as_deref().is_some_and(|message| message.contains(words))
    };
    let what = format!("a Warning {reason} about {about}");
    until_all(&events, config, &what, LIMIT, |events| events.values().any(is_it)).await.map(drop)
}

#[tokio::test]
async fn a_class_says_what_runs_and_how_much_of_it() -> Result<()> {
    with_own_class(
        |_| json!({"capacity": 1}),
        async |namespace| {
            let untried = class_says(namespace, "Unknown", Reason::Untried).await?;
            assert_eq!((untried.live, untried.waiting, untried.capacity), (0, 0, Some(1)));
            let spec = json!({"className": namespace.name});
            let live = namespace.create_ready("first", spec.clone()).await?;
            namespace.create("second", spec).await?;
            let full =
                class_is(namespace, "full", |status| (status.live, status.waiting) == (1, 1))
                    .await?;
            let ready = class_says(namespace, "True", Reason::BrowsersStart).await?;
            let found = ready.versions[0].found.as_ref().context("found")?;
            let told = live.status.capabilities.as_ref().context("capabilities")?;
            assert_eq!(json!(found.browser_version), told["browserVersion"]);
            assert_eq!(json!(found.browser_name), told["browserName"]);
            let pod = namespace.pods().get(&live.pod).await?;
            assert_eq!(pod.annotations()[CLASS_REVISION_ANNOTATION], full.versions[0].revision);

            let shown = kubectl(&["get", "bc", &namespace.name, "--no-headers"]).await?;
            let shown: Vec<&str> = shown.split_whitespace().collect();
            let found = found.browser_version.as_str();
            assert_eq!(shown[3..8], [found, "True", "BrowsersStart", "1", "1"], "{shown:?}");

            namespace.delete("second").await?;
            namespace.delete("first").await?;
            class_is(namespace, "empty", |s| (s.live, s.waiting) == (0, 0)).await.map(drop)
        },
    )
    .await
}

#[tokio::test]
async fn a_class_that_says_another_version_than_its_image_has_is_found_out() -> Result<()> {
    with_own_class(
        |default| json!({"versions": [{"version": "42.0", "image": image(default)}]}),
        async |namespace| {
            // Nobody knows better yet, but who asks for that version does not get another.
            let asked = json!({
                "className": namespace.name,
                "capabilities": {"alwaysMatch": {"browserVersion": "42"}},
            });
            namespace.create("first", asked.clone()).await?;
            let refused =
                namespace.ended("first", Phase::Failed, Reason::CapabilitiesNotMatched).await?;
            let message = &refused.telling_condition().context("a condition")?.message;
            ensure!(
                message.contains("browserVersion: the class's image has")
                    && message.contains("not 42"),
                "{message}"
            );

            let live = namespace.create_ready("any", json!({"className": namespace.name})).await?;
            let has = live.status.capabilities.as_ref().context("capabilities")?["browserVersion"]
                .as_str()
                .context("browserVersion")?;
            ensure!(!has.starts_with("42"), "{has}");
            let words =
                format!("the class says version 42.0, its image {}", image_of(namespace).await?);
            let events = Api::namespaced(namespace.cluster.client.clone(), &namespace.name);
            event(events, "any", Reason::BrowserReady, &words).await?;

            let class = class_says(namespace, "False", Reason::BrowserMismatch).await?;
            ensure!(class.conditions[0].message.contains(&words), "{:?}", class.conditions);
            let events = Api::namespaced(namespace.cluster.client.clone(), "default");
            event(events, &namespace.name, Reason::BrowserMismatch, &words).await?;

            // By now it is known before a pod is made.
            namespace.create("second", asked).await?;
            let refused =
                namespace.ended("second", Phase::Failed, Reason::CapabilitiesNotMatched).await?;
            let message = &refused.telling_condition().context("a condition")?.message;
            ensure!(message.contains(&format!("{has} (the class says 42.0)")), "{message}");
            ensure!(refused.status.context("status")?.pod_name.is_none(), "it had a pod");
            let real = json!({
                "className": namespace.name,
                "capabilities": {"alwaysMatch": {"browserVersion": has}},
            });
            namespace.create_ready("real", real).await?;

            // Mended without another browser.
            let versions = json!([{"version": has, "image": image_of(namespace).await?}]);
            patch_class(namespace, json!({"versions": versions})).await?;
            let mended = class_says(namespace, "True", Reason::BrowsersStart).await?;
            assert_eq!(mended.versions[0].since_generation, 1, "its pods are made as before");
            Ok(())
        },
    )
    .await
}

async fn image_of(namespace: &Namespace) -> Result<String> {
    let class = namespace.cluster.classes().get(&namespace.name).await?;
    Ok(image(&class).to_owned())
}

#[tokio::test]
async fn an_image_without_a_version_has_the_one_that_its_browser_says() -> Result<()> {
    with_own_class(
        |default| json!({"versions": [{"image": image(default)}]}),
        async |namespace| {
            let asked = |version: &str| {
                json!({
                    "className": namespace.name,
                    "capabilities": {"alwaysMatch": {"browserVersion": version}},
                })
            };
            namespace.create("early", asked(">1")).await?;
            let refused =
                namespace.ended("early", Phase::Failed, Reason::CapabilitiesNotMatched).await?;
            let message = &refused.telling_condition().context("a condition")?.message;
            ensure!(message.contains("has run, not \">1\""), "{message}");

            namespace.create_ready("any", json!({"className": namespace.name})).await?;
            let ready = class_says(namespace, "True", Reason::BrowsersStart).await?;
            let found = ready.versions[0].found.as_ref().context("found")?;
            let major = found.browser_version.split('.').next().context("a major version")?;
            namespace.create_ready("major", asked(major)).await?;
            let client = namespace.client().await?;
            let made = client
                .new_session(json!({
                    "browserVersion": found.browser_version,
                    "browser-operator:class": namespace.name,
                }))
                .await?;
            assert_eq!(made.capabilities["browserVersion"], found.browser_version);
            client.delete(&format!("/session/{}", made.id)).await.map(drop)
        },
    )
    .await
}

#[tokio::test]
async fn a_class_says_that_its_image_cannot_be_had_until_it_is_mended() -> Result<()> {
    let nowhere = |_: &BrowserClass| {
        json!({
            "versions": [{"version": "1", "image": "browser-operator.io/nowhere:1"}],
            "imagePullPolicy": "Never",
        })
    };
    with_own_class(nowhere, async |namespace| {
        let spec = json!({"className": namespace.name});
        namespace.create("waits", spec.clone()).await?;
        let class = class_says(namespace, "False", Reason::ImageUnavailable).await?;
        let message = &class.conditions[0].message;
        for word in ["version 1: ", "browser-operator.io/nowhere:1", &namespace.name] {
            ensure!(message.contains(word), "{word} is not in {message}");
        }
        let events = Api::namespaced(namespace.cluster.client.clone(), "default");
        event(events, &namespace.name, Reason::ImageUnavailable, "nowhere:1").await?;

        let default = namespace.cluster.default_class().await?;
        patch_class(namespace, json!({"versions": default.spec.versions})).await?;
        let mended = class_says(namespace, "Unknown", Reason::Untried).await?;
        assert_eq!(mended.observed_generation, Some(2));
        assert_eq!(mended.versions[0].since_generation, 2);
        namespace.create_ready("runs", spec).await?;
        class_says(namespace, "True", Reason::BrowsersStart).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_class_says_that_its_image_has_no_agent() -> Result<()> {
    let pause = |_: &BrowserClass| json!({"versions": [{"version": "1", "image": "browser-operator.io/pause:dev"}]});
    with_own_class(pause, async |namespace| {
        namespace.create("s", json!({"className": namespace.name})).await?;
        let class = class_says(namespace, "False", Reason::ContainerUnavailable).await?;
        let message = &class.conditions[0].message;
        ensure!(message.contains("/usr/bin/browser-operator"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_class_that_no_session_can_use_says_so_before_one_comes() -> Result<()> {
    let host = |_: &BrowserClass| json!({"podTemplate": {"spec": {"hostNetwork": true}}});
    with_own_class(host, async |namespace| {
        let class = class_says(namespace, "False", Reason::ClassUnusable).await?;
        let message = &class.conditions[0].message;
        ensure!(message.contains("spec.podTemplate.spec.hostNetwork"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn many_sessions_are_few_writes() -> Result<()> {
    with_own_class(
        |_| json!({"capacity": 0}),
        async |namespace| {
            class_says(namespace, "Unknown", Reason::Untried).await?;
            let begun = Instant::now();
            let creating = async {
                for number in 0..60 {
                    let spec = json!({"className": namespace.name});
                    namespace.create(&format!("s{number}"), spec).await?;
                }
                Ok(())
            };
            let counting = async {
                let mut watch = pin!(watch_object(namespace.cluster.classes(), &namespace.name));
                let mut seen = 0_u64;
                loop {
                    let class = timeout_at(begun + LIMIT, watch.next()).await.context("late")?;
                    let class = class.context("the watch")??.context("the class")?;
                    seen += 1;
                    if class.status.is_some_and(|status| status.waiting == 60) {
                        return Ok::<_, anyhow::Error>(seen);
                    }
                }
            };
            let ((), seen) = try_join(creating, counting).await?;
            // What the watch gives first was there before; then one write every five seconds at the most.
            let most = 2 + begun.elapsed().as_secs() / 5;
            ensure!(seen - 1 <= most, "{seen} writes within {:?}", begun.elapsed());
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn requests_above_limits_are_refused_when_the_class_is_made() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let classes = namespace.cluster.classes();
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        for (requests, limits, above) in [
            (json!({"memory": "1025Mi"}), json!({"memory": "1Gi"}), Some("memory")),
            (json!({"cpu": 2}), json!({"cpu": "1500m"}), Some("cpu")),
            (
                json!({"ephemeral-storage": "2G"}),
                json!({"ephemeral-storage": "1G"}),
                Some("ephemeral-storage"),
            ),
            (json!({"cpu": "1000m", "memory": "1G"}), json!({"cpu": 1, "memory": "1Gi"}), None),
            (json!({"cpu": 2, "example.com/gpu": 1}), json!({"memory": "1Gi"}), None),
        ] {
            let resources = json!({"resources": {"requests": requests, "limits": limits}});
            let class = class_like_the_default(&default, &namespace.name, resources.clone())?;
            match (classes.create(&dry_run, &class).await, above) {
                (Ok(_), None) => {}
                (Ok(_), Some(_)) => anyhow::bail!("taken: {resources}"),
                (Err(error), above) => {
                    let said = error.to_string();
                    let name = above.with_context(|| format!("{resources}: {said}"))?;
                    let words = format!("requests.{name} must not be above limits.{name}");
                    ensure!(said.contains("spec.resources"), "{said}");
                    ensure!(said.contains(&words), "{said}");
                }
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_version_is_replaced_by_its_name_and_one_may_have_none() -> Result<()> {
    with_namespace(async |namespace| {
        let apply = async |versions: Value, flags: &[&str]| -> Result<Value> {
            let manifest = json!({
                "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
                "metadata": {"name": namespace.name},
                "spec": {"browserName": "chrome", "versions": versions},
            });
            let apply = ["apply", "--server-side", "-o", "json", "-f", "-"];
            let printed =
                kubectl_with(&[&apply[..], flags].concat(), &manifest.to_string()).await?;
            let taken: Value = serde_json::from_str(&printed)?;
            Ok(taken["spec"]["versions"].clone())
        };
        let test = async {
            apply(json!([{"version": "1", "image": "a"}, {"image": "b"}]), &[]).await?;
            let versions = json!([{"image": "c"}, {"version": "2", "image": "d"}]);
            let expected = json!([{"version": "", "image": "c"}, {"version": "2", "image": "d"}]);
            assert_eq!(apply(versions, &[]).await?, expected);
            let twice = apply(json!([{"image": "a"}, {"image": "b"}]), &["--dry-run=server"]).await;
            ensure!(twice.is_err(), "two without a version were taken");
            Ok(())
        };
        finally(test, async { kubectl(&["delete", "bc", &namespace.name]).await.map(drop) }).await
    })
    .await
}
