//! Test frameworks, CDP libraries and agents' tools, as they are in their packages: each opens a page, clicks its link and
//! quits, with a key, and leaves no session. The scripts are in `e2e/clients/frameworks`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{BrowserSession, Phase};
use e2e::{
    Namespace,
    clients::{framework, installed, node, printed, run},
    hosted::{Hosted, Key, with_key},
    wait::until_all,
    with_namespace,
};
use kube::runtime::watcher::Config;
use serde_json::json;
use tokio::process::Command;

const CHROME: &str = "chrome";
const FIREFOX: &str = "firefox";

/// For a client's session to end: some only drop their sockets, and may come back for 30 s.
const LEFT_LIMIT: Duration = Duration::from_secs(75);

/// Runs a client, which prints the titles of two pages and leaves nothing behind.
async fn opens_and_clicks(
    prepare: impl AsyncFnOnce(&Namespace, &Key, &mut Command) -> Result<()>,
    mut client: Command,
) -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            prepare(&namespace, &key, &mut client).await?;
            let output = run(&namespace, client).await?;
            assert_eq!(printed(&output, "title:")?, "browser-operator", "{output}");
            assert_eq!(printed(&output, "clicked:")?, "browser-operator: second page", "{output}");
            // One session, with the key, and it is over: nobody but the client has ended it.
            let ended = until_all(
                &namespace.sessions(),
                Config::default(),
                "ended: the client's session",
                LEFT_LIMIT,
                |all| !all.is_empty() && all.values().all(BrowserSession::is_terminal),
            )
            .await?;
            ensure!(ended.len() == 1, "{} sessions: {:?}", ended.len(), ended.keys());
            for session in ended.values() {
                let status = session.status.as_ref().context("status")?;
                assert_eq!(status.phase, Some(Phase::Completed), "{status:?}");
            }
            namespace.nothing_left().await
        })
        .await
    })
    .await
}

/// A client of WebDriver, which shows its key in the URL as a password.
async fn over_webdriver(browser: &str, mut client: Command) -> Result<()> {
    client.env("BROWSER", browser);
    let with_password = async |namespace: &Namespace, key: &Key, client: &mut Command| {
        let gateway = &namespace.cluster.settings.gateway_url;
        client.env("GATEWAY_URL", gateway.replacen("://", &format!("://any:{}@", key.text), 1));
        Ok(())
    };
    opens_and_clicks(with_password, client).await
}

/// A client of CDP, which has a session's URL.
async fn over_cdp(client: Command) -> Result<()> {
    let with_url = async |namespace: &Namespace, key: &Key, client: &mut Command| {
        let session = Hosted::of(namespace, key).browserbase(json!({})).await?;
        client.env("CDP_URL", session["connectUrl"].as_str().context("connectUrl")?);
        Ok(())
    };
    opens_and_clicks(with_url, client).await
}

#[tokio::test]
async fn selenium_for_ruby_on_chrome() -> Result<()> {
    over_webdriver(CHROME, framework("ruby", &["selenium.rb"]).await?).await
}

#[tokio::test]
async fn selenium_for_ruby_on_firefox() -> Result<()> {
    over_webdriver(FIREFOX, framework("ruby", &["selenium.rb"]).await?).await
}

#[tokio::test]
async fn capybara_on_chrome() -> Result<()> {
    over_webdriver(CHROME, framework("ruby", &["capybara.rb"]).await?).await
}

#[tokio::test]
async fn capybara_on_firefox() -> Result<()> {
    over_webdriver(FIREFOX, framework("ruby", &["capybara.rb"]).await?).await
}

async fn robot_framework(browser: &str) -> Result<()> {
    let client = framework(
        "INSTALLED/bin/robot",
        &["--output", "NONE", "--report", "NONE", "--log", "NONE", "page.robot"],
    );
    over_webdriver(browser, client.await?).await
}

#[tokio::test]
async fn robot_framework_on_chrome() -> Result<()> {
    robot_framework(CHROME).await
}

#[tokio::test]
async fn robot_framework_on_firefox() -> Result<()> {
    robot_framework(FIREFOX).await
}

async fn nightwatch(browser: &str) -> Result<()> {
    let program = "INSTALLED/node_modules/nightwatch/bin/nightwatch";
    let arguments = [program, "--config", "nightwatch.conf.cjs", "nightwatch_page.cjs"];
    let mut client = framework("node", &arguments).await?;
    // It looks for its plugins beside the test.
    client.env("NODE_PATH", installed().await? + "/node_modules");
    over_webdriver(browser, client).await
}

#[tokio::test]
async fn nightwatch_on_chrome() -> Result<()> {
    nightwatch(CHROME).await
}

#[tokio::test]
async fn nightwatch_on_firefox() -> Result<()> {
    nightwatch(FIREFOX).await
}

#[tokio::test]
async fn playwright_with_a_selenium_grid() -> Result<()> {
    let as_a_grid = async |namespace: &Namespace, key: &Key, client: &mut Command| {
        let bearer = json!({"Authorization": format!("Bearer {}", key.text)});
        client
            .env("SELENIUM_REMOTE_URL", &namespace.cluster.settings.gateway_url)
            .env("SELENIUM_REMOTE_HEADERS", bearer.to_string());
        Ok(())
    };
    let client = node("../e2e/clients/frameworks/playwright_selenium.mjs").await?;
    opens_and_clicks(as_a_grid, client).await
}

#[tokio::test]
async fn chromedp_with_a_sessions_url() -> Result<()> {
    over_cdp(framework("go", &["run", "-C", "go", "./chromedp"]).await?).await
}

#[tokio::test]
async fn chromedp_that_takes_the_url_as_it_is() -> Result<()> {
    let mut client = framework("go", &["run", "-C", "go", "./chromedp"]).await?;
    client.env("NO_MODIFY_URL", "1");
    over_cdp(client).await
}

#[tokio::test]
async fn go_rod() -> Result<()> {
    over_cdp(framework("go", &["run", "-C", "go", "./rod"]).await?).await
}

#[tokio::test]
async fn agent_browser() -> Result<()> {
    over_cdp(framework("./agent_browser.sh", &["INSTALLED"]).await?).await
}

/// A server of agents' tools, whose client is a script of ours.
async fn mcp(server: &str) -> Result<()> {
    let mut client = node("../e2e/clients/frameworks/mcp.mjs").await?;
    client.arg(server);
    over_cdp(client).await
}

#[tokio::test]
async fn playwright_mcp() -> Result<()> {
    mcp("playwright").await
}

#[tokio::test]
async fn chrome_devtools_mcp() -> Result<()> {
    mcp("chrome-devtools").await
}
