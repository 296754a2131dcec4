//! The browser's DevTools: through the gateway where Selenium's clients look for them, and straight at a session that is
//! exposed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{Bidi, Namespace, agent, namespace::Live, wait::eventually, with_namespace};
use kube::ResourceExt;
use serde_json::{Value, json};

struct Tools {
    socket: Bidi,
    next: u64,
    /// Events that came with the answers so far.
    events: Vec<Value>,
}

impl Tools {
    async fn connect(url: &str) -> Result<Self> {
        Ok(Self { socket: Bidi::connect(url).await?, next: 0, events: Vec::new() })
    }

    /// At the gateway, where Selenium's clients look.
    async fn at_gateway(namespace: &Namespace, id: &str) -> Result<Self> {
        Self::connect(&format!("{}/se/cdp", namespace.cluster.socket_url(id))).await
    }

    async fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        self.ask_in(None, method, params).await
    }

    /// Answers have an id, events have none.
    async fn ask_in(&mut self, page: Option<&str>, method: &str, params: Value) -> Result<Value> {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": params});
        if let Some(page) = page {
            message["sessionId"] = page.into();
        }
        self.socket.send_text(message.to_string()).await?;
        loop {
            let mut reply = self.socket.next_reply().await?;
            if reply["id"] == self.next {
                ensure!(reply.get("error").is_none(), "{method}: {reply}");
                return Ok(reply["result"].take());
            }
            self.events.push(reply);
        }
    }

    async fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let mut result = self.ask("Runtime.evaluate", json!({"expression": expression})).await?;
        ensure!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        Ok(result["result"]["value"].take())
    }

    /// The targets of a type.
    async fn targets(&mut self, kind: &str) -> Result<Vec<String>> {
        let targets = self.ask("Target.getTargets", json!({"filter": [{}]})).await?;
        let targets = targets["targetInfos"].as_array().context("targets")?;
        let of_kind = targets.iter().filter(|target| target["type"] == kind);
        Ok(of_kind.filter_map(|t| t["targetId"].as_str().map(ToOwned::to_owned)).collect())
    }

    /// The code and the reason of the Close frame.
    async fn closed(&mut self) -> Result<(u16, String)> {
        let frame = self.socket.closed(Duration::from_secs(10)).await?.context("a Close frame")?;
        Ok((frame.code.into(), frame.reason.as_str().to_owned()))
    }
}

/// A session with BiDi that answers without the gateway.
async fn exposed(namespace: &Namespace, browser: &str) -> Result<Live> {
    let spec = json!({
        "capabilities": {"alwaysMatch": {"browserName": browser, "webSocketUrl": true}},
        "expose": {"type": "ClusterIP"},
    });
    namespace.create_ready("s", spec).await
}

/// What a session that is exposed answers about its DevTools.
async fn answer(live: &Live, path: &str) -> Result<Value> {
    let (status, body) = agent::get(&live.ip, &format!("/session/{}{path}", live.id)).await?;
    ensure!(status == 200, "{path}: {status} {body}");
    serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))
}

fn message(session: &crds::BrowserSession) -> &str {
    session.telling_condition().map_or("", |condition| condition.message.as_str())
}

