//! alwaysMatch with each entry of firstMatch (WebDriver, "merging capabilities"; A.4).

use anyhow::Result;
use serde_json::json;

use crate::{
    ground::{Ground, NO_BROWSER},
    rule::{Rows, Rule, each, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule(
            "A.4",
            "a name in alwaysMatch and in firstMatch is refused, even with equal values",
            shared,
        ),
        rule("A.4", "every entry is merged, even if an earlier one would match", later),
        rule("A.4", "every entry is merged, even if none can match", hopeless),
        rule("A.4", "entries of firstMatch may have names in common", apart),
    ]
}

async fn shared(ground: &Ground) -> Result<()> {
    let mut rows = Rows::default();
    for pair in each(json!([
        [{"browserName": ground.browser.name()}, {"browserName": ground.browser.name()}],
        [{"acceptInsecureCerts": true}, {"acceptInsecureCerts": true}],
        [{"acceptInsecureCerts": true}, {"acceptInsecureCerts": false}],
        [{"pageLoadStrategy": "eager"}, {"pageLoadStrategy": "eager"}],
        [{"timeouts": {"script": 1}}, {"timeouts": {"pageLoad": 1}}],
        [{"unhandledPromptBehavior": {}}, {"unhandledPromptBehavior": {}}],
        [{"webSocketUrl": true}, {"webSocketUrl": true}],
        [{"vendor:name": 1}, {"vendor:name": 2}],
        [{"vendor:name": {}}, {"vendor:name": {}}],
    ])) {
        let capabilities =
            json!({"alwaysMatch": ground.of_browser(&pair[0]), "firstMatch": [pair[1]]});
        rows.row(&pair, ground.invalid(capabilities).await);
    }
    rows.done()
}

async fn later(ground: &Ground) -> Result<()> {
    let always = ground.of_browser(&json!({"acceptInsecureCerts": false}));
    let first = json!([{}, {"pageLoadStrategy": "eager"}, {"acceptInsecureCerts": false}]);
    ground.invalid(json!({"alwaysMatch": always, "firstMatch": first})).await
}

async fn hopeless(ground: &Ground) -> Result<()> {
    let always = json!({"browserName": NO_BROWSER, "acceptInsecureCerts": false});
    let first = json!([{}, {"acceptInsecureCerts": true}]);
    ground.invalid(json!({"alwaysMatch": always, "firstMatch": first})).await
}

async fn apart(ground: &Ground) -> Result<()> {
    let first = json!([
        {"browserName": NO_BROWSER, "vendor:name": 1}, {"browserName": NO_BROWSER, "vendor:name": 1},
        {"browserName": "none either"},
    ]);
    ground.unmatched(json!({"firstMatch": first})).await
}
