//! The browser's DevTools, carried as they are. What goes by counts as use of the session, and a socket as a socket.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use runtime::http::{
    BoxError,
    forward::empty,
    tunnel::{self, End, Farewell},
};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::{driver::Endpoint, ending::Ending, session::Session};

/// How long the browser may take to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a client to which nothing goes gets a ping.
const PING: Duration = Duration::from_secs(30);

/// Asks the browser for a socket with a client's key. Gives the browser's own answer to the key, and its end.
///
/// # Errors
/// It does not answer in time, or not with a socket.
pub async fn connect(
    browser: &Endpoint,
    key: &HeaderValue,
    tasks: &TaskTracker,
) -> Result<(HeaderValue, OnUpgrade), BoxError> {
    timeout(CONNECT, ask(browser, key, tasks)).await?
}

async fn ask(
    browser: &Endpoint,
    key: &HeaderValue,
    tasks: &TaskTracker,
) -> Result<(HeaderValue, OnUpgrade), BoxError> {
    let stream = browser.connect().await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tasks.spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "DevTools");
        }
    });
    let mut request = Request::get(browser.path.as_str()).body(empty())?;
    // Chrome wants a Host of this machine, and no Origin.
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(&browser.authority())?);
    request.headers_mut().extend(tunnel::handshake(key.clone()));
    let response: Response<_> = sender.send_request(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("DevTools answered with status {}", response.status()).into());
    }
    let accept = response.headers().get(header::SEC_WEBSOCKET_ACCEPT).cloned();
    let accept = accept.ok_or("DevTools answered without Sec-WebSocket-Accept")?;
    Ok((accept, hyper::upgrade::on(response)))
}

/// Carries a socket until both ends are done or the session ends.
pub async fn carry(client: OnUpgrade, browser: OnUpgrade, session: Arc<Session>, ending: Ending) {
    let ends = tokio::try_join!(End::of(client), End::of(browser));
    let (client, browser) = match ends {
        Ok(ends) => ends,
        Err(error) => {
            tracing::debug!(error, "no socket came of it");
            return;
        }
    };
    session.life.socket_opened();
    let farewell = async {
        let last_word = ending.wait().await;
        let code = ending.close_code();
        Farewell { code, reason: last_word.reason }
    };
    let used = || session.life.touch();
    let ended = tunnel::join(client, browser, Some(PING), used, farewell).await;
    session.life.socket_gone(ended.closed);
}
