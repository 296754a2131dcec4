//! The page in which chromedriver runs its BiDi-CDP Mapper. It belongs to no client, and is hidden from all.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    cdp::{self, CdpError},
    endpoint::Endpoint,
};

/// The title of the page, and of the tab that it stands in.
const TITLE: &str = "BiDi-CDP Mapper";
/// How long the browser may take to list its targets.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// The ids of the mapper's targets. To be asked before a client has the browser: a client may make a page that looks alike.
pub async fn target_ids(browser: &Endpoint) -> Result<Vec<String>, CdpError> {
    // An empty filter lists tabs too, which some clients attach to.
    let call = cdp::call(browser, "Target.getTargets", json!({"filter": [{}]}));
    Ok(mapper_ids(&timeout(LIST_TIMEOUT, call).await??))
}

fn mapper_ids(answer: &Value) -> Vec<String> {
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
        assert_eq!(mapper_ids(&answer), ["FC38", "ADC2"]);
        assert!(mapper_ids(&json!({"id": 1, "error": {}})).is_empty());
    }
}
