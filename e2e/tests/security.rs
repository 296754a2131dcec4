//! How a browser is confined, according to the kernel.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use crds::{Reason, Sandbox};
use e2e::{
    Bidi, Namespace, agent, class_like_the_default,
    kubectl::exec,
    namespace::{self, Live},
    wait::eventually,
    with_namespace,
};
use reqwest::Method;
use serde_json::json;

/// Prints the kernel's view of every process in the container but its own shell.
const LOOK: &str = r#"
for process in /proc/[0-9]*; do
    [ "$process" = "/proc/$$" ] && continue
    status=$(cat "$process/status" 2>/dev/null) || continue
    echo "$status"
    echo "UidMap: $(cat "$process/uid_map")"
    echo "Command: $(tr '\0' ' ' <"$process/cmdline")"
    echo
done
"#;

/// A process: the fields of its status file, its uid map and its command line.
type Process = BTreeMap<String, String>;

async fn processes(namespace: &Namespace, live: &Live) -> Result<Vec<Process>> {
    let text = exec(&namespace.name, &live.pod, LOOK).await?;
    let processes: Vec<Process> = text
        .split("\n\n")
        .map(|lines| {
            let fields = lines.lines().filter_map(|line| line.split_once(':'));
            fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
        })
        .filter(|process: &Process| process.contains_key("Pid"))
        .collect();
    ensure!(processes.len() >= 4, "only {} processes: {text}", processes.len());
    Ok(processes)
}

fn field<'a>(process: &'a Process, name: &str) -> &'a str {
    process.get(name).map_or("", String::as_str)
}

/// The processes that run pages.
fn renderers(processes: &[Process]) -> Vec<&Process> {
    let is_renderer = |process: &&Process| {
        let command = field(process, "Command");
        command.contains("--type=renderer")
            || command.contains("-contentproc") && command.trim_end().ends_with(" tab")
    };
    processes.iter().filter(is_renderer).collect()
}

/// Chromium gives each a PID namespace too; Firefox does not.
fn is_chromium(process: &Process) -> bool {
    field(process, "Command").contains("--type=renderer")
}

/// What holds for every process, whichever sandbox a page has. Inside the browser's own sandbox a process may have
/// capabilities in a user namespace of its own; they are worth nothing outside.
fn check_confined(processes: &[Process]) -> Result<()> {
    let container =
        processes.iter().find(|process| field(process, "Pid") == "1").context("PID 1")?;
    for process in processes {
        for (name, value) in [("Seccomp", "2"), ("NoNewPrivs", "1"), ("CapBnd", "0000000000000000")]
        {
            let inside = field(process, "UidMap") != field(container, "UidMap");
            if inside && name == "CapBnd" {
                continue;
            }
            ensure!(field(process, name) == value, "{name} is not {value}: {process:?}");
        }
        if field(process, "UidMap") == field(container, "UidMap") {
            for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                ensure!(field(process, name) == "0000000000000000", "{name}: {process:?}");
            }
            let ids: Vec<&str> = field(process, "Uid").split_whitespace().collect();
            ensure!(ids == ["65532"; 4], "Uid: {process:?}");
        }
    }
    Ok(())
}

async fn check_files(namespace: &Namespace, live: &Live) -> Result<()> {
    let script = "
        touch /x 2>/dev/null && echo root is writable
        touch /usr/bin/x 2>/dev/null && echo programs are writable
        [ -e /var/run/secrets ] && echo secrets
        [ -e /run/secrets ] && echo secrets
        touch /tmp/x && rm /tmp/x && touch /dev/shm/x && rm /dev/shm/x && echo scratch
        id -u
    ";
    let said = exec(&namespace.name, &live.pod, script).await?;
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["scratch", "65532"]);
    let mounts = exec(&namespace.name, &live.pod, "cat /proc/mounts").await?;
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).context("/")?;
    let options = root.split(' ').nth(3).unwrap_or_default();
    ensure!(options.split(',').any(|option| option == "ro"), "{root}");
    ensure!(!mounts.contains("serviceaccount"), "{mounts}");
    Ok(())
}

