//! Tries the rules on a browser.

use std::time::Duration;

use e2e::with_namespace;
use futures::{StreamExt, stream};
use tokio::time::timeout;

use crate::{browser::Browser, fixture::Fixture, rule::Rule};

/// How many rules of a browser are tried at a time: most of them wait for a browser, of which the machine holds few.
const AT_A_TIME: usize = 3;
const LIMIT: Duration = Duration::from_secs(90);

/// What came of the rules on one browser.
pub struct Column {
    pub browser: Browser,
    /// One for each rule, in their order.
    pub outcomes: Vec<Outcome>,
    /// Failures beside the rules, such as sessions that did not go away.
    pub ruin: Option<String>,
}

#[derive(Clone)]
pub enum Outcome {
    Holds,
    /// It does not, and what was seen instead.
    Failed(String),
    /// It says nothing about this browser, and why.
    Meaningless(&'static str),
}

/// Tries the rules on a browser, in a namespace of its own.
pub async fn run(browser: Browser, rules: &[Rule]) -> Column {
    if rules.is_empty() {
        return Column { browser, outcomes: Vec::new(), ruin: None };
    }
    let mut outcomes = Vec::new();
    let whole = with_namespace(async |namespace| {
        let fixture = Fixture::new(browser, namespace).await?;
        let tried = stream::iter(rules.iter().enumerate())
            .map(async |(at, rule)| (at, outcome(&fixture, rule).await))
            .buffer_unordered(AT_A_TIME);
        let mut tried: Vec<(usize, Outcome)> = tried.collect().await;
        tried.sort_by_key(|(at, _)| *at);
        outcomes = tried.into_iter().map(|(_, outcome)| outcome).collect();
        Ok(())
    });
    let ruin = whole.await.err().map(|error| format!("{error:#}"));
    outcomes.resize(rules.len(), Outcome::Failed("not tried".to_owned()));
    Column { browser, outcomes, ruin }
}

async fn outcome(fixture: &Fixture, rule: &Rule) -> Outcome {
    if let Some((browser, why)) = rule.meaningless
        && browser == fixture.browser
    {
        return Outcome::Meaningless(why);
    }
    match timeout(LIMIT, (rule.check)(fixture)).await {
        Ok(Ok(())) => Outcome::Holds,
        Ok(Err(error)) => Outcome::Failed(format!("{error:#}")),
        Err(_) => Outcome::Failed(format!("no outcome within {LIMIT:?}")),
    }
}
