//! What classes have beside their browser: one that names another operating system than its own, wherever a page can look, and providers.

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{
    Classic, Namespace,
    hosted::{self, Hosted, evaluate, with_key},
    kubectl,
    objects::class_like_the_default,
    with_namespace,
};
use serde_json::{Value, json};

/// What a page, a worker and a window of it see. Hints are for pages of secure origins.
const SEEN: &str = "
    const seen = async () => {
        const told = port => new Promise(seen => { port.onmessage = event => seen(event.data) });
        const worker = new Worker('/worker.js');
        const own = told(worker);
        worker.postMessage('?');
        const shared = new SharedWorker('/worker.js');
        let service = null;
        if (navigator.serviceWorker) {
            await navigator.serviceWorker.register('/worker.js');
            const {port1, port2} = new MessageChannel();
            (await navigator.serviceWorker.ready).active.postMessage('?', [port2]);
            service = await told(port1);
        }
        const other = window.open('/second.html');
        await new Promise(loaded => { other.onload = loaded });
        const hints = await navigator.userAgentData?.getHighEntropyValues(['platform', 'platformVersion']);
        return {
            page: [navigator.userAgent, navigator.platform],
            worker: await own,
            shared: await told(shared.port),
            service,
            window: [other.navigator.userAgent, other.navigator.platform],
            hints: hints ? [hints.platform, hints.mobile] : null,
        };
    };
    return seen()";

/// Prints what every process of a pod is told of features, each once.
const FEATURES: &str = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | sed -n 's/^BROWSER_OPERATOR_FEATURES=//p' | sort -u";

/// What must be seen.
struct Expected {
    os: &'static str,
    system: &'static str,
    platform: &'static str,
    hints: Option<(&'static str, bool)>,
}

/// Opens a session as this system, and looks at it from all sides.
async fn check(
    namespace: &Namespace,
    client: &Classic,
    expected: &Expected,
    capabilities: Value,
) -> Result<()> {
    let Expected { os, system, platform, hints } = expected;
    let name = format!("{os}-{}", capabilities["browserName"].as_str().context("a browser")?);
    let site = namespace.cluster.page("/");
    let spec = json!({
        "className": namespace.name, "os": os, "startUrl": site,
        "capabilities": {"alwaysMatch": capabilities},
    });
    let live = namespace.create_ready(&name, spec).await?;
    let seen = client.script(&live.id, SEEN, json!([])).await?;
    let agent = seen["page"][0].as_str().context("a user agent")?;
    ensure!(agent.starts_with(&format!("Mozilla/5.0 ({system}")), "{os}: {agent}");
    for place in ["page", "worker", "shared", "service", "window"] {
        // Like hints, service workers are for secure origins.
        if place != "service" || hints.is_some() {
            assert_eq!(seen[place], json!([agent, platform]), "{os}: {place}");
        }
    }
    assert_eq!(seen["hints"], json!(hints), "{os}");
    let told = namespace.sessions().get(&name).await?.status.and_then(|status| status.capabilities);
    assert_eq!(told.context("capabilities")?["userAgent"], *agent, "{os}");

    // What a server gets.
    let mut socket = namespace.cluster.socket(&live.id).await?;
    socket.command("session.subscribe", json!({"events": ["network.beforeRequestSent"]})).await?;
    let context = socket.context().await?;
    let page = json!({"context": context, "url": namespace.cluster.page("/second.html")});
    socket.command("browsingContext.navigate", page).await?;
    let request = socket.event("network.beforeRequestSent").await?;
    let headers = request["request"]["headers"].as_array().context("headers")?;
    let sent = headers
        .iter()
        .find(|header| {
            header["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("user-agent"))
        })
        .context("User-Agent")?;
    assert_eq!(sent["value"]["value"], *agent, "{os}");
    client.delete(&format!("/session/{}", live.id)).await.map(drop)
}

/// Runs a test with a class of the namespace's name, of which sessions may ask for more than of the one that it is like: the
/// class of that name, or the default.
async fn with_rich_class(
    like: Option<&str>,
    test: impl AsyncFnOnce(&Namespace) -> Result<()>,
) -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let like = match like {
            Some(name) => cluster.classes().get(name).await?,
            None => cluster.default_class().await?,
        };
        let more = json!({
            "operatingSystems": ["windows", "mac", "mobile", "tablet"],
            "providers": [
                {"name": "captchas.example.com", "features": ["solveCaptchas"]},
                {"name": "stealth.example.com", "features": ["advancedStealth"]},
            ],
        });
        let class = class_like_the_default(&like, &namespace.name, more)?;
        cluster.with_class(&class, async || test(&namespace).await).await
    })
    .await
}

