//! What breaks before or under a session says why, in the record and in its Event: the pod and its log are gone by then.

use anyhow::{Context, Result, ensure};
use crds::{BrowserSession, Phase, Reason};
use e2e::{
    Namespace, class_like_the_default, kubectl::exec, namespace::END_LIMIT, wait::until_all,
    with_namespace,
};
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::{Api, ResourceExt, api::PostParams, runtime::watcher::Config};
use serde_json::{Value, json};

/// What runs in a pod in place of its browser or its driver.
const PROGRAMS: &str = "/programs";
/// A reason that a person needs, between what nobody may read afterwards.
const DIES: &str = "#!/bin/sh
echo 'open https://user:hunter2@shop.example/cart?key=hunter3'
echo 'Cookie: session=hunter4' >&2
echo 'cannot open shared object file: libnss3.so' >&2
exit 7
";
const HANGS: &str = "#!/bin/sh
exec sleep 600
";
/// A browser that says something, and works.
const SPEAKS: &str = "#!/bin/sh
echo 'the graphics card is tired' >&2
exec /usr/lib/chromium/chromium \"$@\"
";
const SECRETS: [&str; 4] = ["hunter2", "hunter3", "hunter4", "user:"];

/// Kills every process of the browser, and leaves agent and driver.
const KILL_BROWSER: &str = r#"
for process in /proc/[0-9]*; do
    case $(tr '\0' ' ' <"$process/cmdline" 2>/dev/null) in
        /usr/lib/chromium/*) kill -9 "${process#/proc/}" ;;
    esac
done
true"#;

/// Runs a test with a class like another of the cluster, whose pods run the program of that name in place of `variable`'s.
async fn with_program(
    namespace: &Namespace,
    like: &str,
    variable: &str,
    program: &str,
    test: impl AsyncFnOnce(&str) -> Result<()>,
) -> Result<()> {
    let configs = Api::<ConfigMap>::namespaced(namespace.cluster.client.clone(), &namespace.name);
    if configs.get_opt("programs").await?.is_none() {
        let programs: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": "programs"},
            "data": {"dies": DIES, "hangs": HANGS, "speaks": SPEAKS},
        }))?;
        configs.create(&PostParams::default(), &programs).await?;
    }
    let name =
        format!("{}-{program}-{}", namespace.name, variable.to_lowercase().replace('_', "-"));
    let name = format!("{name}-{like}");
    let like = namespace.cluster.classes().get(like).await?;
    let class = class_like_the_default(
        &like,
        &name,
        json!({
            "startTimeoutSeconds": 8,
            "podTemplate": {"spec": {
                "containers": [{
                    "name": "browser",
                    "env": [{"name": variable, "value": format!("{PROGRAMS}/{program}")}],
                    "volumeMounts": [{"name": "programs", "mountPath": PROGRAMS}],
                }],
                "volumes": [{"name": "programs", "configMap": {"name": "programs", "defaultMode": 0o555}}],
            }},
        }),
    )?;
    namespace.cluster.with_class(&class, async || test(&name).await).await
}

/// Waits for an end for that reason whose message has these words, in the record and in the Event, and no secret.
async fn told(namespace: &Namespace, name: &str, reason: Reason, words: &[&str]) -> Result<String> {
    let ended = namespace.ended(name, Phase::Failed, reason).await?;
    let message = message(&ended)?;
    let events = Api::<Event>::namespaced(namespace.cluster.client.clone(), &namespace.name);
    let its = Config::default().fields(&format!("involvedObject.name={name}"));
    let is_it = |event: &&Event| event.reason.as_deref() == Some(reason.as_str());
    let events = until_all(&events, its, "an Event", END_LIMIT, |events| {
        events.values().any(|event| is_it(&event))
    });
    let events = events.await?;
    let event = events.values().find(is_it).and_then(|event| event.message.clone());
    for (place, text) in [("record", &message), ("Event", &event.context("a message")?)] {
        println!("{name}, {place}: {text}");
        for word in words {
            ensure!(text.contains(word), "the {place} lacks {word:?}: {text}");
        }
        for secret in SECRETS {
            ensure!(!text.contains(secret), "the {place} has {secret:?}: {text}");
        }
    }
    Ok(message)
}

fn message(session: &BrowserSession) -> Result<String> {
    Ok(session.telling_condition().context("a condition")?.message.clone())
}

fn spec(class: &str, browser: &str) -> Value {
    json!({"className": class, "capabilities": {"alwaysMatch": {"browserName": browser}}})
}

#[tokio::test]
async fn a_browser_or_driver_that_dies_at_once_leaves_its_last_words() -> Result<()> {
    with_namespace(async |namespace| {
        // geckodriver first asks its browser for its version, and keeps what that answers for itself.
        let heard = ["libnss3.so", "https://shop.example/cart"];
        for (like, browser, heard) in
            [("chromium", "chrome", &heard[..]), ("firefox", "firefox", &heard[..1])]
        {
            with_program(&namespace, like, "BROWSER_BINARY", "dies", async |class| {
                let name = format!("{browser}-dies");
                namespace.create(&name, spec(class, browser)).await?;
                let words = [&["driver and browser wrote last"], heard].concat();
                told(&namespace, &name, Reason::SessionNotCreated, &words).await.map(drop)
            })
            .await?;
        }
        with_program(&namespace, "chromium", "BROWSER_DRIVER", "dies", async |class| {
            namespace.create("driver-dies", spec(class, "chrome")).await?;
            let words = ["before it listened: exit status: 7", "libnss3.so"];
            told(&namespace, "driver-dies", Reason::DriverCrashed, &words).await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_browser_that_dies_later_leaves_its_last_words_and_one_that_ends_well_none() -> Result<()>
{
    with_namespace(async |namespace| {
        with_program(&namespace, "chromium", "BROWSER_BINARY", "speaks", async |class| {
            let live = namespace.create_ready("dies", spec(class, "chrome")).await?;
            exec(&namespace.name, &live.pod, KILL_BROWSER).await?;
            let words = ["the browser is gone", "the graphics card is tired"];
            told(&namespace, "dies", Reason::BrowserCrashed, &words).await?;

            let live = namespace.create_ready("ends", spec(class, "chrome")).await?;
            namespace.cluster.anonymous().delete(&format!("/session/{}", live.id)).await?;
            let ended = namespace.ended("ends", Phase::Completed, Reason::ClientEnded).await?;
            assert_eq!(message(&ended)?, "Delete Session");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_start_that_hangs_says_where() -> Result<()> {
    with_namespace(async |namespace| {
        with_program(&namespace, "chromium", "BROWSER_BINARY", "hangs", async |class| {
            let mut spec = spec(class, "chrome");
            spec["capabilities"]["alwaysMatch"]["goog:chromeOptions"] =
                json!({"args": ["--lang=hunter2"]});
            namespace.create("browser-hangs", spec).await?;
            let limit = format!("startTimeoutSeconds: 8 of class {class}");
            let words = [
                limit.as_str(),
                "on node ",
                "its driver was sent New Session",
                "goog:chromeOptions.args",
            ];
            told(&namespace, "browser-hangs", Reason::StartTimedOut, &words).await.map(drop)
        })
        .await?;
        with_program(&namespace, "chromium", "BROWSER_DRIVER", "hangs", async |class| {
            namespace.create("driver-hangs", spec(class, "chrome")).await?;
            let words = ["its driver was started", "does not listen yet"];
            told(&namespace, "driver-hangs", Reason::StartTimedOut, &words).await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn an_image_without_the_agent_says_what_is_missing() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let sites = Api::<k8s_openapi::api::core::v1::Pod>::all(cluster.client.clone());
        // Any image that is there and has none.
        let pods = sites.list(&kube::api::ListParams::default().labels("app=site")).await?;
        let image =
            pods.items.iter().find_map(|pod| pod.spec.as_ref()?.containers[0].image.clone());
        let Some(image) = image else {
            println!("left out: this cluster has no site of ours");
            return Ok(());
        };
        let fields =
            json!({"versions": [{"version": "1.0", "image": image}], "sandbox": "container"});
        let default = cluster.default_class().await?;
        let class = class_like_the_default(&default, &namespace.name, fields)?;
        cluster
            .with_class(&class, async || {
                namespace.create("s", json!({"className": class.name_any()})).await?;
                let words =
                    [image.as_str(), "/usr/bin/browser-operator", "no such file", "on node "];
                told(&namespace, "s", Reason::ContainerUnavailable, &words).await.map(drop)
            })
            .await
    })
    .await
}

#[tokio::test]
async fn a_signal_from_inside_its_pod_is_not_called_a_deletion() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", spec("chromium", "chrome")).await?;
        exec(&namespace.name, &live.pod, "kill -TERM 1").await?;
        let words = ["was sent SIGTERM", "on node "];
        told(&namespace, "s", Reason::AgentLost, &words).await.map(drop)
    })
    .await
}
