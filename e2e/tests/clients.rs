//! Stock clients, run as their users run them: the examples, each on each browser.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use crds::{BrowserSession, Phase, Reason};
use e2e::{
    Namespace,
    clients::{java, node, printed, python, run},
    namespace::check_end,
    wait::until,
    with_namespace,
};
use kube::{Api, ResourceExt, api::DeleteParams};
use serde_json::json;
use tokio::process::Command;

const CHROME: &str = "chrome";
const FIREFOX: &str = "firefox";

/// The path of a client's screenshot.
fn picture(namespace: &Namespace) -> PathBuf {
    std::env::temp_dir().join(format!("{}.png", namespace.name))
}

/// Takes the picture away, which must be one, and gives its size in bytes.
fn take_picture(namespace: &Namespace) -> Result<usize> {
    let file = picture(namespace);
    let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let (width, height) = e2e::bidi::png_size(&bytes)?;
    ensure!(width >= 300 && height >= 200, "{width}x{height}");
    std::fs::remove_file(&file).with_context(|| file.display().to_string())?;
    Ok(bytes.len())
}

/// How a client fills a page's file input.
#[derive(Clone, Copy)]
enum Upload {
    /// It uploads its screenshot.
    Sent,
    /// It names a file in the browser's container.
    Named,
}

/// Runs a client of the gateway on a browser. `name` is what it types into the first page.
async fn goes_through_the_pages(
    browser: &str,
    name: &str,
    upload: Upload,
    mut client: Command,
) -> Result<()> {
    with_namespace(async |namespace| {
        let file = picture(&namespace);
        client.env("BROWSER", browser).arg(&file);
        let output = run(&namespace, client).await?;
        assert_eq!(printed(&output, "title:")?, "browser-operator");
        assert_eq!(printed(&output, "sent:")?, name);
        assert_eq!(printed(&output, "console:")?, "hello from the page");
        assert_eq!(printed(&output, "alert:")?, "hello from an alert");
        assert_eq!(printed(&output, "intercepted:")?, "hello from the client");

        let agent = printed(&output, "browser:")?;
        let product = if browser == FIREFOX { " Firefox/" } else { "Chrome/" };
        ensure!(agent.contains(product), "{browser} is {agent}");

        let (size, uploaded) = (take_picture(&namespace)?, printed(&output, "uploaded:")?);
        match upload {
            Upload::Sent => assert_eq!(uploaded, format!("{}.png, {size} bytes", namespace.name)),
            Upload::Named => ensure!(uploaded.starts_with("debian_version, "), "{uploaded}"),
        }
        ended_and_removed(&namespace, session_of(&namespace, &output).await?).await
    })
    .await
}

/// The session of a client that printed its id, or else put the test's name into its metadata.
async fn session_of(namespace: &Namespace, output: &str) -> Result<BrowserSession> {
    if let Ok(id) = printed(output, "session:") {
        return namespace.cluster.session_with_id(id).await;
    }
    let metadata = json!({"build": namespace.name});
    let found = namespace.cluster.sessions().await?.into_iter().find(|session| {
        serde_json::to_value(&session.spec.user_metadata).is_ok_and(|found| found == metadata)
    });
    found.with_context(|| format!("no session has the metadata {metadata}"))
}

/// The session of a client without a token is in the gateway's namespace; its record goes with the test.
async fn ended_and_removed(namespace: &Namespace, session: BrowserSession) -> Result<()> {
    let client = &namespace.cluster.client;
    let (name, own) = (session.name_any(), session.namespace().context("its namespace")?);
    let sessions = Api::<BrowserSession>::namespaced(client.clone(), &own);
    let ended = until(&sessions, &name, "ended", e2e::namespace::END_LIMIT, |session| {
        session.is_some_and(BrowserSession::is_terminal)
    })
    .await?
    .context("it is there")?;
    check_end(&ended, Phase::Completed, Reason::ClientEnded)?;
    sessions.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

async fn selenium_for_python(browser: &str) -> Result<()> {
    let client = python("selenium_page.py").await?;
    goes_through_the_pages(browser, "selenium", Upload::Sent, client).await
}

#[tokio::test]
async fn selenium_for_python_on_chrome() -> Result<()> {
    selenium_for_python(CHROME).await
}

#[tokio::test]
async fn selenium_for_python_on_firefox() -> Result<()> {
    selenium_for_python(FIREFOX).await
}

async fn selenium_for_javascript(browser: &str) -> Result<()> {
    let client = node("selenium_page.mjs").await?;
    goes_through_the_pages(browser, "selenium", Upload::Sent, client).await
}

#[tokio::test]
async fn selenium_for_javascript_on_chrome() -> Result<()> {
    selenium_for_javascript(CHROME).await
}

#[tokio::test]
async fn selenium_for_javascript_on_firefox() -> Result<()> {
    selenium_for_javascript(FIREFOX).await
}

async fn selenium_for_java(browser: &str) -> Result<()> {
    goes_through_the_pages(browser, "selenium", Upload::Sent, java().await?).await
}

#[tokio::test]
async fn selenium_for_java_on_chrome() -> Result<()> {
    selenium_for_java(CHROME).await
}

#[tokio::test]
async fn selenium_for_java_on_firefox() -> Result<()> {
    selenium_for_java(FIREFOX).await
}

#[tokio::test]
async fn webdriverio_on_chrome() -> Result<()> {
    let client = node("webdriverio_page.mjs").await?;
    goes_through_the_pages(CHROME, "webdriverio", Upload::Sent, client).await
}

#[tokio::test]
async fn webdriverio_on_firefox() -> Result<()> {
    let client = node("webdriverio_page.mjs").await?;
    goes_through_the_pages(FIREFOX, "webdriverio", Upload::Sent, client).await
}

async fn puppeteer_over_bidi(browser: &str) -> Result<()> {
    let client = node("puppeteer_bidi.mjs").await?;
    goes_through_the_pages(browser, "puppeteer", Upload::Named, client).await
}

#[tokio::test]
async fn puppeteer_over_bidi_on_chrome() -> Result<()> {
    puppeteer_over_bidi(CHROME).await
}

#[tokio::test]
async fn puppeteer_over_bidi_on_firefox() -> Result<()> {
    puppeteer_over_bidi(FIREFOX).await
}

#[tokio::test]
async fn a_few_lines_of_python_drive_a_session_over_bare_bidi() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let (socket, page) = (namespace.cluster.socket_url(&live.id), namespace.cluster.page("/"));
        let mut client = python("bidi.py").await?;
        client.arg(&socket).arg(&page).arg(picture(&namespace));
        let output = run(&namespace, client).await?;
        assert_eq!(printed(&output, "title:")?, "browser-operator");
        take_picture(&namespace)?;
        // It left the session as it was.
        namespace.cluster.anonymous().title(&live.id).await.map(drop)
    })
    .await
}