#[tokio::test]
async fn a_browser_names_the_system_that_was_asked_for() -> Result<()> {
    with_rich_class(None, async |namespace| {
        let chrome = json!({
            "browserName": "chrome", "webSocketUrl": true,
            "goog:chromeOptions": {"args": [
                // Hints are for secure origins.
                format!("--unsafely-treat-insecure-origin-as-secure={}", namespace.cluster.page("")),
            ]},
        });
        let client = namespace.client().await?;
        for expected in [
            Expected {
                os: "windows",
                system: "Windows NT 10.0; Win64; x64)",
                platform: "Win32",
                hints: Some(("Windows", false)),
            },
            Expected {
                os: "mobile",
                system: "Linux; Android 10; K)",
                platform: "Linux armv81",
                hints: Some(("Android", true)),
            },
            Expected {
                os: "linux",
                system: "X11; Linux x86_64)",
                platform: "Linux x86_64",
                hints: Some(("Linux", false)),
            },
        ] {
            check(namespace, &client, &expected, chrome.clone()).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn firefox_names_the_system_that_was_asked_for() -> Result<()> {
    with_rich_class(Some("firefox"), async |namespace| {
        let firefox = json!({"browserName": "firefox", "webSocketUrl": true});
        let expected = Expected {
            os: "mac",
            system: "Macintosh; Intel Mac OS X 10.15; rv:",
            platform: "MacIntel",
            hints: None,
        };
        check(namespace, &namespace.client().await?, &expected, firefox).await
    })
    .await
}

#[tokio::test]
async fn every_front_can_ask_for_a_system() -> Result<()> {
    with_rich_class(None, async |namespace| {
        let asked = json!({
            "browserName": "chrome", "browser-operator:os": "tablet",
            "browser-operator:class": namespace.name,
        });
        let client = namespace.client().await?;
        let made = client.new_session(asked).await?;
        let platform = client.script(&made.id, "return navigator.platform", json!([])).await?;
        assert_eq!(platform, "Linux armv81");
        client.delete(&format!("/session/{}", made.id)).await?;

        with_key(namespace, async |key| {
            let client = Hosted::of(namespace, &key);
            let made = client.browserbase(json!({"browserSettings": {"os": "mac"}})).await?;
            let url = made["connectUrl"].as_str().context("connectUrl")?;
            let mut page = hosted::page(&client, url).await?;
            assert_eq!(evaluate(&mut page, "navigator.platform").await?, "MacIntel");
            client.release(&hosted::id(&made)?).await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_provider_is_told_what_a_session_asks_for() -> Result<()> {
    with_rich_class(None, async |namespace| {
        let refused = json!({"className": namespace.name, "features": {"verified": true}});
        namespace.create("refused", refused).await?;
        let refused =
            namespace.ended("refused", Phase::Failed, Reason::CapabilitiesNotMatched).await?;
        let message = &refused.condition("Ready").context("Ready")?.message;
        ensure!(message.starts_with("spec.features.verified: class "), "{message}");

        with_key(namespace, async |key| {
            let client = Hosted::of(namespace, &key);
            let settings = json!({"captchaImageSelector": "#image", "advancedStealth": true});
            let made = client.browserbase(json!({"browserSettings": settings})).await?;
            let session = namespace.cluster.session_with_id(&hosted::id(&made)?).await?;
            let status = session.status.context("status")?;
            assert_eq!(status.providers, ["captchas.example.com", "stealth.example.com"]);
            let pod = status.pod_name.context("podName")?;
            // Whatever the agent starts has it, too: a driver, a browser, an image's own program around it.
            let told = kubectl::exec(&namespace.name, &pod, FEATURES).await?;
            assert_eq!(
                serde_json::from_str::<Value>(&told)?,
                json!({
                    "solveCaptchas": true, "captchaImageSelector": "#image",
                    "advancedStealth": true, "verified": false,
                })
            );
            client.release(&hosted::id(&made)?).await.map(drop)
        })
        .await
    })
    .await
}
