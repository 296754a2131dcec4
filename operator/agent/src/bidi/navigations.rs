//! Navigations whose page did not arrive: an error for the client, though the browser shows a page, which says why.

use std::{collections::HashMap, sync::Arc};

use agent_api::bind::Driver;
use serde::Deserialize;
use webdriver::{
    bidi::failure,
    error::{ErrorCode, WebDriverError},
};

use crate::{
    egress::{LostPages, Mark},
    session::navigation::words,
};

/// The commands that navigate and answer with the page's URL.
const METHODS: [&str; 2] = ["browsingContext.navigate", "browsingContext.reload"];

/// The answer to a navigation, as far as it matters.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Page<'a>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    url: std::borrow::Cow<'a, str>,
}

/// Those that the browser has not answered yet, by its id of the command.
pub struct Navigations {
    driver: Driver,
    lost_pages: Arc<LostPages>,
    pending: HashMap<u64, Mark>,
}

impl Navigations {
    pub fn new(driver: Driver, lost_pages: Arc<LostPages>) -> Self {
        Self { driver, lost_pages, pending: HashMap::new() }
    }

    pub fn is_one(method: &str) -> bool {
        METHODS.contains(&method)
    }

    pub fn start(&mut self, browser_id: u64) {
        self.pending.insert(browser_id, self.lost_pages.mark());
    }

    /// Nobody waits for its answer any more.
    pub fn abandon(&mut self, browser_id: u64) {
        self.pending.remove(&browser_id);
    }

    /// The client's answer, where the browser's is not the truth. `id` is the client's of the command.
    pub fn answered(&mut self, browser_id: u64, id: u64, text: &str) -> Option<String> {
        let mark = self.pending.remove(&browser_id)?;
        if !self.lost_pages.any_since(mark) {
            return None;
        }
        let answer: Answer<'_> = serde_json::from_str(text).ok()?;
        let (kind, why) = self.lost_pages.since(mark, &answer.result.url)?;
        let words = words(self.driver, kind, &why);
        Some(failure(Some(id), &WebDriverError::new(ErrorCode::UnknownError, words)))
    }
}
