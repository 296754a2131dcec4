//! Reading a whole body, up to a limit.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::time::timeout;

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Any body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is longer than allowed.
    #[error("the body has more than {0} bytes")]
    TooLong(usize),
    /// It broke off.
    #[error("the body broke off: {0}")]
    Broken(String),
    /// It takes too long.
    #[error("the body did not come within {} seconds", .0.as_secs())]
    TooSlow(Duration),
}

/// How much more of a body that is too long is read and thrown away, so that its sender, which most often reads nothing before
/// it has sent all, hears why it is refused.
const MAX_THROWN_AWAY: usize = 64 << 20;

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// It is longer, or breaks off.
pub async fn collect<B>(mut body: B, limit: usize) -> Result<Bytes, Error>
where
    B: hyper::body::Body + Unpin,
    B::Error: std::fmt::Display,
{
    let (mut bytes, mut thrown_away) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if thrown_away == 0 && bytes.len() + data.remaining() <= limit {
            bytes.put(data);
            continue;
        }
        bytes = BytesMut::new();
        thrown_away += data.remaining();
        if thrown_away > MAX_THROWN_AWAY {
            break;
        }
    }
    if thrown_away > 0 { Err(Error::TooLong(limit)) } else { Ok(bytes.freeze()) }
}

/// The same for a body whose sender may take its time, which must be here `within` so long.
///
/// # Errors
/// It is longer, breaks off, or is late.
pub async fn collect_within<B>(body: B, limit: usize, within: Duration) -> Result<Bytes, Error>
where
    B: hyper::body::Body + Unpin,
    B::Error: std::fmt::Display,
{
    timeout(within, collect(body, limit)).await.unwrap_or(Err(Error::TooSlow(within)))
}

/// How long a body that nobody wants may take.
const UNWANTED_TIME: Duration = Duration::from_secs(2);

/// Throws away what a refused request still sends, within reason: a connection with an unread body cannot be used again, and
/// closing it makes some clients miss the answer.
pub async fn drain<B>(body: B)
where
    B: hyper::body::Body + Unpin,
    B::Error: std::fmt::Display,
{
    if let Err(error) = collect_within(body, 0, UNWANTED_TIME).await {
        tracing::debug!(%error, "unwanted body");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{full, streamed};

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
}
