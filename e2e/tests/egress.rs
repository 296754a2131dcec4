//! Where a session's traffic goes: through its agent's proxy, by its rules, and not where no page may go.

use agent_api::{paths::TRAFFIC_PATH, traffic::Traffic};
use anyhow::{Context, Result, ensure};
use e2e::{
    Bidi, Classic, Namespace, agent, class_like_the_default,
    namespace::Live,
    upstream::{
        self, HTTP, HTTP_PORT, LISTENER, LISTENER_PORT, PAGE, PAGE_PORT, SOCKS, SOCKS_PORT,
    },
    wait::eventually,
    with_namespace,
};
use kube::ResourceExt;
use reqwest::Method;
use serde_json::{Value, json};

const BROWSERS: [&str; 2] = ["chrome", "firefox"];
/// The title of the test site's first page.
const TITLE: &str = "browser-operator";

fn browser(name: &str) -> Value {
    json!({"alwaysMatch": {"browserName": name, "webSocketUrl": true}})
}

async fn traffic(namespace: &Namespace, live: &Live) -> Result<Traffic> {
    let (status, body) = agent::get_as_gateway(namespace, live, TRAFFIC_PATH).await?;
    ensure!(status == 200, "{TRAFFIC_PATH}: {status} {body}");
    serde_json::from_str(&body).context("the traffic")
}

/// What stands on the page at that URL.
async fn text(client: &Classic, session: &str, url: &str) -> Result<String> {
    client.open(session, url).await.with_context(|| format!("open {url}"))?;
    let script = "return document.documentElement.textContent";
    let text = client.script(session, script, json!([])).await?;
    Ok(text.as_str().context("a text")?.to_owned())
}

/// What stands on the page that says why a URL was not reached; the navigation is an error that says it, too.
async fn refused(client: &Classic, session: &str, url: &str) -> Result<String> {
    let path = format!("/session/{session}/url");
    let reply = client.send(Method::POST, &path, Some(&json!({"url": url}))).await?;
    ensure!(
        reply.status == 500 && reply.body["value"]["error"] == "unknown error",
        "{url}: {reply:?}"
    );
    let script = "return document.body.textContent";
    let text = client.script(session, script, json!([])).await?;
    let text = text.as_str().context("a text")?.to_owned();
    let words = text.strip_prefix("Not reached").context("no page of ours")?.trim();
    ensure!(reply.message().contains(words), "{url}: {words}: {reply:?}");
    Ok(text)
}

/// What comes of a script's request to that URL, of a page's socket there, and of a page that is opened there.
async fn tries(client: &Classic, session: &str, address: &str) -> Result<Value> {
    let script = r#"
        const [address, done] = arguments;
        const fetched = fetch(`http://${address}/`, {mode: "no-cors", signal: AbortSignal.timeout(8000)})
            .then(() => "answered", error => `${error}`);
        const socket = new Promise(said => {
            try {
                const socket = new WebSocket(`ws://${address}/session`);
                socket.onopen = () => said("open");
                socket.onerror = () => said("refused");
            } catch (error) { said(`${error}`); }
        });
        Promise.all([fetched, socket]).then(done);
    "#;
    let path = format!("/session/{session}/execute/async");
    client.post(&path, json!({"script": script, "args": [address]})).await
}

