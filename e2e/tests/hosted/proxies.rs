//! The proxies that calls ask for, and what becomes of their passwords.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason, names};
use e2e::{
    Namespace,
    clients::{node, printed, python},
    hosted::{self, Hosted, evaluate, with_key},
    kubectl::kubectl,
    operator,
    upstream::{
        self, HTTP_OF_USERS, HTTP_PORT, PAGE, PAGE_PORT, PASSWORD, SOCKS_OF_USERS, SOCKS_PORT,
        USERNAME,
    },
    wait::eventually,
    with_namespace,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{object, released, sdks::run_with};

const TITLE: &str = "browser-operator";
/// For what was brought to be swept.
const SWEPT: Duration = Duration::from_secs(20);

/// The Secrets of the operator's namespace.
async fn operators_secrets(namespace: &Namespace) -> Result<Api<Secret>> {
    let controllers = operator::pods(&namespace.cluster, "controller").await?;
    let operator = controllers.first().and_then(|pod| pod.namespace()).context("a controller")?;
    Ok(Api::namespaced(namespace.cluster.client.clone(), &operator))
}

/// Nothing that people read shows a password.
async fn is_hidden(namespace: &Namespace, pod: &str) -> Result<()> {
    let read = async |arguments: &[&str]| {
        kubectl(&[&["--namespace", &namespace.name], arguments].concat()).await
    };
    for shown in [
        read(&["get", "browsersessions,events", "--output", "json"]).await?,
        read(&["get", "pod", pod, "--output", "json"]).await?,
        read(&["logs", pod]).await?,
    ] {
        // The proxies' own pods are made with it.
        let mut ours = shown.lines().filter(|line| !line.contains("-of-users"));
        ensure!(!ours.any(|line| line.contains(PASSWORD)), "the password is shown: {shown}");
    }
    for component in ["controller", "gateway"] {
        for pod in operator::pods(&namespace.cluster, component).await? {
            let of = pod.namespace().unwrap_or_default();
            let log = kubectl(&["--namespace", &of, "logs", &pod.name_any()]).await?;
            ensure!(!log.contains(PASSWORD), "the log of the {component} shows the password");
        }
    }
    Ok(())
}

#[tokio::test]
async fn two_domains_of_a_call_go_through_two_proxies_with_their_passwords() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let secrets = operators_secrets(&namespace).await?;
            let http = upstream::address(&namespace, HTTP_OF_USERS, HTTP_PORT);
            let socks = upstream::address(&namespace, SOCKS_OF_USERS, SOCKS_PORT);
            let site = namespace.cluster.page("/");
            let greeter = upstream::address(&namespace, PAGE, PAGE_PORT);
            let made = client
                .browserbase(json!({"keepAlive": true, "proxies": [
                    {
                        "type": "external", "server": format!("socks5h://{socks}"), "username": USERNAME,
                        "password": PASSWORD, "domainPattern": format!(r"{PAGE}\..*"),
                    },
                    {"type": "external", "server": format!("http://{http}"), "username": USERNAME, "password": PASSWORD},
                ]}))
                .await?;
            let object = object(&namespace, &made).await?;
            let name = format!("session-proxy-{}", object.uid().context("a uid")?);
            let secret = secrets.get(&name).await.context("what the call brought")?;
            assert_eq!(secret.labels()[names::USE_LABEL], "session-proxy");

            let url = made["connectUrl"].as_str().context("connectUrl")?;
            let mut page = hosted::page(&client, url).await?;
            for url in [site.clone(), format!("http://{greeter}/")] {
                let opened = page.send_command("Page.navigate", json!({"url": url})).await?;
                ensure!(opened["result"].get("errorText").is_none(), "{url}: {opened}");
            }
            let loaded = "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))";
            let text = evaluate(&mut page, &format!("{loaded}.then(() => document.body.innerText)")).await?;
            assert_eq!(text, "a page of mine");
            let heard = upstream::log(&namespace, HTTP_OF_USERS).await?;
            ensure!(heard.contains("site.site") && !heard.contains(PAGE), "tinyproxy heard {heard}");
            let pod = object.status.as_ref().and_then(|status| status.pod_name.clone());
            is_hidden(&namespace, &pod.context("a pod")?).await?;

            client.release(&hosted::id(&made)?).await?;
            released(&namespace, &object).await?;
            eventually(SWEPT, async || {
                ensure!(secrets.get_opt(&name).await?.is_none(), "{name} outlives its session");
                Ok(())
            })
            .await
        })
        .await
    })
    .await
}