#[tokio::test]
async fn a_browser_with_its_own_sandbox_is_confined_twice() -> Result<()> {
    with_namespace(async |namespace| {
        for browser in ["chrome", "firefox"] {
            let live = namespace.create_ready(browser, opening(&namespace, browser)).await?;
            assert_eq!(live.status.sandbox, Some(Sandbox::Browser));
            confined_twice(&namespace, &live).await.context(browser)?;
            namespace.delete(browser).await?;
        }
        Ok(())
    })
    .await
}

/// A session of a browser that opens a page.
fn opening(namespace: &Namespace, browser: &str) -> serde_json::Value {
    let wanted = json!({"browserName": browser, "webSocketUrl": true});
    json!({
        // Not that of the test beside this one, which is like it but for its sandbox.
        "className": (browser == "firefox").then_some("firefox"),
        "capabilities": {"alwaysMatch": wanted}, "startUrl": namespace.cluster.page("/"),
    })
}

/// Looks until it holds: a process that has just begun, as browsers keep some in reserve, is not confined yet.
async fn settles(
    namespace: &Namespace,
    live: &Live,
    check: impl Fn(&[Process]) -> Result<()>,
) -> Result<()> {
    eventually(namespace::END_LIMIT, async || check(&processes(namespace, live).await?)).await
}

fn filters(process: &Process) -> u32 {
    field(process, "Seccomp_filters").parse().unwrap_or(0)
}

async fn confined_twice(namespace: &Namespace, live: &Live) -> Result<()> {
    settles(namespace, live, check_twice).await?;
    check_files(namespace, live).await
}

fn check_twice(processes: &[Process]) -> Result<()> {
    check_confined(processes)?;

    let commands: Vec<&str> = processes.iter().map(|process| field(process, "Command")).collect();
    ensure!(commands.iter().all(|command| !command.contains("no-sandbox")), "{commands:?}");
    let container =
        processes.iter().find(|process| field(process, "Pid") == "1").context("PID 1")?;
    let renderers = renderers(processes);
    ensure!(!renderers.is_empty(), "no renderer among {commands:?}");
    for renderer in renderers {
        ensure!(
            field(renderer, "UidMap") != field(container, "UidMap"),
            "a renderer is in the container's user namespace: {renderer:?}"
        );
        ensure!(
            !is_chromium(renderer) || field(renderer, "NSpid").split_whitespace().count() >= 2,
            "a renderer is in the container's PID namespace: {renderer:?}"
        );
        // The page's own filter comes on top of the container's.
        ensure!(filters(renderer) > filters(container), "no filter of its own: {renderer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn firefox_does_without_its_sandbox_only_where_the_class_says_so() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let firefox = cluster.classes().get("firefox").await.context("the class firefox")?;
        let class =
            class_like_the_default(&firefox, &namespace.name, json!({"sandbox": "container"}))?;
        cluster
            .with_class(&class, async || {
                let live = namespace
                    .create_ready("s", json!({"className": namespace.name}))
                    .await
                    .context("without a sandbox of its own")?;
                settles(&namespace, &live, |processes| {
                    check_confined(processes)?;
                    let renderers = renderers(processes);
                    ensure!(!renderers.is_empty(), "no renderer");
                    // Its filter it keeps; user namespaces there are none.
                    ensure!(renderers.iter().all(|one| filters(one) > 1), "{renderers:?}");
                    ensure!(renderers.iter().all(|r| field(r, "UidMap").ends_with("4294967295")));
                    Ok(())
                })
                .await
            })
            .await?;
        // A profile that forbids user namespaces is found before there is a browser without half its sandbox.
        // Another name: a class that is made again may be taken for the one before.
        let name = format!("{}-b", namespace.name);
        let fields = json!({"seccompProfile": "browser-operator/none.json"});
        let class = class_like_the_default(&firefox, &name, fields)?;
        cluster
            .with_class(&class, async || {
                namespace.create("t", json!({"className": name})).await?;
                let reason = Reason::ContainerUnavailable;
                namespace.reason("t", reason, namespace::END_LIMIT).await.map(drop)
            })
            .await
    })
    .await
}