#[tokio::test]
async fn a_page_comes_through_the_agent_and_its_bytes_are_counted() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        for name in BROWSERS {
            let live = namespace.create_ready(name, json!({"capabilities": browser(name)})).await?;
            client.open(&live.id, &namespace.cluster.page("/")).await?;
            assert_eq!(client.title(&live.id).await?, TITLE, "{name}");
            let traffic = traffic(&namespace, &live).await?;
            let direct = traffic.upstreams.get("direct").context("nothing went direct")?;
            ensure!(direct.sent > 100 && direct.received > 200, "{name}: {traffic:?}");
            ensure!(traffic.upstreams.len() == 1, "{name}: {traffic:?}");
            namespace.delete(name).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_no_page_may_reach_is_refused_in_words() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        for name in BROWSERS {
            let live = namespace.create_ready(name, json!({"capabilities": browser(name)})).await?;
            let mapped = format!("[::ffff:{}]:4444", live.ip);
            let own = agent::address(&live.ip);
            for (address, words) in [
                ("127.0.0.1:8080", "loopback"),
                ("localhost:8080", "loopback"),
                ("rebound.localhost:8080", "loopback"),
                ("[::1]:8080", "loopback"),
                ("2130706433:8080", "loopback"),
                ("0x7f.1:8080", "loopback"),
                ("[::ffff:127.0.0.1]:8080", "loopback"),
                ("[64:ff9b::7f00:1]:8080", "loopback"),
                ("0.0.0.0:8080", "unspecified"),
                ("169.254.169.254", "metadata"),
                ("[fd00:ec2::254]", "metadata"),
                ("[fe80::1]", "link-local"),
                ("224.0.0.1", "multicast"),
                (own.as_str(), "own pod"),
                (mapped.as_str(), "own pod"),
            ] {
                let said = refused(&client, &live.id, &format!("http://{address}/")).await?;
                ensure!(
                    said.contains(words) && said.contains("was not reached"),
                    "{name} {address}: {said}"
                );
            }
            // https has no page to say it on.
            let url = json!({"url": "https://127.0.0.1:8443/"});
            let path = format!("/session/{}/url", live.id);
            let reply = client.send(Method::POST, &path, Some(&url)).await?;
            ensure!(reply.status == 500, "{name}: {reply:?}");
            // From a page of another host, too.
            client.open(&live.id, &namespace.cluster.page("/")).await?;
            for address in ["127.0.0.1:8080", own.as_str()] {
                let said = tries(&client, &live.id, address).await?;
                ensure!(said[1] == "refused", "{name} {address}: {said}");
            }
            namespace.delete(name).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_page_that_does_not_arrive_is_an_error_of_the_navigation_and_says_why() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let gone = "http://nowhere.invalid/";
        for (name, error) in
            BROWSERS.into_iter().zip(["net::ERR_NAME_NOT_RESOLVED", "e=dnsNotFound"])
        {
            let live = namespace.create_ready(name, json!({"capabilities": browser(name)})).await?;
            let said = refused(&client, &live.id, gone).await?;
            ensure!(said.contains("the name nowhere.invalid is not found"), "{name}: {said}");
            let path = format!("/session/{}/url", live.id);
            let reply = client.send(Method::POST, &path, Some(&json!({"url": gone}))).await?;
            ensure!(reply.message().contains(error), "{name}: {reply:?}");
            // Scripts run there as on any page, and what does arrive is no error.
            let late = "const done = arguments[0]; setTimeout(() => done('ran'), 1)";
            let path = format!("/session/{}/execute/async", live.id);
            assert_eq!(
                client.post(&path, json!({"script": late, "args": []})).await?,
                "ran",
                "{name}"
            );
            client.open(&live.id, &namespace.cluster.page("/")).await?;

            let mut bidi = Bidi::connect(&namespace.cluster.socket_url(&live.id)).await?;
            let tree = bidi.command("browsingContext.getTree", json!({})).await?;
            let context = &tree["contexts"][0]["context"];
            let navigate = |url: &str| json!({"context": context, "url": url, "wait": "complete"});
            let answer = bidi.send_command("browsingContext.navigate", navigate(gone)).await?;
            ensure!(answer["error"] == "unknown error", "{name}: {answer}");
            ensure!(answer.to_string().contains(error), "{name}: {answer}");
            bidi.command("browsingContext.navigate", navigate(&namespace.cluster.page("/")))
                .await?;
            namespace.delete(name).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_proxy_capability_is_a_route_and_is_reported_as_it_was_asked_for() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let client = namespace.client().await?;
        let site = namespace.cluster.page("/");
        let http = upstream::address(&namespace, HTTP, HTTP_PORT);
        let socks = upstream::address(&namespace, SOCKS, SOCKS_PORT);
        for name in BROWSERS {
            for (proxy, expected) in [
                (json!({"proxyType": "manual", "httpProxy": http}), format!("http://{http}")),
                (
                    json!({"proxyType": "manual", "socksProxy": socks, "socksVersion": 5}),
                    format!("socks5h://{socks}"),
                ),
                (
                    json!({"proxyType": "manual", "httpProxy": http, "noProxy": [".cluster.local"]}),
                    "direct".to_owned(),
                ),
                (json!({"proxyType": "direct"}), "direct".to_owned()),
            ] {
                let created = client.new_session(json!({"browserName": name, "proxy": proxy})).await?;
                assert_eq!(created.capabilities["proxy"], proxy, "{name}");
                client.open(&created.id, &site).await?;
                assert_eq!(client.title(&created.id).await?, TITLE, "{name} {proxy}");
                let session = namespace.cluster.session_with_id(&created.id).await?;
                let live = namespace.ready(&session.name_any()).await?;
                let traffic = traffic(&namespace, &live).await?;
                let bytes = traffic.upstreams.get(&expected);
                // What a browser asks for by itself may go another way.
                ensure!(
                    bytes.is_some_and(|bytes| bytes.received > 200),
                    "{name} {proxy}: {traffic:?}"
                );
                client.delete(&format!("/session/{}", created.id)).await?;
            }
            let nothing = client.new_session(json!({"browserName": name})).await?;
            assert_eq!(nothing.capabilities["proxy"], json!({}), "{name}");
            client.delete(&format!("/session/{}", nothing.id)).await?;
        }
        eventually(std::time::Duration::from_secs(10), async || {
            let log = upstream::log(&namespace, HTTP).await?;
            ensure!(log.contains("site.site"), "tinyproxy heard nothing of the site: {log}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_proxy_capability_that_cannot_be_had_is_refused_by_name() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        for (proxy, words) in [
            (json!({"proxyType": "autodetect"}), "proxy.proxyType autodetect"),
            (json!({"proxyType": "pac", "proxyAutoconfigUrl": "http://a/"}), "proxy.proxyType pac"),
            (json!({"proxyType": "manual", "httpProxy": "proxy:0"}), "proxy.httpProxy has a port"),
            (
                json!({"proxyType": "manual", "sslProxy": "a:b@proxy"}),
                "proxy.sslProxy has credentials",
            ),
        ] {
            let body = json!({"capabilities": {"alwaysMatch": {"proxy": proxy}}});
            let reply = client.send(Method::POST, "/session", Some(&body)).await?;
            ensure!(reply.status >= 400 && reply.message().contains(words), "{proxy}: {reply:?}");
        }
        namespace.nothing_left().await
    })
    .await
}

#[tokio::test]
async fn rules_send_two_hosts_of_one_page_two_ways() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let client = namespace.client().await?;
        let site = namespace.cluster.page("/");
        let host = url_host(&site)?;
        let http = format!("http://{}", upstream::address(&namespace, HTTP, HTTP_PORT));
        let socks = format!("socks5h://{}", upstream::address(&namespace, SOCKS, SOCKS_PORT));
        for name in BROWSERS {
            let rules = json!([
                {"domainPattern": "blocked.example", "type": "block"},
                {"domainPattern": "gone.example", "type": "external", "server": "http://192.0.2.1:3128"},
                {"domainPattern": host, "type": "external", "server": http},
                {"domainPattern": r"site\.site(\.svc)?", "type": "external", "server": socks},
            ]);
            let spec = json!({"capabilities": browser(name), "proxy": {"rules": rules, "default": {"type": "block"}}});
            let live = namespace.create_ready(name, spec).await?;
            client.open(&live.id, &site).await?;
            assert_eq!(client.title(&live.id).await?, TITLE, "{name}");
            let other = format!("http://{}/", host.trim_end_matches(".cluster.local"));
            let fetched = client
                .script(&live.id, "return fetch(arguments[0], {mode: 'no-cors'}).then(() => 'answered')", json!([other]))
                .await?;
            assert_eq!(fetched, "answered", "{name}");
            let traffic = traffic(&namespace, &live).await?;
            for upstream in [&http, &socks] {
                let bytes = traffic.upstreams.get(upstream.as_str());
                ensure!(bytes.is_some_and(|bytes| bytes.received > 100), "{name}: {traffic:?}");
            }
            for (url, words) in [
                ("http://blocked.example/", "it is blocked (by spec.proxy.rules[0])"),
                ("http://other.example/", "it is blocked (by spec.proxy.default)"),
            ] {
                let said = refused(&client, &live.id, url).await?;
                ensure!(said.contains(words), "{name} {url}: {said}");
            }
            namespace.delete(name).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_namespaces_own_services_are_reached_without_a_setting_and_others_are_not() -> Result<()>
{
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let cluster = &namespace.cluster;
        let client = namespace.client().await?;
        let class = json!({"clusterAccess": "namespace"});
        let class =
            class_like_the_default(&cluster.default_class().await?, &namespace.name, class)?;
        cluster
            .with_class(&class, async || {
                let live =
                    namespace.create_ready("s", json!({"className": namespace.name})).await?;
                for host in [
                    PAGE.to_owned(),
                    format!("{PAGE}.{}", namespace.name),
                    format!("{PAGE}.{}.svc", namespace.name),
                    format!("{PAGE}.{}.svc.cluster.local", namespace.name),
                ] {
                    let said =
                        text(&client, &live.id, &format!("http://{host}:{PAGE_PORT}/")).await?;
                    ensure!(said.contains("a page of mine"), "{host}: {said}");
                }
                let said = refused(&client, &live.id, &cluster.page("/")).await?;
                ensure!(
                    said.contains("clusterAccess: namespace")
                        && said.contains("clusterAccess: all"),
                    "{said}"
                );
                namespace.delete("s").await
            })
            .await
    })
    .await
}

#[tokio::test]
async fn a_client_gives_its_pages_no_proxy_of_its_own() -> Result<()> {
    with_namespace(async |namespace| {
        let proxy = json!({"proxyType": "direct"});
        for name in BROWSERS {
            let live = namespace.create_ready(name, json!({"capabilities": browser(name)})).await?;
            let mut bidi = Bidi::connect(&namespace.cluster.socket_url(&live.id)).await?;
            let answer = bidi.send_command("browser.createUserContext", json!({"proxy": proxy})).await?;
            ensure!(answer["error"] == "unsupported operation", "{name}: {answer}");
            ensure!(answer.to_string().contains("spec.proxy"), "{name}: {answer}");
            bidi.command("browser.createUserContext", json!({})).await?;
            if name == "chrome" {
                let params = json!({"proxyServer": "http://192.0.2.1:3128"});
                let wrapped = json!({"method": "Target.createBrowserContext", "params": params});
                let answer = bidi.send_command("goog:cdp.sendCommand", wrapped).await?;
                ensure!(answer["error"] == "unsupported operation", "{answer}");
                let url = format!("{}/se/cdp", namespace.cluster.socket_url(&live.id));
                let mut tools = Bidi::connect(&url).await?;
                for text in [
                    r#"{"id":1,"method":"Target.createBrowserContext","params":{"proxyServer":"http://192.0.2.1"}}"#,
                    r#"{"id":1,"method":"Target.createBrowserContext","params":{"proxy\u0053erver":"http://192.0.2.1"}}"#,
                ] {
                    tools.send_text(text).await?;
                    let answer = tools.next_reply().await?;
                    ensure!(answer["error"]["message"].to_string().contains("spec.proxy"), "{answer}");
                }
            }
            namespace.delete(name).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_page_sends_no_datagram() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let client = namespace.client().await?;
        let server = format!("stun:{}:{LISTENER_PORT}", upstream::listener_ip(&namespace).await?);
        let gather = r#"
            const [url, done] = arguments;
            const peer = new RTCPeerConnection({iceServers: [{urls: url}]});
            const seen = [];
            peer.onicecandidate = event => { if (event.candidate) seen.push(event.candidate.candidate); };
            peer.onicegatheringstatechange = () => { if (peer.iceGatheringState === "complete") done(seen); };
            setTimeout(() => done(["late", ...seen]), 12000);
            peer.createDataChannel("a");
            peer.createOffer().then(offer => peer.setLocalDescription(offer));
        "#;
        for name in BROWSERS {
            let live = namespace.create_ready(name, json!({"capabilities": browser(name)})).await?;
            client.open(&live.id, &namespace.cluster.page("/")).await?;
            let path = format!("/session/{}/execute/async", live.id);
            let seen = client.post(&path, json!({"script": gather, "args": [server]})).await?;
            ensure!(!seen.to_string().contains("udp"), "{name}: {seen}");
            namespace.delete(name).await?;
        }
        // It hears what is sent to it, so it would have heard them.
        upstream::tell_listener(&namespace, "control").await?;
        let control = "636f6e74726f6c";
        let heard = eventually(std::time::Duration::from_secs(10), async || {
            let log = upstream::log(&namespace, LISTENER).await?;
            ensure!(log.contains(control), "the listener heard no control: {log}");
            Ok(log)
        })
        .await?;
        assert_eq!(heard.trim(), format!("heard {control}"));
        Ok(())
    })
    .await
}

fn url_host(url: &str) -> Result<&str> {
    let rest = url.split_once("://").context("a URL")?.1;
    rest.split(['/', ':']).next().context("a host")
}
