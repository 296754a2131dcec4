//! The pace of a request's body: one that does not come must not hold its connection's place, and what has been opened for it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{Body, BoxError, body::Error};

/// How long the next byte of a body may take.
const MAX_STALL: Duration = Duration::from_secs(10);
/// How long its sender may be waited for in all, from the first byte to the last.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// The same body, which fails where its sender keeps its reader waiting. A reader that takes its time costs it nothing.
#[must_use]
pub fn paced(body: Body) -> Body {
    Paced { body, left: MAX_WAIT, waiting: None }.boxed_unsync()
}

struct Paced {
    body: Body,
    left: Duration,
    /// Since when it is waited for, and until when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            if let Some((since, _)) = this.waiting.take() {
                this.left = this.left.saturating_sub(since.elapsed());
            }
            return Poll::Ready(frame);
        }
        let left = this.left;
        let (_, until) = this.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + MAX_STALL.min(left))))
        });
        ready!(until.as_mut().poll(cx));
        let late =
            if left < MAX_STALL { Error::TooSlow(MAX_WAIT) } else { Error::Stalled(MAX_STALL) };
        Poll::Ready(Some(Err(Box::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use tokio::time::sleep;

    use super::*;
    use crate::body::{collect, full, streamed};

    /// A body of so many bytes, each of which takes so long.
    fn slow(bytes: usize, each: Duration) -> Body {
        streamed(stream::iter(0..bytes).then(move |_| async move {
            sleep(each).await;
            Ok::<_, BoxError>(Bytes::from_static(b"x"))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_given_up_and_a_slow_one_is_not() {
        let second = Duration::from_secs(1);
        let read = |body| collect(paced(body), 1 << 10);
        assert_eq!(read(full("there")).await.unwrap(), "there");
        assert_eq!(read(slow(100, second)).await.unwrap().len(), 100);
        assert_eq!(read(slow(30, 9 * second)).await.unwrap().len(), 30);
        assert!(matches!(read(slow(1, 11 * second)).await, Err(Error::Stalled(_))));
        assert!(matches!(read(slow(40, 9 * second)).await, Err(Error::TooSlow(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_its_time_costs_the_sender_nothing() {
        let mut body = paced(slow(50, Duration::ZERO));
        for _ in 0..50 {
            sleep(Duration::from_secs(20)).await;
            body.frame().await.unwrap().unwrap();
        }
        assert!(body.frame().await.is_none());
    }
}
