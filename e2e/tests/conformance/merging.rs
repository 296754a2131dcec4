//! alwaysMatch with each entry of firstMatch (WebDriver, "merging capabilities"; A.4).

use anyhow::Result;
use serde_json::json;

use crate::{
    fixture::{Fixture, NO_BROWSER},
    rows::{Rows, each},
    rule::{Rule, rule},
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

async fn shared(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for pair in each(json!([
        [{"browserName": fixture.browser.name()}, {"browserName": fixture.browser.name()}],
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
            json!({"alwaysMatch": fixture.of_browser(&pair[0]), "firstMatch": [pair[1]]});
        rows.row(&pair, fixture.invalid(capabilities).await);
    }
    rows.done()
}

async fn later(fixture: &Fixture) -> Result<()> {
    let always = fixture.of_browser(&json!({"acceptInsecureCerts": false}));
    let first = json!([{}, {"pageLoadStrategy": "eager"}, {"acceptInsecureCerts": false}]);
    fixture.invalid(json!({"alwaysMatch": always, "firstMatch": first})).await
}

async fn hopeless(fixture: &Fixture) -> Result<()> {
    let always = json!({"browserName": NO_BROWSER, "acceptInsecureCerts": false});
    let first = json!([{}, {"acceptInsecureCerts": true}]);
    fixture.invalid(json!({"alwaysMatch": always, "firstMatch": first})).await
}

async fn apart(fixture: &Fixture) -> Result<()> {
    let first = json!([
        {"browserName": NO_BROWSER, "vendor:name": 1}, {"browserName": NO_BROWSER, "vendor:name": 1},
        {"browserName": "none either"},
    ]);
    fixture.unmatched(json!({"firstMatch": first})).await
}