#[tokio::test]
async fn a_cdp_client_finds_the_page_and_drives_it() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let created = client.new_session(json!({"browserName": "chrome"})).await?;
        client.open(&created.id, &namespace.cluster.page("/")).await?;
        let told = created.capabilities["se:cdp"].as_str().context("se:cdp")?;
        ensure!(told.ends_with(&format!("/session/{}/se/cdp", created.id)), "{told}");
        assert_eq!(created.capabilities["se:cdpVersion"], created.capabilities["browserVersion"]);

        let mut tools = Tools::at_gateway(&namespace, &created.id).await?;
        let pages = tools.targets("page").await?;
        let attach = json!({"targetId": pages.first().context("a page")?, "flatten": true});
        let attached = tools.ask("Target.attachToTarget", attach).await?;
        let page = attached["sessionId"].as_str().context("sessionId")?;
        let title = json!({"expression": "document.title"});
        let title = tools.ask_in(Some(page), "Runtime.evaluate", title).await?;
        assert_eq!(title["result"]["value"], "browser-operator");

        // It ends with its session, and its Close frame has the reason.
        let session = namespace.cluster.session_with_id(&created.id).await?;
        client.delete(&format!("/session/{}", created.id)).await?;
        assert_eq!(tools.closed().await?, (1000, "ClientEnded".to_owned()));
        namespace.ended(&session.name_any(), Phase::Completed, Reason::ClientEnded).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn the_browsers_answers_lead_to_the_sessions_own_sockets() -> Result<()> {
    with_namespace(async |namespace| {
        let live = exposed(&namespace, "chrome").await?;
        let base = format!("ws://{}/session/{}", agent::address(&live.ip), live.id);
        let version = answer(&live, "/cdp/json/version").await?;
        ensure!(version["Browser"].as_str().is_some_and(|b| b.contains("Chrome/")), "{version}");
        assert_eq!(answer(&live, "/cdp/json/version/").await?, version);
        let browser = version["webSocketDebuggerUrl"].as_str().context("a URL")?;
        ensure!(browser.starts_with(&format!("{base}/cdp/devtools/browser/")), "{browser}");

        let list = answer(&live, "/cdp/json/list").await?;
        assert_eq!(answer(&live, "/cdp/json").await?, list);
        ensure!(!list.to_string().contains("devtoolsFrontendUrl"), "{list}");
        let pages = list.as_array().context("a list")?;
        let page = pages.iter().find(|target| target["type"] == "page").context("a page")?;
        let page_url = page["webSocketDebuggerUrl"].as_str().context("a URL")?;
        let id = page["id"].as_str().context("an id")?;
        assert_eq!(page_url, format!("{base}/cdp/devtools/page/{id}"));

        for url in [browser, &format!("{base}/cdp"), &format!("{base}/se/cdp")] {
            let mut tools = Tools::connect(url).await?;
            let product = tools.ask("Browser.getVersion", json!({})).await?["product"].take();
            assert_eq!(product, version["Browser"], "{url}");
        }
        let mut tools = Tools::connect(page_url).await?;
        assert_eq!(tools.evaluate("6 * 7").await?, 42);

        // The gateway puts its own URL before these paths.
        let (path, of_page) = (format!("/session/{}/cdp/json", live.id), &page_url[base.len()..]);
        for (path, expected) in
            [(format!("{path}/version"), &browser[base.len()..]), (path, of_page)]
        {
            let (status, body) = agent::get_as_gateway(&namespace, &live, &path).await?;
            ensure!(status == 200 && body.contains(&format!("\"{expected}\"")), "{path}: {body}");
            ensure!(!body.contains("ws://") && !body.contains("ws="), "{path}: {body}");
        }

        for path in ["devtools/page/0000", "devtools/page", "devtools/tab/x", "json/list"] {
            assert_eq!(Bidi::refusal(&format!("{base}/cdp/{path}")).await?, 404, "{path}");
        }
        let nobodys = "/session/00000000-0000-8000-8000-000000000000/cdp/json/version";
        let (status, body) = agent::get(&live.ip, nobodys).await?;
        ensure!(status == 404 && body.contains("invalid session id"), "{status} {body}");
        let path = format!("/session/{}/cdp/json/version", live.id);
        assert_eq!(agent::status(&live.ip, reqwest::Method::POST, &path, None).await?, 404);

        // A page that is closed ends its socket and nothing else.
        let mut whole = Tools::connect(browser).await?;
        let made = whole.ask("Target.createTarget", json!({"url": "about:blank"})).await?;
        let made = made["targetId"].as_str().context("targetId")?;
        let mut tools = Tools::connect(&format!("{base}/cdp/devtools/page/{made}")).await?;
        tools.evaluate("1").await?;
        whole.ask("Target.closeTarget", json!({"targetId": made})).await?;
        assert_eq!(tools.closed().await?.0, 1000);
        ensure!(!whole.targets("page").await?.is_empty(), "the first page is there");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn dev_tools_are_for_the_gateway_alone_unless_the_session_is_exposed() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        for path in ["/cdp/json/version", "/cdp/json/list"] {
            let path = format!("/session/{}{path}", live.id);
            assert_eq!(agent::get(&live.ip, &path).await?.0, 404);
            assert_eq!(agent::get_as_gateway(&namespace, &live, &path).await?.0, 200);
        }
        for path in ["/cdp", "/se/cdp", "/cdp/devtools/browser/x"] {
            let url = format!("ws://{}/session/{}{path}", agent::address(&live.ip), live.id);
            assert_eq!(Bidi::refusal(&url).await?, 404);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_drivers_own_page_is_not_shown() -> Result<()> {
    with_namespace(async |namespace| {
        let live = exposed(&namespace, "chrome").await?;
        let list = answer(&live, "/cdp/json/list").await?;
        ensure!(!list.to_string().contains("Mapper"), "{list}");

        let mut tools = Tools::at_gateway(&namespace, &live.id).await?;
        let everything = json!({"filter": [{}]});
        for (method, params) in [
            ("Target.getTargets", json!({})),
            ("Target.getTargets", everything.clone()),
            ("Target.setDiscoverTargets", json!({"discover": true, "filter": [{}]})),
            (
                "Target.setAutoAttach",
                json!({
                    "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true,
                    // As Puppeteer asks: tabs, and not the pages in them.
                    "filter": [{"type": "page", "exclude": true}, {}],
                }),
            ),
            ("Target.setDiscoverTargets", json!({"discover": false})),
        ] {
            let answer = tools.ask(method, params).await?;
            ensure!(!answer.to_string().contains("Mapper"), "{method}: {answer}");
        }
        let told = json!(tools.events).to_string();
        ensure!(told.contains("Target.targetCreated") && told.contains("\"tab\""), "{told}");
        ensure!(told.contains("Target.attachedToTarget"), "{told}");
        ensure!(!told.contains("Mapper"), "{told}");

        // It still works.
        let mut bidi = namespace.cluster.socket(&live.id).await?;
        let context = bidi.context().await?;
        assert_eq!(bidi.evaluate(&context, "1 + 1").await?, 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn browser_close_is_answered_and_ends_the_session() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let mut tools = Tools::at_gateway(&namespace, &live.id).await?;
        assert_eq!(tools.ask("Browser.close", json!({})).await?, json!({}));
        assert_eq!(tools.closed().await?, (1000, "ClientEnded".to_owned()));
        let ended = namespace.ended("s", Phase::Completed, Reason::ClientEnded).await?;
        ensure!(message(&ended).contains("Browser.close"), "{}", message(&ended));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn closing_the_last_window_over_a_socket_is_no_crash() -> Result<()> {
    with_namespace(async |namespace| {
        let spec = json!({"capabilities": {"alwaysMatch": {"webSocketUrl": true}}});
        for name in ["bidi", "tools", "quits"] {
            let live = namespace.create_ready(name, spec.clone()).await?;
            let mut bidi = namespace.cluster.socket(&live.id).await?;
            let context = bidi.context().await?;
            match name {
                "bidi" => {
                    bidi.command("browsingContext.close", json!({"context": context})).await?;
                }
                "tools" => {
                    let mut tools = Tools::at_gateway(&namespace, &live.id).await?;
                    tools.ask("Target.closeTarget", json!({"targetId": context})).await?;
                }
                _ => {
                    let quit = json!({"id": 99, "method": "goog:cdp.sendCommand", "params": {
                        "method": "Browser.close", "params": {},
                    }});
                    bidi.send_text(quit.to_string()).await?;
                }
            }
            let frame = bidi.closed(Duration::from_secs(10)).await?.context("a Close frame")?;
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, "ClientEnded"));
            let ended = namespace.ended(name, Phase::Completed, Reason::ClientEnded).await?;
            assert_eq!(message(&ended), "the last window was closed");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_browser_that_crashes_after_a_window_was_closed_has_crashed() -> Result<()> {
    with_namespace(async |namespace| {
        let spec = json!({"capabilities": {"alwaysMatch": {"webSocketUrl": true}}});
        for name in ["bidi", "plain"] {
            let spec = if name == "bidi" {
                spec.clone()
            } else {
                json!({
                    "capabilities": {"alwaysMatch": {"webSocketUrl": false}}
                })
            };
            let live = namespace.create_ready(name, spec).await?;
            let mut tools = Tools::at_gateway(&namespace, &live.id).await?;
            if name == "bidi" {
                let mut bidi = namespace.cluster.socket(&live.id).await?;
                let context = bidi.context().await?;
                bidi.command("browsingContext.create", json!({"type": "tab"})).await?;
                bidi.command("browsingContext.close", json!({"context": context})).await?;
                // Which is behind the question what is left.
                bidi.command("browsingContext.getTree", json!({})).await?;
            }
            tools.socket.send_text(r#"{"id": 999, "method": "Browser.crash"}"#).await?;
            assert_eq!(tools.closed().await?, (1011, "BrowserCrashed".to_owned()));
            namespace.ended(name, Phase::Failed, Reason::BrowserCrashed).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_client_begins_with_a_page() -> Result<()> {
    with_namespace(async |namespace| {
        for bidi in [true, false] {
            let name = format!("bidi-{bidi}");
            let spec = json!({"capabilities": {"alwaysMatch": {"webSocketUrl": bidi}}});
            let live = namespace.create_ready(&name, spec).await?;
            let mut tools = Tools::at_gateway(&namespace, &live.id).await?;
            let pages = tools.targets("page").await?;
            assert_eq!(pages.len(), 1, "{name}");
            if bidi {
                // A browser with BiDi goes with its last page.
                continue;
            }
            tools.ask("Target.setDiscoverTargets", json!({"discover": true})).await?;
            tools.ask("Target.closeTarget", json!({"targetId": pages[0]})).await?;
            eventually(Duration::from_secs(10), async || {
                let mut other = Tools::at_gateway(&namespace, &live.id).await?;
                let now = other.targets("page").await?;
                ensure!(now.len() == 1 && now != pages, "{now:?}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() -> Result<()> {
    const LARGE: usize = 24 << 20;
    with_namespace(async |namespace| {
        let live = exposed(&namespace, "chrome").await?;
        let list = answer(&live, "/cdp/json/list").await?;
        let list = list.as_array().context("a list")?;
        let page = list.iter().find(|target| target["type"] == "page").context("a page")?;
        let url = page["webSocketDebuggerUrl"].as_str().context("a URL")?;

        let (mut slow, mut other) = (Tools::connect(url).await?, Tools::connect(url).await?);
        // Which lasts as long as its socket does.
        slow.ask("Emulation.setEmulatedMedia", json!({"media": "print"})).await?;
        let printing = "matchMedia('print').matches";
        assert_eq!(other.evaluate(printing).await?, true);
        for id in 100..106 {
            let params = json!({"expression": format!("'x'.repeat({LARGE})")});
            let message = json!({"id": id, "method": "Runtime.evaluate", "params": params});
            slow.socket.send_text(message.to_string()).await?;
        }
        let other = tokio::sync::Mutex::new(other);
        eventually(Duration::from_secs(60), async || {
            let is_printing = other.lock().await.evaluate(printing).await?;
            ensure!(is_printing == false, "its socket is still there");
            Ok(())
        })
        .await?;

        let mut read = 0;
        while slow.socket.next_reply().await.is_ok() {
            read += 1;
        }
        ensure!(read < 6, "it was cut off after {read} messages");
        // And nobody else was delayed.
        namespace.cluster.anonymous().title(&live.id).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn firefox_has_none_and_says_so() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let created = client.new_session(json!({"browserName": "firefox"})).await?;
        ensure!(created.capabilities.get("se:cdp").is_none(), "{}", created.capabilities);
        let url = format!("{}/se/cdp", namespace.cluster.socket_url(&created.id));
        assert_eq!(Bidi::refusal(&url).await?, 404);
        let session = namespace.cluster.session_with_id(&created.id).await?;
        let live = namespace.ready(&session.name_any()).await?;
        for path in ["/cdp/json/version", "/cdp/json/list"] {
            let path = format!("/session/{}{path}", created.id);
            let (status, body) = agent::get_as_gateway(&namespace, &live, &path).await?;
            ensure!(status == 404, "{path}: {status}");
            ensure!(
                body.contains("Firefox") && body.contains("Chrome DevTools Protocol"),
                "{body}"
            );
        }
        let path = format!("/session/{}/goog/cdp/execute", created.id);
        let reply = client.send(reqwest::Method::POST, &path, Some(&json!({}))).await?;
        assert_eq!((reply.status, reply.error()), (404, "unknown command"));
        ensure!(reply.message().contains("Chrome DevTools Protocol"), "{}", reply.body);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_that_a_cdp_client_uses_is_not_idle() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let wanted = json!({"browserName": "chrome", "browser-operator:idleTimeoutSeconds": 3});
        let id = client.new_session(wanted).await?.id;
        let session = namespace.cluster.session_with_id(&id).await?;
        let mut tools =
            Bidi::connect(&format!("{}/se/cdp", namespace.cluster.socket_url(&id))).await?;
        // A page that logs keeps frames coming, twice as long as the limit.
        let script = "let left = 12; const tick = () => { console.log(left); left-- && setTimeout(tick, 500) }; tick()";
        let params = json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true});
        let attach = json!({"id": 1, "method": "Target.setAutoAttach", "params": params});
        tools.send_text(attach.to_string()).await?;
        let attached = tools.event("Target.attachedToTarget").await?;
        let page = attached["sessionId"].clone();
        for (id, method, params) in [
            (2, "Runtime.enable", json!({})),
            (3, "Runtime.evaluate", json!({"expression": script})),
        ] {
            let message = json!({"id": id, "method": method, "params": params, "sessionId": page});
            tools.send_text(message.to_string()).await?;
        }
        let frame = tools.closed(Duration::from_secs(30)).await?.context("a Close frame")?;
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "IdleTimeout"));
        let name = session.name_any();
        let ended = namespace.ended(&name, Phase::TimedOut, Reason::IdleTimeout).await?;
        let status = ended.status.context("status")?;
        let (started, ended) = (status.started_at.context("started")?, status.ended_at.context("ended")?);
        let lived = ended.0.duration_since(started.0);
        ensure!(lived.as_secs() >= 8, "it lived {lived:?}");
        Ok(())
    })
    .await
}
