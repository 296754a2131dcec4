//! What a rule is, and how it is told apart from the others.

use std::fmt::{self, Display};

use anyhow::{Result, bail};
use futures::{StreamExt, future::LocalBoxFuture, stream};
use serde_json::Value;

use crate::ground::Ground;

/// A browser that the rules are run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Chromium.
    Chrome,
    /// Firefox.
    Firefox,
}

impl Browser {
    /// Every browser, in the order of the table's columns.
    pub const ALL: [Self; 2] = [Self::Chrome, Self::Firefox];

    /// Its browserName.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Firefox => "firefox",
        }
    }
}

impl Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chrome => "Chrome",
            Self::Firefox => "Firefox",
        })
    }
}

/// What finds out whether a rule holds.
type Check = Box<dyn for<'a> Fn(&'a Ground) -> LocalBoxFuture<'a, Result<()>>>;

/// A rule of the standard, or one that was decided where the standard leaves a choice.
pub struct Rule {
    /// The section that has it.
    section: &'static str,
    /// The rule, in words.
    text: &'static str,
    /// Finds out.
    pub check: Check,
    /// The browser for which it has no meaning, and why.
    pub meaningless: Option<(Browser, &'static str)>,
}

/// A rule that holds on every browser.
pub fn rule<C>(section: &'static str, text: &'static str, check: C) -> Rule
where
    C: AsyncFn(&Ground) -> Result<()> + Copy + 'static,
{
    Rule {
        section,
        text,
        check: Box::new(move |ground| Box::pin(async move { check(ground).await })),
        meaningless: None,
    }
}

impl Rule {
    /// The same rule, which has no meaning for `browser`.
    pub fn not_for(self, browser: Browser, why: &'static str) -> Self {
        Self { meaningless: Some((browser, why)), ..self }
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.section, self.text)
    }
}

/// How many rows of a rule are told: the first ones say what is wrong with the others.
const ROWS_TOLD: usize = 12;

/// The outcomes of a rule that is a table: every row is looked at, and those that fail are named.
#[derive(Default)]
pub struct Rows(Vec<String>);

impl Rows {
    /// Keeps one row's outcome.
    pub fn row(&mut self, name: impl Display, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.0.push(format!("{name}: {error:#}"));
        }
    }

    /// The outcome of all of them.
    pub fn done(self) -> Result<()> {
        let more = match self.0.len().saturating_sub(ROWS_TOLD) {
            0 => String::new(),
            more => format!("\n... and {more} more"),
        };
        let told: Vec<String> = self.0.into_iter().take(ROWS_TOLD).collect();
        if told.is_empty() { Ok(()) } else { bail!("{}{more}", told.join("\n")) }
    }
}

/// How many rows are looked at together: an id that nobody has is answered only after a moment.
const ROWS_AT_A_TIME: usize = 16;

/// Looks at every row of a table, many at a time, and names those that fail.
pub async fn all<T>(
    rows: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> String,
    check: impl AsyncFn(&T) -> Result<()>,
) -> Result<()> {
    let check = &check;
    let outcomes = stream::iter(rows)
        .map(|row| async move {
            let outcome = check(&row).await;
            (row, outcome)
        })
        .buffered(ROWS_AT_A_TIME);
    let outcomes: Vec<(T, Result<()>)> = outcomes.collect().await;
    let mut rows = Rows::default();
    for (row, outcome) in outcomes {
        rows.row(name(&row), outcome);
    }
    rows.done()
}

/// What a value must be.
pub type Is = fn(&Value) -> bool;

/// The elements of a list that is written as JSON.
pub fn each(list: Value) -> Vec<Value> {
    match list {
        Value::Array(list) => list,
        one => vec![one],
    }
}
