//! The pages that did not arrive. For the browser the page that says so is one like any other; for a client that navigates it
//! is an error, as it is in a browser without a proxy.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, header};
use parking_lot::Mutex;

use super::{error_kind::ErrorKind, failure::Failure};

/// How many are remembered: those of one navigation and its frames.
const MAX_REMEMBERED: usize = 16;

/// A moment: what was lost before it is of no interest.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

#[derive(Debug)]
struct Lost {
    number: u64,
    url: String,
    words: String,
    kind: ErrorKind,
}

/// See the module.
#[derive(Debug, Default)]
pub struct LostPages {
    count: AtomicU64,
    lost: Mutex<VecDeque<Lost>>,
}

impl LostPages {
    /// The moment before a navigation.
    pub fn mark(&self) -> Mark {
        Mark(self.count.load(Ordering::Acquire))
    }

    /// Whether anything was lost since then; if not, nobody needs to ask which page there is.
    pub fn any_since(&self, mark: Mark) -> bool {
        self.mark().0 != mark.0
    }

    /// Why the page at that URL is not the server's.
    pub fn since(&self, mark: Mark, url: &str) -> Option<(ErrorKind, String)> {
        let url = without_fragment(url);
        let lost = self.lost.lock();
        let of_it = lost.iter().rev().take_while(|lost| lost.number >= mark.0);
        of_it.into_iter().find(|lost| lost.url == url).map(|lost| (lost.kind, lost.words.clone()))
    }

    /// Remembers a failure, if the browser asked for a page.
    pub fn remember(&self, url: &str, headers: &HeaderMap, failure: &Failure) {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        if !accept.is_some_and(|accept| accept.starts_with("text/html")) {
            return;
        }
        let mut lost = self.lost.lock();
        if lost.len() == MAX_REMEMBERED {
            lost.pop_front();
        }
        let number = self.count.load(Ordering::Acquire);
        let (url, words) = (without_fragment(url).to_owned(), failure.to_string());
        lost.push_back(Lost { number, url, words, kind: failure.error_kind() });
        self.count.store(number + 1, Ordering::Release);
    }

    #[cfg(test)]
    pub fn remember_for_tests(&self, url: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, http::HeaderValue::from_static("text/html"));
        self.remember(url, &headers, &super::failure::Cause::Blocked.into());
    }
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::failure::Cause;

    #[test]
    fn a_page_is_lost_and_an_image_is_not_and_what_was_before_is_forgotten() {
        let pages = LostPages::default();
        let failure = Failure::from(Cause::Blocked);
        let accept = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, value.parse().unwrap());
            headers
        };
        let before = pages.mark();
        pages.remember("http://a.example/i.png", &accept("image/*,*/*;q=0.8"), &failure);
        pages.remember("http://a.example/", &HeaderMap::new(), &failure);
        assert!(!pages.any_since(before));
        for _ in 0..2 * MAX_REMEMBERED {
            pages.remember("http://a.example/", &accept("text/html,*/*;q=0.8"), &failure);
        }
        let (kind, words) = pages.since(before, "http://a.example/#top").unwrap();
        assert!(kind.chrome.starts_with("net::ERR_") && words.contains("blocked"), "{words}");
        assert_eq!(pages.since(before, "http://a.example/other"), None);
        assert_eq!(pages.lost.lock().len(), MAX_REMEMBERED);
        let now = pages.mark();
        assert!(!pages.any_since(now));
        assert_eq!(pages.since(now, "http://a.example/"), None);
    }
}