#[tokio::test]
async fn a_browser_under_the_containers_sandbox_alone_is_confined_by_it() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let class =
            class_like_the_default(&default, &namespace.name, json!({"sandbox": "container"}))?;
        namespace
            .cluster
            .with_class(&class, async || {
                let spec =
                    json!({"className": namespace.name, "startUrl": namespace.cluster.page("/")});
                let live = namespace.create_ready("s", spec).await?;
                assert_eq!(live.status.sandbox, Some(Sandbox::Container));
                let processes = processes(&namespace, &live).await?;
                check_confined(&processes)?;
                check_files(&namespace, &live).await?;
                let renderers = renderers(&processes);
                ensure!(!renderers.is_empty(), "no renderer");
                for renderer in renderers {
                    ensure!(field(renderer, "Command").contains("--no-sandbox"), "{renderer:?}");
                    assert_eq!(field(renderer, "NSpid").split_whitespace().count(), 1);
                }
                let pod = namespace.pods().get(&live.pod).await?;
                let pod = serde_json::to_value(pod.spec)?;
                assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
                Ok(())
            })
            .await
    })
    .await
}

#[tokio::test]
async fn the_agents_port_gives_nothing_to_whoever_has_no_token() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        for token in [None, Some("wrong"), Some("0".repeat(64).as_str())] {
            for (method, path, status) in [
                (&get, "/agent/authenticate".to_owned(), 401),
                (&post, "/agent/bind".to_owned(), 404),
                (&post, "/agent/end".to_owned(), 404),
                (&get, "/status".to_owned(), 404),
                (&post, "/session".to_owned(), 404),
                (&get, format!("/session/{}/url", live.id), 404),
                (&post, format!("/session/{}/url", live.id), 404),
                (&delete, format!("/session/{}", live.id), 404),
            ] {
                let seen = agent::status(&live.ip, method.clone(), &path, token).await?;
                assert_eq!(seen, status, "{method} {path} with {token:?}");
            }
        }
        let socket = format!("ws://{}/session/{}", agent::address(&live.ip), live.id);
        assert_eq!(Bidi::refusal(&socket).await?, 404);
        assert_eq!(
            Bidi::refusal(&format!("ws://{}/session", agent::address(&live.ip))).await?,
            404
        );

        // And none of it had an effect.
        namespace.cluster.anonymous().title(&live.id).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn an_id_is_no_name_and_appears_in_no_event_label_or_log() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        namespace.cluster.anonymous().title(&live.id).await?;
        let pod = namespace.pods().get(&live.pod).await?;
        ensure!(!serde_json::to_string(&pod)?.contains(&live.id), "the id is in its pod");
        let log = namespace.pods().logs(&live.pod, &kube::api::LogParams::default()).await?;
        ensure!(!log.contains(&live.id), "the id is in the agent's log");
        for component in ["controller", "gateway"] {
            for pod in e2e::operator::pods(&namespace.cluster, component).await? {
                let own = pod.metadata.namespace.as_deref().unwrap_or_default();
                let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(
                    namespace.cluster.client.clone(),
                    own,
                );
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                let log = pods.logs(name, &kube::api::LogParams::default()).await?;
                ensure!(!log.contains(&live.id), "the id is in the log of {name}");
            }
        }
        let events =
            e2e::kubectl::kubectl(&["--namespace", &namespace.name, "get", "events", "-o", "json"])
                .await?;
        ensure!(!events.contains(&live.id), "the id is in an Event");
        Ok(())
    })
    .await
}
