//! The page in which chromedriver runs its translator of WebDriver BiDi: it is no client's, and no client is shown it.

use std::time::Duration;

use net::BoxError;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::kind::Endpoint;

/// What chromedriver calls it. The page has this title, and so has the tab that it stands in.
const TITLE: &str = "BiDi-CDP Mapper";
/// How long the browser may take to list its targets.
const LIMIT: Duration = Duration::from_secs(5);

/// The ids of the translator's targets, of a browser that no client has had yet: one may make a page that looks like it.
///
/// # Errors
/// The browser does not list its targets.
pub async fn targets(browser: &Endpoint) -> Result<Vec<String>, BoxError> {
    // An empty filter: tabs too, which are not listed otherwise and which some clients attach to.
    let asking = browser.ask("Target.getTargets", json!({"filter": [{}]}));
    Ok(with_title(&timeout(LIMIT, asking).await??))
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