/// Runs a client of both services, which go through a proxy that asks for a password.
async fn goes_through_it(client: impl AsyncFnOnce() -> Result<Command>) -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        with_key(&namespace, async |key| {
            let mut client = client().await?;
            client
                .env("PROXY", upstream::address(&namespace, HTTP_OF_USERS, HTTP_PORT))
                .env("PROXY_USERNAME", USERNAME)
                .env("PROXY_PASSWORD", PASSWORD);
            let output = run_with(&namespace, &key, client).await?;
            for service in ["browserbase", "browser use"] {
                assert_eq!(printed(&output, &format!("{service} title:"))?, TITLE);
            }
            let heard = upstream::log(&namespace, HTTP_OF_USERS).await?;
            ensure!(heard.contains("site.site"), "tinyproxy heard nothing of the site: {heard}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn both_services_for_python_bring_a_proxy_with_a_password() -> Result<()> {
    goes_through_it(async || python("../e2e/clients/proxies.py").await).await
}

#[tokio::test]
async fn both_services_for_node_bring_a_proxy_with_a_password() -> Result<()> {
    goes_through_it(async || node("../e2e/clients/proxies.mjs").await).await
}

#[tokio::test]
async fn what_was_brought_for_a_session_that_is_gone_is_swept() -> Result<()> {
    with_namespace(async |namespace| {
        let secrets = operators_secrets(&namespace).await?;
        // As a gateway leaves it whose session is deleted while it keeps this, or while no controller runs.
        let uid = "00000000-0000-4000-8000-000000000001";
        let name = format!("session-proxy-{uid}-{}", namespace.name);
        let left: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "labels": {"browser-operator.io/use": "session-proxy"},
                "annotations": {"browser-operator.io/session": format!("{}/gone", namespace.name)},
            },
            "stringData": {"credentials": "{}"},
        }))?;
        secrets.create(&PostParams::default(), &left).await?;
        eventually(SWEPT, async || {
            ensure!(secrets.get_opt(&name).await?.is_none(), "{name} is left");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_session_that_claims_what_no_call_brought_ends_without_a_pod() -> Result<()> {
    with_namespace(async |namespace| {
        let route = json!({"type": "external", "server": "http://p", "credentialsKey": "0"});
        namespace.create("s", json!({"proxy": {"default": route}})).await?;
        let ended = namespace.ended("s", Phase::Failed, Reason::SecretUnusable).await?;
        let message = &ended.telling_condition().context("a condition")?.message;
        ensure!(message.contains("no call brought credentials"), "{message}");
        assert_eq!(ended.status.context("a status")?.pod_name, None);
        namespace.delete("s").await?;
        namespace.nothing_left().await
    })
    .await
}

#[tokio::test]
async fn what_was_brought_for_one_server_is_told_to_no_other() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let proxy = json!({"host": "proxy.example", "port": 3128, "username": USERNAME, "password": PASSWORD});
            let made = client.browser_use("browsers", json!({"customProxy": proxy})).await?;
            let object = object(&namespace, &made).await?;
            let route = json!({"type": "external", "server": "http://mine.example:3128", "credentialsKey": "0"});
            let stolen = json!({"spec": {"proxy": {"default": route}}}).to_string();
            let name = object.name_any();
            kubectl(&["--namespace", &namespace.name, "patch", "bs", &name, "--type=merge", "--patch", &stolen]).await?;
            eventually(SWEPT, async || {
                let proxy = namespace.sessions().get(&name).await?.status.and_then(|status| status.proxy);
                let message = proxy.and_then(|proxy| proxy.message).context("a refusal")?;
                ensure!(message.contains("no credentials were brought for its server"), "{message}");
                Ok(())
            })
            .await?;
            client.stop("browsers", &hosted::id(&made)?).await.map(drop)
        })
        .await
    })
    .await
}

/// A list of one proxy.
fn external(extra: Value) -> Value {
    let mut entry = json!({"type": "external", "server": "http://p:1"});
    if let (Value::Object(entry), Value::Object(extra)) = (&mut entry, extra) {
        entry.extend(extra);
    }
    json!({"proxies": [entry]})
}

#[tokio::test]
async fn a_proxy_that_can_not_be_had_is_named_and_nothing_is_made() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let secrets = operators_secrets(&namespace).await?;
            let of_sessions = ListParams::default().labels("browser-operator.io/use=session-proxy");
            let custom = |host: &str, port: i64, username: &str| json!({"customProxy": {"host": host, "port": port, "username": username, "password": PASSWORD}});
            for (status, path, body, words) in [
                (400, "/v1/sessions", json!({"proxies": true}), "proxies: "),
                (400, "/v1/sessions", json!({"proxies": [{"type": "browserbase", "geolocation": {"country": "DE"}}]}), "proxies: "),
                (400, "/v1/sessions", external(json!({"server": "gopher://p"})), "proxies.0.server: must be a URL"),
                (400, "/v1/sessions", external(json!({"server": "http://p:0"})), "proxies.0.server: has a port"),
                (400, "/v1/sessions", external(json!({"username": "a\r\nb", "password": PASSWORD})), "with a control character"),
                (400, "/v1/sessions", external(json!({"username": "a:b", "password": PASSWORD})), "with a colon"),
                (400, "/v1/sessions", external(json!({"username": "ä".repeat(200), "password": PASSWORD})), "of more than 255 bytes"),
                (400, "/v1/sessions", external(json!({"domainPattern": "[a"})), "proxies.0.domainPattern: "),
                (400, "/v1/sessions", json!({"proxies": vec![json!({"type": "none"}); 129]}), "has 129 proxies"),
                (422, "/api/v2/browsers", json!({"proxyCountryCode": "de"}), "proxyCountryCode"),
                (422, "/api/v2/sessions", custom("p", 0, "u"), "must be from 1 to 65535"),
                (422, "/api/v2/browsers", custom("p/q", 80, "u"), "host has more than a host and a port"),
                (422, "/api/v2/browsers", custom("p", 80, "u\r\nx"), "with a control character"),
                (422, "/api/v2/browsers", custom("p", 80, "u:x"), "with a colon"),
            ] {
                let refused = client.expect(status, Method::POST, path, Some(body)).await?;
                let text = refused.to_string();
                ensure!(text.contains(words) && !text.contains(PASSWORD), "{words}: {text}");
            }
            let made = namespace.sessions().list(&ListParams::default()).await?.items;
            ensure!(made.is_empty(), "made all the same: {made:?}");
            // Other tests have theirs meanwhile.
            let mut kept = secrets.list_metadata(&of_sessions).await?.items.into_iter();
            let ours = format!("{}/", namespace.name);
            let left = kept.find(|secret| {
                let session = secret.annotations().get("browser-operator.io/session");
                session.is_some_and(|session| session.starts_with(&ours))
            });
            ensure!(left.is_none(), "a Secret is left: {left:?}");
            Ok(())
        })
        .await
    })
    .await
}
