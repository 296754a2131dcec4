//! The page in which chromedriver runs its translator of WebDriver BiDi: it is no client's, and no client is shown it.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use runtime::http::BoxError;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::{client_async_with_config, tungstenite::Message};

use super::kind::Endpoint;
use crate::socket;

/// What chromedriver calls it. The page has this title, and so has the tab that it stands in.
const TITLE: &str = "BiDi-CDP Mapper";
/// How long the browser may take to list its targets.
const LIMIT: Duration = Duration::from_secs(5);

/// The ids of the translator's targets, of a browser that no client has had yet: one may make a page that looks like it.
///
/// # Errors
/// The browser does not list its targets.
pub async fn targets(browser: &Endpoint) -> Result<Vec<String>, BoxError> {
    timeout(LIMIT, ask(browser)).await?
}

async fn ask(browser: &Endpoint) -> Result<Vec<String>, BoxError> {
    let stream = browser.connect().await?;
    let (mut browser, _) =
        client_async_with_config(browser.url(), stream, Some(socket::config())).await?;
    // An empty filter: tabs too, which are not listed otherwise and which some clients attach to.
    let question = json!({"id": 1, "method": "Target.getTargets", "params": {"filter": [{}]}});
    browser.send(Message::text(question.to_string())).await?;
    while let Some(message) = browser.next().await {
        if let Message::Text(text) = message? {
            let ids = with_title(&serde_json::from_str(&text)?);
            browser.close(None).await?;
            return Ok(ids);
        }
    }
    Err("the browser hung up".into())
}

fn with_title(answer: &Value) -> Vec<String> {
    let targets = answer["result"]["targetInfos"].as_array().into_iter().flatten();
    targets
        .filter(|target| target["title"] == TITLE && target["url"] == "about:blank")
        .filter(|target| matches!(target["type"].as_str(), Some("other" | "tab")))
        .filter_map(|target| target["targetId"].as_str().map(ToOwned::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_translator_is_a_page_and_a_tab() {
        // As Chromium 156 answers.
        let answer = json!({"id": 1, "result": {"targetInfos": [
            {"targetId": "FC38", "type": "other", "title": TITLE, "url": "about:blank"},
            {"targetId": "ADC2", "type": "tab", "title": TITLE, "url": "about:blank"},
            {"targetId": "46AA", "type": "page", "title": "about:blank", "url": "about:blank"},
            // What a page may make itself look like.
            {"targetId": "46AB", "type": "page", "title": TITLE, "url": "http://a/"},
            {"targetId": "46AC", "type": "tab", "title": TITLE, "url": "http://a/"},
        ]}});
        assert_eq!(with_title(&answer), ["FC38", "ADC2"]);
        assert!(with_title(&json!({"id": 1, "error": {}})).is_empty());
    }
}
