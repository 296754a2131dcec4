//! A rule: its section, its words and its check.

use std::fmt::{self, Display};

use anyhow::Result;
use futures::future::LocalBoxFuture;

use crate::{browser::Browser, fixture::Fixture};

type Check = Box<dyn for<'a> Fn(&'a Fixture) -> LocalBoxFuture<'a, Result<()>>>;

/// A rule of the standard, or one that was decided where the standard leaves a choice.
pub struct Rule {
    section: &'static str,
    text: &'static str,
    pub check: Check,
    /// The browser for which it has no meaning, and why.
    pub not_applicable: Option<(Browser, &'static str)>,
}

/// A rule that holds on every browser.
pub fn rule<C>(section: &'static str, text: &'static str, check: C) -> Rule
where
    C: AsyncFn(&Fixture) -> Result<()> + Copy + 'static,
{
    Rule {
        section,
        text,
        check: Box::new(move |fixture| Box::pin(async move { check(fixture).await })),
        not_applicable: None,
    }
}

impl Rule {
    /// The same rule, which has no meaning for `browser`.
    pub fn not_for(self, browser: Browser, why: &'static str) -> Self {
        Self { not_applicable: Some((browser, why)), ..self }
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.section, self.text)
    }
}
