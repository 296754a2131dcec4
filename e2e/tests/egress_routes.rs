//! What a session's routes are given late: the credentials of their proxies, and other routes while it runs.

use std::time::Duration;

use agent_api::{paths::TRAFFIC_PATH, traffic::Traffic};
use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{
    Classic, Namespace, agent,
    kubectl::{apply, kubectl},
    namespace::Live,
    upstream::{
        self, ECHO, ECHO_PORT, HTTP, HTTP_OF_USERS, HTTP_PORT, PASSWORD, SOCKS_OF_USERS,
        SOCKS_PORT, USERNAME,
    },
    wait::eventually,
    with_namespace,
};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use reqwest::Method;
use serde_json::{Value, json};

const BROWSERS: [&str; 2] = ["chrome", "firefox"];
const TITLE: &str = "browser-operator";
const LIMIT: Duration = Duration::from_secs(20);

fn browser(name: &str) -> Value {
    json!({"alwaysMatch": {"browserName": name, "webSocketUrl": true}})
}

fn secret(name: &str, use_: &str, password: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "labels": {"browser-operator.io/use": use_}},
        "stringData": {"username": USERNAME, "password": password},
    })
}

/// Makes Secrets, and lets the operator read all but those that end in `hidden`.
async fn make(namespace: &Namespace, secrets: &[Value]) -> Result<()> {
    let names = secrets.iter().filter_map(|secret| secret["metadata"]["name"].as_str());
    let readable: Vec<&str> =
        names.filter(|name| !name.ends_with("hidden")).chain(["missing"]).collect();
    let controllers = kubectl(&[
        "get",
        "serviceaccounts",
        "--all-namespaces",
        "--output",
        "jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{\"\\n\"}{end}",
    ])
    .await?;
    let (operator, account) = controllers
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(_, name)| name.ends_with("-controller") && name.contains("browser-operator"))
        .context("the controller's account")?;
    let mut items = secrets.to_vec();
    items.push(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "proxies"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": readable, "verbs": ["get"]}],
    }));
    items.push(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "proxies"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "proxies"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": operator}],
    }));
    let manifest = json!({"apiVersion": "v1", "kind": "List", "items": items});
    apply(&namespace.name, &manifest).await
}

async fn received(namespace: &Namespace, live: &Live, upstream: &str) -> Result<u64> {
    let (status, body) = agent::get_as_gateway(namespace, live, TRAFFIC_PATH).await?;
    ensure!(status == 200, "{TRAFFIC_PATH}: {status} {body}");
    let traffic: Traffic = serde_json::from_str(&body).context("the traffic")?;
    Ok(traffic.upstreams.get(upstream).map_or(0, |bytes| bytes.received))
}

/// What the error of a navigation there says.
async fn refused(client: &Classic, live: &Live, url: &str) -> Result<String> {
    let path = format!("/session/{}/url", live.id);
    let reply = client.send(Method::POST, &path, Some(&json!({"url": url}))).await?;
    ensure!(reply.status == 500, "{url}: {reply:?}");
    Ok(reply.message().to_owned())
}

