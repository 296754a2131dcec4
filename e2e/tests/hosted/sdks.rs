//! The services' own clients, run as their users run them: only base URL and key are the gateway's.

use anyhow::{Result, ensure};
use crds::{BrowserSession, Phase, Reason};
use e2e::{
    Namespace,
    clients::{node, printed, python, run},
    hosted::{Key, with_key},
    with_namespace,
};
use kube::ResourceExt;
use tokio::process::Command;

/// Runs a client with a key, and gives what it prints.
pub async fn run_with(namespace: &Namespace, key: &Key, mut client: Command) -> Result<String> {
    client
        .env("BROWSERBASE_BASE_URL", &namespace.cluster.settings.gateway_url)
        .env("ANONYMIZED_TELEMETRY", "false");
    for name in ["BROWSERBASE_API_KEY", "BROWSER_USE_API_KEY", "API_KEY"] {
        client.env(name, &key.text);
    }
    run(namespace, client).await
}

/// Waits until a client's session has ended for this reason.
async fn ended(namespace: &Namespace, session: &BrowserSession, reason: Reason) -> Result<()> {
    ensure!(session.namespace().as_deref() == Some(namespace.name.as_str()), "it is elsewhere");
    namespace.ended(&session.name_any(), Phase::Completed, reason).await.map(drop)
}

/// Runs a client, which goes through the pages, types `name` into the first, and leaves nothing.
async fn goes_through_the_pages(client: Command, name: &str, reason: Reason) -> Result<()> {
    goes_and_tells(client, name, reason, &[]).await
}

/// The same; it prints these lines, too.
async fn goes_and_tells(
    client: Command,
    name: &str,
    reason: Reason,
    lines: &[(&str, &str)],
) -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let output = run_with(&namespace, &key, client).await?;
            assert_eq!(printed(&output, "title:")?, "browser-operator");
            assert_eq!(printed(&output, "sent:")?, name);
            let id = printed(&output, "session:")?;
            for (word, expected) in lines {
                let expected = if *expected == "ID" { id } else { expected };
                assert_eq!(printed(&output, word)?, expected, "{word}");
            }
            let session = namespace.cluster.session_with_id(id).await?;
            ended(&namespace, &session, reason).await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn browserbase_for_python_with_playwright() -> Result<()> {
    let lines = [
        ("status:", "RUNNING"),
        ("found:", "ID"),
        ("viewport:", "1280x720"),
        ("debug:", "browser-operator: second page"),
        ("kept:", "RUNNING"),
        ("ended:", "COMPLETED"),
    ];
    let client = python("browserbase_playwright.py").await?;
    goes_and_tells(client, "playwright", Reason::Released, &lines).await
}

#[tokio::test]
async fn browserbase_for_python_with_selenium() -> Result<()> {
    let client = python("browserbase_selenium.py").await?;
    goes_and_tells(client, "selenium", Reason::ClientEnded, &[("joined:", "ID")]).await
}

#[tokio::test]
async fn browserbase_for_node_with_playwright() -> Result<()> {
    let client = node("browserbase_playwright.mjs").await?;
    goes_and_tells(client, "playwright", Reason::Disconnected, &[("found:", "ID")]).await
}

#[tokio::test]
async fn browserbase_for_node_with_puppeteer() -> Result<()> {
    let client = node("browserbase_puppeteer.mjs").await?;
    goes_and_tells(client, "puppeteer", Reason::Released, &[("ended:", "COMPLETED")]).await
}

#[tokio::test]
async fn browser_use_for_python_with_playwright() -> Result<()> {
    let lines = [
        ("found:", "ID"),
        ("v3:", "active"),
        ("ended:", "stopped"),
        ("open:", "active"),
        ("tasks:", "0"),
        ("shared:", "True"),
        ("views:", "0"),
        ("stopped:", "stopped"),
    ];
    let client = python("browser_use_playwright.py").await?;
    goes_and_tells(client, "playwright", Reason::Released, &lines).await
}

#[tokio::test]
async fn browser_use_for_node_with_playwright() -> Result<()> {
    let client = node("browser_use_playwright.mjs").await?;
    goes_and_tells(client, "playwright", Reason::Released, &[("ended:", "stopped")]).await
}

#[tokio::test]
async fn browser_use_for_node_with_puppeteer() -> Result<()> {
    let client = node("browser_use_puppeteer.mjs").await?;
    goes_through_the_pages(client, "puppeteer", Reason::Released).await
}

#[tokio::test]
async fn the_open_source_browser_use() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = python("browser_use_open_source.py").await?;
            let output = run_with(&namespace, &key, client).await?;
            assert_eq!(printed(&output, "title:")?, "browser-operator");
            assert_eq!(
                (printed(&output, "version:")?, printed(&output, "ended:")?),
                ("v2", "stopped")
            );
            let session = namespace.cluster.session_with_id(printed(&output, "session:")?).await?;
            ended(&namespace, &session, Reason::Released).await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn stagehand() -> Result<()> {
    let client = node("browserbase_stagehand.mjs").await?;
    goes_through_the_pages(client, "stagehand", Reason::Disconnected).await
}

#[tokio::test]
async fn stagehand_4_says_that_its_extension_is_not_to_be_had() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = node("../e2e/clients/stagehand.mjs").await?;
            let output = run_with(&namespace, &key, client).await?;
            let launch = printed(&output, "launch:")?;
            ensure!(launch.contains("extensions are not available"), "{launch}");
            let connect = printed(&output, "connect:")?;
            ensure!(connect.contains("extension is not installed"), "{connect}");
            assert_eq!(printed(&output, "ended:")?, "COMPLETED");
            let session = namespace.cluster.session_with_id(printed(&output, "session:")?).await?;
            namespace.pod_gone(&session).await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn playwright_with_nothing_but_the_gateways_url() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = python("cdp_playwright.py").await?;
            let output = run_with(&namespace, &key, client).await?;
            assert_eq!(
                (printed(&output, "title:")?, printed(&output, "sent:")?),
                ("browser-operator", "playwright")
            );
            let sessions = namespace.sessions().list(&Default::default()).await?.items;
            assert_eq!(sessions.len(), 1, "{sessions:?}");
            ended(&namespace, &sessions[0], Reason::Disconnected).await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn puppeteer_with_nothing_but_the_gateways_url() -> Result<()> {
    with_namespace(async |namespace| {
        let client = node("cdp_puppeteer.mjs").await?;
        let output = run(&namespace, client).await?;
        assert_eq!(
            (printed(&output, "title:")?, printed(&output, "sent:")?),
            ("browser-operator", "puppeteer")
        );
        // A client without a key has its session in the gateway's namespace.
        let session = namespace.cluster.session_with_id(printed(&output, "session:")?).await?;
        let elsewhere = Namespace { name: session.namespace().unwrap_or_default(), ..namespace };
        elsewhere.ended(&session.name_any(), Phase::Completed, Reason::ClientEnded).await?;
        elsewhere.delete(&session.name_any()).await
    })
    .await
}
