//! Rules that are tables: every row is tried, and those that fail are named.

use std::fmt::Display;

use anyhow::{Result, bail};
use futures::{StreamExt, stream};
use serde_json::Value;

/// Failed rows that are printed: the first ones explain the others.
const MAX_FAILED_ROWS: usize = 12;

/// The outcomes of a rule that is a table: every row is looked at, and those that fail are named.
#[derive(Default)]
pub struct Rows(Vec<String>);

impl Rows {
    pub fn row(&mut self, name: impl Display, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.0.push(format!("{name}: {error:#}"));
        }
    }

    pub fn done(self) -> Result<()> {
        let more = match self.0.len().saturating_sub(MAX_FAILED_ROWS) {
            0 => String::new(),
            more => format!("\n... and {more} more"),
        };
        let told: Vec<String> = self.0.into_iter().take(MAX_FAILED_ROWS).collect();
        if told.is_empty() { Ok(()) } else { bail!("{}{more}", told.join("\n")) }
    }
}

/// Rows at a time: an unknown id is answered only after a moment.
const CONCURRENT_ROWS: usize = 16;

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
        .buffered(CONCURRENT_ROWS);
    let outcomes: Vec<(T, Result<()>)> = outcomes.collect().await;
    let mut rows = Rows::default();
    for (row, outcome) in outcomes {
        rows.row(name(&row), outcome);
    }
    rows.done()
}

/// A condition on a value.
pub type Is = fn(&Value) -> bool;

/// The elements of a list that is written as JSON.
pub fn each(list: Value) -> Vec<Value> {
    match list {
        Value::Array(list) => list,
        one => vec![one],
    }
}