#[tokio::test]
async fn a_proxy_is_told_the_credentials_of_its_secret_and_nothing_else_shows_them() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let secrets = [secret("right", "proxy", PASSWORD), secret("wrong", "proxy", "staple")];
        make(&namespace, &secrets).await?;
        let client = namespace.client().await?;
        let site = namespace.cluster.page("/");
        let http = format!("http://{}", upstream::address(&namespace, HTTP_OF_USERS, HTTP_PORT));
        let socks = upstream::address(&namespace, SOCKS_OF_USERS, SOCKS_PORT);
        for name in BROWSERS {
            for (server, secret) in [
                (http.clone(), "right"),
                (format!("socks5://{socks}"), "right"),
                (format!("socks5h://{socks}"), "right"),
                (http.clone(), "wrong"),
                (format!("socks5h://{socks}"), "wrong"),
            ] {
                let route = json!({"type": "external", "server": server, "credentialsSecretRef": {"name": secret}});
                let spec = json!({"capabilities": browser(name), "proxy": {"default": route}});
                let live = namespace.create_ready("s", spec).await?;
                if secret == "right" {
                    client.open(&live.id, &site).await?;
                    assert_eq!(client.title(&live.id).await?, TITLE, "{name} {server}");
                    ensure!(received(&namespace, &live, &server).await? > 200, "{name} {server}");
                } else if server == http {
                    // tinyproxy answers 401, as a server may: the browser gets that answer, and not the page.
                    client.open(&live.id, &site).await?;
                    // Firefox asks its user, which makes the title an error.
                    let path = format!("/session/{}/title", live.id);
                    let title = client.send(Method::GET, &path, None).await?;
                    ensure!(title.body["value"] != TITLE, "{name} {server}: {title:?}");
                } else {
                    let said = refused(&client, &live, &site).await?;
                    ensure!(said.contains("by spec.proxy.default, through "), "{name} {server}: {said}");
                    ensure!(!said.contains("staple"), "{name} {server}: {said}");
                }
                let log = kubectl(&["--namespace", &namespace.name, "logs", &live.pod]).await?;
                ensure!(!log.contains(PASSWORD), "{name}: the log shows the password");
                // The proxies' own pods are made with it.
                let object = kubectl(&["--namespace", &namespace.name, "get", "pod", &live.pod, "--output", "json"]).await?;
                ensure!(!object.contains(PASSWORD), "{name}: the pod shows the password");
                let sessions = kubectl(&["--namespace", &namespace.name, "get", "browsersessions,events", "--output", "json"]).await?;
                let of_us = sessions.lines().filter(|line| !line.contains("-of-users"));
                ensure!(!of_us.into_iter().any(|line| line.contains(PASSWORD)), "{name}: an object shows the password");
                namespace.delete("s").await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_secret_that_is_of_no_use_ends_the_session_and_nothing_is_made() -> Result<()> {
    with_namespace(async |namespace| {
        let secrets = [
            secret("unlabelled", "other", PASSWORD),
            secret("hidden", "proxy", PASSWORD),
            secret("malformed", "proxy", "correct\r\nhorse"),
        ];
        make(&namespace, &secrets).await?;
        for (name, words) in [
            ("missing", "there is none of that name"),
            ("unlabelled", "it has no label browser-operator.io/use: proxy"),
            ("hidden", "the operator may not read it"),
            ("malformed", "a password with a control character"),
        ] {
            let route = json!({"type": "external", "server": "http://p", "credentialsSecretRef": {"name": name}});
            namespace.create(name, json!({"proxy": {"default": route}})).await?;
            let ended = namespace.ended(name, Phase::Failed, Reason::SecretUnusable).await?;
            let message = &ended.telling_condition().context("a condition")?.message;
            ensure!(message.contains(words) && message.contains(name), "{name}: {message}");
            ensure!(!message.contains("horse"), "{name}: {message}");
            let status = ended.status.context("a status")?;
            assert_eq!(status.pod_name, None, "{name}");
            namespace.delete(name).await?;
        }
        namespace.nothing_left().await
    })
    .await
}

#[tokio::test]
async fn routes_change_while_the_session_runs() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let client = namespace.client().await?;
        // Another page each time: the browser keeps what it has.
        let page = |name: &str| namespace.cluster.page(&format!("/?{name}"));
        let http = format!("http://{}", upstream::address(&namespace, HTTP, HTTP_PORT));
        let sessions = namespace.sessions();
        let change = async |proxy: Value| -> Result<i64> {
            let change = Patch::Merge(json!({"spec": {"proxy": proxy}}));
            let changed = sessions.patch("s", &PatchParams::default(), &change).await?;
            changed.metadata.generation.context("a generation")
        };
        for name in BROWSERS {
            let live = namespace.create_ready("s", json!({"capabilities": browser(name)})).await?;
            client.open(&live.id, &page("first")).await?;

            let generation = change(json!({"default": {"type": "block"}})).await?;
            in_force(&namespace, generation).await?;
            let said = refused(&client, &live, &page("blocked")).await?;
            ensure!(said.contains("it is blocked (by spec.proxy.default)"), "{name}: {said}");

            let through = json!({"default": {"type": "external", "server": http}});
            let generation = change(through).await?;
            in_force(&namespace, generation).await?;
            client.open(&live.id, &page("through")).await?;
            ensure!(received(&namespace, &live, &http).await? > 200, "{name}");

            // What cannot be had changes nothing but the status.
            let bad = change(json!({"default": {"type": "external", "server": "ftp://p"}})).await?;
            let refusal = eventually(LIMIT, async || {
                let session = sessions.get("s").await?;
                let proxy = session.status.and_then(|status| status.proxy).context("its routes")?;
                ensure!(proxy.refused_generation == Some(bad), "{proxy:?}");
                Ok(proxy)
            })
            .await?;
            assert_eq!(refusal.generation, generation, "{name}");
            let message = refusal.message.unwrap_or_default();
            ensure!(
                message.contains("spec.proxy: default.server must be a URL"),
                "{name}: {message}"
            );
            client.open(&live.id, &page("kept")).await?;

            let generation = change(Value::Null).await?;
            in_force(&namespace, generation).await?;
            let before = received(&namespace, &live, "direct").await?;
            client.open(&live.id, &page("direct")).await?;
            ensure!(received(&namespace, &live, "direct").await? > before, "{name}");

            let other = Patch::Merge(json!({"spec": {"timeoutSeconds": 60}}));
            let error = sessions.patch("s", &PatchParams::default(), &other).await.err();
            let error = error.context("the time limit changed")?.to_string();
            ensure!(error.contains("spec.proxy alone may change"), "{name}: {error}");
            namespace.delete("s").await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_connection_that_is_open_keeps_its_route_when_the_rules_change() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let client = namespace.client().await?;
        let url = format!("ws://{}/", upstream::address(&namespace, ECHO, ECHO_PORT));
        let sessions = namespace.sessions();
        let open = r"
            const [url, done] = arguments;
            const socket = new WebSocket(url);
            socket.onopen = () => { window.first ??= socket; done('open'); };
            socket.onerror = () => done('refused');
        ";
        let say = r"
            const [text, done] = arguments;
            first.onmessage = event => done(event.data);
            first.onclose = () => done('closed');
            first.send(text);
        ";
        for name in BROWSERS {
            let live = namespace.create_ready("s", json!({"capabilities": browser(name)})).await?;
            client.open(&live.id, &namespace.cluster.page("/")).await?;
            let path = format!("/session/{}/execute/async", live.id);
            let run = async |script: &str, argument: &str| {
                client.post(&path, json!({"script": script, "args": [argument]})).await
            };
            assert_eq!(run(open, &url).await?, "open", "{name}");
            assert_eq!(run(say, "before").await?, "before", "{name}");
            let change = Patch::Merge(json!({"spec": {"proxy": {"default": {"type": "block"}}}}));
            let changed = sessions.patch("s", &PatchParams::default(), &change).await?;
            in_force(&namespace, changed.metadata.generation.context("a generation")?).await?;
            assert_eq!(run(open, &url).await?, "refused", "{name}");
            assert_eq!(run(say, "after").await?, "after", "{name}");
            namespace.delete("s").await?;
        }
        Ok(())
    })
    .await
}

async fn in_force(namespace: &Namespace, generation: i64) -> Result<()> {
    eventually(LIMIT, async || {
        let session = namespace.sessions().get("s").await?;
        ensure!(session.is_ready(), "{} is not ready", session.name_any());
        let proxy = session.status.and_then(|status| status.proxy).context("its routes")?;
        ensure!(proxy.generation == generation, "{proxy:?}");
        Ok(())
    })
    .await
}
