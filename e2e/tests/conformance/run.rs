//! Tries the rules on a browser.

use std::time::Duration;

use e2e::with_namespace;
use futures::{StreamExt, stream};
use tokio::time::timeout;

use crate::{browser::Browser, fixture::Fixture, rule::Rule};

/// How many rules of a browser are tried at a time: most of them wait for a browser, of which the machine holds few.
const CONCURRENT_RULES: usize = 3;
const RULE_TIMEOUT: Duration = Duration::from_secs(90);

/// What came of the rules on one browser.
pub struct Column {
    pub browser: Browser,
    /// One for each rule, in their order.
    pub outcomes: Vec<Outcome>,
    /// Failures beside the rules, such as sessions that did not go away.
    pub other_failure: Option<String>,
}

#[derive(Clone)]
pub enum Outcome {
    Holds,
    /// It does not, and what was seen instead.
    Failed(String),
    /// It says nothing about this browser, and why.
    NotApplicable(&'static str),
}

/// Tries the rules on a browser, in a namespace of its own.
pub async fn run(browser: Browser, rules: &[Rule]) -> Column {
    if rules.is_empty() {
        return Column { browser, outcomes: Vec::new(), other_failure: None };
    }
    let mut outcomes = Vec::new();
    let whole = with_namespace(async |namespace| {
        let fixture = Fixture::new(browser, namespace).await?;
        let tried = stream::iter(rules.iter().enumerate())
            .map(async |(at, rule)| (at, outcome(&fixture, rule).await))
            .buffer_unordered(CONCURRENT_RULES);
        let mut tried: Vec<(usize, Outcome)> = tried.collect().await;
        tried.sort_by_key(|(at, _)| *at);
        outcomes = tried.into_iter().map(|(_, outcome)| outcome).collect();
        Ok(())
    });
    let other_failure = whole.await.err().map(|error| format!("{error:#}"));
    outcomes.resize(rules.len(), Outcome::Failed("not tried".to_owned()));
    Column { browser, outcomes, other_failure }
}

async fn outcome(fixture: &Fixture, rule: &Rule) -> Outcome {
    if let Some((browser, why)) = rule.not_applicable
        && browser == fixture.browser
    {
        return Outcome::NotApplicable(why);
    }
    match timeout(RULE_TIMEOUT, (rule.check)(fixture)).await {
        Ok(Ok(())) => Outcome::Holds,
        Ok(Err(error)) => Outcome::Failed(format!("{error:#}")),
        Err(_) => Outcome::Failed(format!("no outcome within {RULE_TIMEOUT:?}")),
    }
}
