//! HTTP bodies: making them, and reading them up to a limit.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{Stream, TryStreamExt};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use tokio::time::timeout;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of bytes that are there already.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// How long a body says that it is, in bytes; `None` where it does not.
#[must_use]
pub fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body that is read while it is sent.
pub fn streamed<B: Buf, E: Into<BoxError> + 'static>(
    stream: impl Stream<Item = Result<B, E>> + Send + 'static,
) -> Body {
    let frames = stream
        .map_ok(|mut chunk| Frame::data(chunk.copy_to_bytes(chunk.remaining())))
        .map_err(Into::into);
    StreamBody::new(frames).boxed_unsync()
}

/// Whether a request with these headers has a body (RFC 9112, section 6).
#[must_use]
pub fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the body has more than {0} bytes")]
    TooLong(usize),
    #[error("the body broke off: {0}")]
    Broken(String),
    #[error("the body did not come within {} seconds", .0.as_secs())]
    TooSlow(Duration),
    #[error("no byte of the body came for {} seconds", .0.as_secs())]
    Stalled(Duration),
}

impl Error {
    /// Whether its sender took too long: status 408.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(self, Self::TooSlow(_) | Self::Stalled(_))
    }

    /// Where sending a request failed because of its own body: what was wrong with that.
    #[must_use]
    pub fn within(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let (mut source, mut is_of_body) = (Some(error), false);
        while let Some(error) = source {
            if let Some(Self::TooSlow(time)) = error.downcast_ref() {
                return Some(Self::TooSlow(*time));
            }
            if let Some(Self::Stalled(time)) = error.downcast_ref() {
                return Some(Self::Stalled(*time));
            }
            is_of_body |= error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_user);
            source = error.source();
        }
        is_of_body.then(|| Self::Broken("its chunks are malformed, or it was cut off".to_owned()))
    }
}

impl From<BoxError> for Error {
    fn from(error: BoxError) -> Self {
        match error.downcast() {
            Ok(ours) => *ours,
            Err(error) => Self::Broken(error.to_string()),
        }
    }
}

/// How much of a body that is too long is read and discarded: most senders read no answer before they have sent all.
const MAX_DISCARDED: usize = 64 << 20;

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// It is longer, or breaks off.
pub async fn collect<B>(mut body: B, limit: usize) -> Result<Bytes, Error>
where
    B: hyper::body::Body + Unpin,
    B::Error: Into<BoxError>,
{
    let (mut bytes, mut discarded) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::from(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if discarded == 0 && bytes.len() + data.remaining() <= limit {
            bytes.put(data);
            continue;
        }
        bytes = BytesMut::new();
        discarded += data.remaining();
        if discarded > MAX_DISCARDED {
            break;
        }
    }
    if discarded > 0 { Err(Error::TooLong(limit)) } else { Ok(bytes.freeze()) }
}

/// The same, where the whole body must come `within` so long.
///
/// # Errors
/// It is longer, breaks off, or is late.
pub async fn collect_within<B>(body: B, limit: usize, within: Duration) -> Result<Bytes, Error>
where
    B: hyper::body::Body + Unpin,
    B::Error: Into<BoxError>,
{
    timeout(within, collect(body, limit)).await.unwrap_or(Err(Error::TooSlow(within)))
}

/// How long the body of a refused request may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads and discards the body of a refused request: a connection with an unread body cannot be used again, and closing it
/// makes some clients miss the answer.
pub async fn drain<B>(body: B)
where
    B: hyper::body::Body + Unpin,
    B::Error: Into<BoxError>,
{
    if let Err(error) = collect_within(body, 0, DRAIN_TIMEOUT).await {
        tracing::debug!(%error, "unwanted body");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        assert_eq!(collect(full("four"), 4).await.unwrap(), "four");
        assert!(matches!(collect(full("fives"), 4).await, Err(Error::TooLong(4))));
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = streamed(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let within = Duration::from_millis(1);
        assert!(matches!(collect_within(never, 4, within).await, Err(Error::TooSlow(_))));
    }

    #[test]
    fn a_request_has_a_body_when_its_headers_say_so() {
        let headers = |name, value| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        assert!(has_body(&headers("content-length", "2")));
        assert!(has_body(&headers("transfer-encoding", "chunked")));
        assert!(!has_body(&headers("content-length", "0")));
        assert!(!has_body(&HeaderMap::new()));
    }
}
