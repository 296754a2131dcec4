//! The lists of hosts and networks by which a class and a session say what pages reach.

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{
    Classic, Namespace, class_like_the_default,
    kubectl::apply,
    upstream::{self, HTTP, HTTP_PORT, PAGE, PAGE_PORT, SOCKS, SOCKS_PORT, address},
    with_namespace,
};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, ResourceExt};
use reqwest::Method;
use serde_json::{Value, json};

/// The browsers, and the classes that have them.
const BROWSERS: [(&str, &str); 2] = [("chrome", "chromium"), ("firefox", "firefox")];
const TEXT: &str = "a page of mine";

async fn service_ip(namespace: &Namespace, name: &str) -> Result<String> {
    let services = Api::<Service>::namespaced(namespace.cluster.client.clone(), &namespace.name);
    let service = services.get(name).await.with_context(|| format!("the Service {name}"))?;
    service.spec.and_then(|spec| spec.cluster_ip).context("its IP")
}

/// The text of a page there, or the error of the navigation.
async fn open(client: &Classic, session: &str, address: &str) -> Result<String> {
    let url = json!({"url": format!("http://{address}/")});
    let reply = client.send(Method::POST, &format!("/session/{session}/url"), Some(&url)).await?;
    if reply.status != 200 {
        return Ok(reply.message().to_owned());
    }
    let script = "return document.documentElement.textContent";
    let text = client.script(session, script, json!([])).await?;
    Ok(text.as_str().context("a text")?.to_owned())
}

#[tokio::test]
async fn what_a_class_and_a_session_list_holds_in_words() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let client = namespace.client().await?;
        let [http, page] = [(HTTP, HTTP_PORT), (PAGE, PAGE_PORT)]
            .map(|(name, port)| address(&namespace, name, port));
        let socks_ip = service_ip(&namespace, SOCKS).await?;
        let short = format!("{PAGE}.{}.svc:{PAGE_PORT}", namespace.name);
        let egress = json!({
            "allowedDomains": ["*.cluster.local"], "deniedDomains": [format!("{HTTP}.*")],
            "deniedNetworks": [format!("{socks_ip}/32")],
        });
        for (browser, like) in BROWSERS {
            let like = namespace.cluster.classes().get(like).await.context("the class")?;
            let name = format!("{}-{browser}", namespace.name);
            let fields = json!({"clusterAccess": "all", "egress": egress});
            let class = class_like_the_default(&like, &name, fields)?;
            let opens = async |spec: Value, rows: &[(&str, &str)]| -> Result<()> {
                let live = namespace.create_ready("s", spec).await?;
                for (address, words) in rows {
                    let said = open(&client, &live.id, address).await?;
                    ensure!(said.contains(words), "{browser} {address}: {said}");
                }
                namespace.delete("s").await
            };
            let cluster = &namespace.cluster;
            cluster
                .with_class(&class, async || {
                    let spec = |more: Value| {
                        let mut spec = json!({"className": name});
                        spec.as_object_mut().into_iter().for_each(|spec| {
                            spec.extend(more.as_object().cloned().unwrap_or_default());
                        });
                        spec
                    };
                    let of_class = [
                        (page.as_str(), TEXT),
                        (short.as_str(), "not on the class's list egress.allowedDomains"),
                        (http.as_str(), "on the class's list egress.deniedDomains"),
                        (socks_ip.as_str(), "in a network of the class's list egress.deniedNetworks"),
                    ];
                    opens(spec(json!({})), &of_class).await?;
                    let socks = address(&namespace, SOCKS, SOCKS_PORT);
                    let by_name = [(socks.as_str(), "of the class's list egress.deniedNetworks")];
                    let of_session = [
                        by_name[0],
                        (page.as_str(), "not on the session's list spec.allowedDomains"),
                    ];
                    let allowed = json!({"allowedDomains": [format!("{SOCKS}.*")]});
                    opens(spec(allowed), &of_session).await?;
                    // A proxy is held to the class's lists as well.
                    let through = json!({"proxy": {"default": {"type": "external", "server": format!("http://{http}")}}});
                    opens(spec(through), &[(page.as_str(), "egress.deniedDomains")]).await
                })
                .await?;
        }
        Ok(())
    })
    .await
}

/// Lets browsers' pods reach what pages are let to: NetworkPolicies add up.
async fn let_pods_through(namespace: &Namespace) -> Result<()> {
    apply(&namespace.name, &json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "private-hosts"},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/managed-by": "browser-operator"}},
            "policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": {}}]}],
        },
    }))
    .await
}

#[tokio::test]
async fn a_session_opens_the_private_hosts_that_its_class_permits() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let_pods_through(&namespace).await?;
        let client = namespace.client().await?;
        let page = address(&namespace, PAGE, PAGE_PORT);
        let http = address(&namespace, HTTP, HTTP_PORT);
        let networks = [PAGE, HTTP].map(async |name| service_ip(&namespace, name).await);
        let mut private = Vec::new();
        for network in networks {
            private.push(format!("{}/32", network.await?));
        }
        for (browser, like) in BROWSERS {
            let like = namespace.cluster.classes().get(like).await.context("the class")?;
            let name = format!("{}-{browser}", namespace.name);
            let fields = json!({"clusterAccess": "none", "egress": {"privateNetworks": private}});
            let class = class_like_the_default(&like, &name, fields)?;
            let cluster = &namespace.cluster;
            cluster
                .with_class(&class, async || {
                    let host = page.trim_end_matches(&format!(":{PAGE_PORT}")).to_owned();
                    let spec = json!({"className": name, "privateHosts": [host]});
                    let live = namespace.create_ready("s", spec).await?;
                    let said = open(&client, &live.id, &page).await?;
                    ensure!(said.contains(TEXT), "{browser}: {said}");
                    let said = open(&client, &live.id, &http).await?;
                    ensure!(
                        said.contains("clusterAccess: none")
                            && said.contains("spec.privateHosts opens"),
                        "{browser}: {said}"
                    );
                    namespace.delete("s").await?;

                    let spec = json!({"className": name, "privateHosts": ["127.0.0.0/8"]});
                    namespace.create("s", spec).await?;
                    let ended = namespace.ended("s", Phase::Failed, Reason::NotAllowed).await?;
                    let message = &ended.telling_condition().context("a condition")?.message;
                    ensure!(message.contains("egress.privateNetworks"), "{message}");
                    namespace.delete("s").await
                })
                .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_refused_by_name_and_nothing_is_made() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let like = namespace.cluster.default_class().await?;
        let fields = json!({"egress": {"deniedDomains": ["a.example", "a..b"]}});
        let class = class_like_the_default(&like, &namespace.name, fields)?;
        let cluster = &namespace.cluster;
        cluster
            .with_class(&class, async || {
                for (field, value, words) in [
                    ("privateHosts", json!(["wiki"]), "its egress.privateNetworks is empty"),
                    ("privateHosts", json!(["a..b"]), "spec.privateHosts: [0] names no host"),
                    ("allowedDomains", json!(["a:0"]), "spec.allowedDomains: [0] has a port"),
                    (
                        "className",
                        json!(class.name_any()),
                        "cannot be used: egress.deniedDomains[1] names no host",
                    ),
                ] {
                    let name = format!("browser-operator:{field}");
                    let body = json!({"capabilities": {"alwaysMatch": {name: value}}});
                    let reply = client.send(Method::POST, "/session", Some(&body)).await?;
                    ensure!(reply.status >= 400 && reply.message().contains(words), "{reply:?}");
                }
                namespace.nothing_left().await
            })
            .await
    })
    .await
}
