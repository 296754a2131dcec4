//! Answers that are held in memory until their client has read them. Each is counted for the namespace that it is of, so that no tenant
//! fills this replica by asking for many and reading none.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, StatusCode, header};
use net::places::{Place, Places, Yielding};
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::{Reply, reply::Response};

/// How long a request may wait until others are answered.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that a connection takes at a time.
const PIECE: usize = 64 << 10;

pub struct LargeAnswers(Arc<Places<String>>);

/// The right to hold an answer.
pub type Turn = Place<String>;

/// Status 503: another try may do better.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this replica holds too many large answers that their clients have not read yet")]
pub struct Busy;

impl LargeAnswers {
    /// So many at a time.
    pub fn new(limit: usize) -> Self {
        Self(Places::new(limit))
    }

    /// Waits for a turn. The oldest answer of a namespace that has more of them may be cut off for it.
    ///
    /// # Errors
    /// None comes in time.
    pub async fn turn(&self, namespace: &str) -> Result<Turn, Busy> {
        let waiting = self.0.wait(namespace.to_owned(), Yielding::IdleOfRicher);
        timeout(TURN_TIMEOUT, waiting).await.map_err(|_| Busy)
    }
}

/// An answer whose turn is over once it is written. Where another needs the turn before, its memory is given back at once, however
/// slowly its client reads; `tasks` owns the task that does so.
pub fn held(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    turn: Turn,
    tasks: &TaskTracker,
) -> Response {
    let length = body.len();
    let (rest, written) = (Arc::new(Mutex::new(Some(body))), CancellationToken::new());
    tasks.spawn({
        let (rest, written, close) = (rest.clone(), written.clone(), turn.close.clone());
        async move {
            tokio::select! {
                () = close.cancelled() => *rest.lock() = None,
                () = written.cancelled() => {}
            }
        }
    });
    let held = (written.drop_guard(), turn);
    let pieces = std::iter::from_fn(move || {
        let _until_the_end = &held;
        let mut rest = rest.lock();
        match rest.as_mut() {
            Some(rest) if rest.is_empty() => None,
            Some(rest) => Some(Ok(rest.split_to(rest.len().min(PIECE)))),
            None => Some(Err(io::Error::other("others need the memory of this answer"))),
        }
    });
    let mut response = warp::reply::stream(stream::iter(pieces)).into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test(start_paused = true)]
    async fn answers_that_nobody_reads_keep_no_other_namespace_out() {
        let (answers, tasks) = (LargeAnswers::new(4), TaskTracker::new());
        let body = Bytes::from(vec![b'a'; 1 << 20]);
        let mut unread = Vec::new();
        for _ in 0..4 {
            let turn = answers.turn("a").await.unwrap();
            unread.push(held(StatusCode::OK, "text/plain", body.clone(), turn, &tasks));
        }
        assert!(answers.turn("a").await.is_err());
        let turn = answers.turn("b").await.unwrap();
        tokio::task::yield_now().await;
        // The oldest is given up with all of its memory, the newest is whole.
        assert!(unread.remove(0).into_body().collect().await.is_err());
        let last = unread.pop().unwrap();
        assert_eq!(last.headers()[header::CONTENT_LENGTH], "1048576");
        assert_eq!(last.into_body().collect().await.unwrap().to_bytes(), body);
        drop((turn, unread, body));
        assert!(answers.turn("a").await.is_ok());
        tasks.close();
        tasks.wait().await;
    }
}
