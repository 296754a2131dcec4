//! One request on its way through a service: what no service may see is refused before it, a panic is answered after it, and
//! its connection waits for the next one when the answer's body is gone.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::FutureExt;
use http::{Method, Request, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tower::Service;
use warp::{Reply, reply::Response};

use super::activity::{Activity, Phase};

/// Answers one request. A panic costs this request alone; the process's hook reports it.
pub async fn answer<S>(
    mut service: S,
    request: Request<Incoming>,
    activity: Arc<Activity>,
) -> http::Response<impl Body<Data = bytes::Bytes, Error: std::error::Error + Send + Sync>>
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible>,
{
    activity.set(Phase::Serving);
    let response = if asks_for_a_path(&request) {
        // The state that it shares with other requests is behind locks that a panic does not poison.
        let answering = async { service.call(request).await };
        match AssertUnwindSafe(answering).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    } else {
        let text = "the target of a request must be a path that begins with a slash";
        warp::reply::with_status(text, StatusCode::BAD_REQUEST).into_response()
    };
    // A connection that switches protocols stays with whoever serves the tunnel.
    let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let activity = (!is_tunnel).then_some(activity);
    response.map(|body| Answer { body, activity })
}

/// RFC 9112, section 3.2, has targets without a path too: `CONNECT`'s, on which warp panics, and the asterisk.
fn asks_for_a_path<B>(request: &Request<B>) -> bool {
    *request.method() != Method::CONNECT
        && request.uri().path_and_query().is_some_and(|target| target.as_str().starts_with('/'))
}

/// An answer's body.
struct Answer<B> {
    body: B,
    activity: Option<Arc<Activity>>,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Answer<B> {
    fn drop(&mut self) {
        if let Some(activity) = &self.activity {
            activity.set(Phase::Waiting);
        }
    }
}
