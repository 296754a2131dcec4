//! Plain requests of HTTP.

use std::{sync::Arc, time::Duration};

use egress::Target;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use net::{Body, forward::remove_hop_by_hop};

use super::{
    connector::{Connector, target},
    dial::Dialer,
    failure::{Cause, Failure},
    failures::Failures,
    lost_pages::LostPages,
};

/// How long an idle connection to a server is kept, and how many of one server.
const IDLE: Duration = Duration::from_secs(60);
const MAX_IDLE: usize = 8;
/// More headers than this no browser reads either.
const MAX_HEADERS: usize = 256;
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Carries requests over connections that it keeps. Its connections are those of one state of the routes.
#[derive(Clone, Debug)]
pub struct Forwarder {
    dialer: Arc<Dialer>,
    client: Client<Connector, Incoming>,
    failures: Arc<Failures>,
    lost_pages: Arc<LostPages>,
}

impl Forwarder {
    pub fn new(dialer: Arc<Dialer>, failures: Arc<Failures>, lost_pages: Arc<LostPages>) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_preserve_header_case(true)
            .http1_max_headers(MAX_HEADERS)
            .build(Connector(dialer.clone()));
        Self { dialer, client, failures, lost_pages }
    }

    /// The server's answer, streamed, or why there is none.
    pub async fn forward(&self, mut request: Request<Incoming>) -> Response<Body> {
        let target = match prepare(&mut request) {
            Ok(target) => target,
            Err(cause) => return self.failures.answer(&Failure::from(cause)),
        };
        // Under one state of the routes a target has one route: no other server is told.
        if let Some(authorization) = self.dialer.proxy_authorization(&target) {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
        }
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        match self.client.request(request).await {
            // It is not the browser that has a password to try.
            Ok(response) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                self.lost(&uri, &headers, &self.dialer.failure(target, Cause::Unauthorized))
            }
            Ok(response) => {
                let (mut parts, body) = response.into_parts();
                remove_hop_by_hop(&mut parts.headers);
                Response::from_parts(parts, body.map_err(Into::into).boxed_unsync())
            }
            Err(error) => match Failure::behind(&error) {
                Some(failure) => self.lost(&uri, &headers, failure),
                None => {
                    let cause = Cause::Exchange(error.to_string());
                    self.lost(&uri, &headers, &self.dialer.failure(target, cause))
                }
            },
        }
    }

    fn lost(&self, uri: &Uri, headers: &HeaderMap, failure: &Failure) -> Response<Body> {
        self.lost_pages.remember(&uri.to_string(), headers, failure);
        self.failures.answer(failure)
    }
}

/// Takes off what belongs to the browser's connection, and sets Host to whom the request is for, whatever it says (RFC 9112,
/// section 3.2.2).
fn prepare(request: &mut Request<Incoming>) -> Result<Target, Cause> {
    let (host, target) = (host(request.uri())?, target(request.uri())?);
    let headers = request.headers_mut();
    remove_hop_by_hop(headers);
    headers.remove(PROXY_CONNECTION);
    headers.insert(header::HOST, host);
    Ok(target)
}

fn host(uri: &Uri) -> Result<HeaderValue, Cause> {
    let authority = uri.authority().ok_or(Cause::NoTarget)?;
    // What stands before an @ is no part of it.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    HeaderValue::try_from(host).map_err(|_| Cause::NoTarget)
}
