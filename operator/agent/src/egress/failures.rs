//! Failures by their cause: counted, told in the log, and made an answer.

use std::{collections::BTreeMap, time::Duration};

use http::Response;
use net::Body;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::failure::Failure;

/// How often the log has a line of one cause: a page can fail as often as it likes.
const LOG_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Count {
    all: u64,
    /// Those that the log does not have yet.
    untold: u64,
    told: Instant,
}

/// As many entries as there are causes.
#[derive(Debug, Default)]
pub struct Failures(Mutex<BTreeMap<&'static str, Count>>);

impl Failures {
    /// The answer to a request that failed.
    pub fn answer(&self, failure: &Failure) -> Response<Body> {
        if let Some(count) = self.count(failure.error_type(), Instant::now()) {
            // Without the request's path and query, which are the page's.
            tracing::info!(
                error_type = failure.error_type(),
                target = failure.target.as_ref().map(tracing::field::display),
                rule = failure.rule,
                upstream = failure.upstream,
                count,
                "requests did not reach their server"
            );
        }
        failure.to_response()
    }

    /// By RFC 9209's word for the cause.
    pub fn report(&self) -> BTreeMap<String, u64> {
        let counts = self.0.lock();
        counts.iter().map(|(cause, count)| ((*cause).to_owned(), count.all)).collect()
    }

    /// Counts one; gives how many the log is to tell of, if it is time to.
    fn count(&self, cause: &'static str, now: Instant) -> Option<u64> {
        let mut counts = self.0.lock();
        let is_new = !counts.contains_key(cause);
        let count = counts.entry(cause).or_insert(Count { all: 0, untold: 0, told: now });
        count.all += 1;
        count.untold += 1;
        if !is_new && now.duration_since(count.told) < LOG_PAUSE {
            return None;
        }
        count.told = now;
        Some(std::mem::take(&mut count.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_and_the_log_has_a_line_now_and_then() {
        let (failures, start) = (Failures::default(), Instant::now());
        let at = |seconds, cause| failures.count(cause, start + Duration::from_secs(seconds));
        assert_eq!(at(0, "dns_error"), Some(1));
        assert_eq!(at(1, "dns_error"), None);
        assert_eq!(at(1, "connection_refused"), Some(1));
        assert_eq!(at(9, "dns_error"), None);
        assert_eq!(at(10, "dns_error"), Some(3));
        assert_eq!(at(11, "dns_error"), None);
        let report = failures.report();
        assert_eq!((report["dns_error"], report["connection_refused"]), (5, 1));
    }
}
