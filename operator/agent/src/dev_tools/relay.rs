//! A client's CDP socket to the browser or to one of its pages. Messages are carried as they are, except those that affect the
//! session.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use crds::Reason;
use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    command::{BROWSER_CLOSE, Command, CommandEffect},
    hidden_targets::HiddenTargets,
    http_endpoints, own_proxy,
};
use crate::{
    driver::BrowserSocket,
    end::{BrowserLoss, EndLatch, EndPolicy},
    session::Session,
    websocket::{
        self, CLOSE_TIMEOUT, ClientSink, ClientSocket, ClientStream, MAX_UNANSWERED_PINGS,
        NOT_READ, Outbox, OutboxReader, PING_INTERVAL, close, close_code_of, close_frame,
        end_frame, outbox, read_until_closed, send,
    },
};

/// How long a browser that closed a socket may take to answer whether it still runs.
const VERSION_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the BiDi multiplexer may take to see that the browser is gone.
const MULTIPLEXER_END_TIMEOUT: Duration = Duration::from_secs(2);

/// How a socket ends.
enum SocketEnd {
    SessionEnded,
    /// The client has the browser closed; the answer to it.
    BrowserClose(String),
    /// The client sent a Close frame.
    ClientClosed,
    /// The client is gone, or answers no ping.
    ClientGone,
    /// The client broke the protocol.
    Violation(CloseCode),
    /// The client does not read.
    NotRead,
    /// The browser closed the socket: its page is gone, or the browser is.
    BrowserGone(BrowserLoss),
}

/// Whoever asked for a socket.
pub struct Client {
    pub upgrade: OnUpgrade,
    /// Whether it can be sent Ping and Close frames.
    pub reads_control_frames: bool,
}

/// What a client gets before its socket is closed.
struct Closing {
    last: Vec<Message>,
    frame: Option<CloseFrame>,
}

impl Closing {
    /// The end of the session.
    async fn of_session(last: Vec<Message>, end: &EndLatch) -> Self {
        Self { last, frame: end_frame(end.wait().await.reason) }
    }
}

/// Serves one socket from its handshake to its end.
pub async fn serve(
    client: Client,
    browser: BrowserSocket,
    hidden: HiddenTargets,
    session: Arc<Session>,
    end_policy: EndPolicy,
) {
    let Client { upgrade, reads_control_frames } = client;
    let Some(socket) = websocket::accept(upgrade).await else { return };
    session.activity.socket_opened();
    let clean = relay(socket, reads_control_frames, browser, hidden, &session, &end_policy).await;
    session.activity.socket_closed(clean);
}

/// Carries messages both ways. Returns whether the socket ended with a Close frame.
async fn relay(
    client: ClientSocket,
    reads_control_frames: bool,
    browser: BrowserSocket,
    hidden: HiddenTargets,
    session: &Session,
    end_policy: &EndPolicy,
) -> bool {
    let end = end_policy.latch();
    let (mut to_client, mut from_client) = client.split();
    let (mut to_browser, mut from_browser) = browser.split();
    let (outbox, mut queue) = outbox();
    let unanswered_pings = AtomicU32::new(0);
    let socket_end = tokio::select! {
        () = end.token().cancelled_owned() => SocketEnd::SessionEnded,
        end = client_to_browser(&mut from_client, &mut to_browser, &outbox, session, &unanswered_pings) => end,
        end = browser_to_outbox(&mut from_browser, &outbox, hidden, session) => end,
        end = outbox_to_client(
            &mut queue,
            &mut to_client,
            reads_control_frames.then_some(&unanswered_pings),
        ) => end,
    };
    let socket_end = match socket_end {
        SocketEnd::BrowserGone(loss) => browser_gone(loss, session, end_policy).await,
        other => other,
    };
    let closing = match socket_end {
        SocketEnd::SessionEnded => Some(Closing::of_session(queue.drain(), end).await),
        SocketEnd::BrowserClose(answer) => {
            let mut last = queue.drain();
            last.push(Message::text(answer));
            end.set(Reason::ClientEnded, BROWSER_CLOSE);
            Some(Closing::of_session(last, end).await)
        }
        SocketEnd::BrowserGone(_) => {
            let reason = BrowserLoss::DevToolsClosed.to_string();
            let frame = close_frame(CloseCode::Normal, &reason);
            Some(Closing { last: queue.drain(), frame: Some(frame) })
        }
        SocketEnd::NotRead => {
            let frame = close_frame(CloseCode::Again, NOT_READ);
            Some(Closing { last: Vec::new(), frame: Some(frame) })
        }
        SocketEnd::Violation(code) => {
            Some(Closing { last: Vec::new(), frame: Some(close_frame(code, "")) })
        }
        SocketEnd::ClientGone => None,
        SocketEnd::ClientClosed => {
            // tungstenite has queued the answer to the Close frame; this sends it.
            if let Ok(Err(error)) = timeout(CLOSE_TIMEOUT, to_client.flush()).await {
                tracing::debug!(%error, "after Close");
            }
            close_browser_socket(to_browser, from_browser).await;
            return true;
        }
    };
    if let Some(Closing { last, frame }) = closing {
        close(&mut to_client, last, frame.filter(|_| reads_control_frames)).await;
        if reads_control_frames {
            read_until_closed(&mut from_client).await;
        }
    }
    if end.is_set() {
        return true;
    }
    close_browser_socket(to_browser, from_browser).await;
    false
}

async fn client_to_browser(
    from_client: &mut ClientStream,
    to_browser: &mut SplitSink<BrowserSocket, Message>,
    outbox: &Outbox,
    session: &Session,
    unanswered_pings: &AtomicU32,
) -> SocketEnd {
    let mut ping = interval(PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            _ = ping.tick() => Message::Ping(Bytes::new()),
            message = from_client.next() => {
                unanswered_pings.store(0, Ordering::Relaxed);
                match message {
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message,
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_))) => return SocketEnd::ClientClosed,
                    Some(Err(error)) => {
                        tracing::debug!(%error, "socket broke");
                        return close_code_of(&error)
                            .map_or(SocketEnd::ClientGone, SocketEnd::Violation);
                    }
                    None => return SocketEnd::ClientGone,
                }
            }
        };
        if !matches!(message, Message::Ping(_)) {
            session.activity.touch();
        }
        if let Message::Text(text) = &message
            && let Some(refusal) = own_proxy::refusal(text)
        {
            if !outbox.push(refusal.into()) {
                return SocketEnd::NotRead;
            }
            continue;
        }
        if let Message::Text(text) = &message
            && let Some(command) = Command::parse(text)
        {
            match command.effect() {
                CommandEffect::None => {}
                CommandEffect::ClosesBrowser => return SocketEnd::BrowserClose(command.answer()),
                CommandEffect::ClosesPage => {
                    session.activity.closing_windows().may_close_last(Instant::now());
                }
            }
        }
        ping.reset();
        if let Err(error) = to_browser.send(message).await {
            return SocketEnd::BrowserGone(error.into());
        }
    }
}

async fn browser_to_outbox(
    from_browser: &mut SplitStream<BrowserSocket>,
    outbox: &Outbox,
    mut hidden: HiddenTargets,
    session: &Session,
) -> SocketEnd {
    loop {
        match from_browser.next().await {
            Some(Ok(Message::Text(text))) => {
                session.activity.touch();
                if hidden.filter(text).is_some_and(|text| !outbox.push(text)) {
                    return SocketEnd::NotRead;
                }
            }
            Some(Ok(Message::Close(_))) | None => {
                return SocketEnd::BrowserGone(BrowserLoss::DevToolsClosed);
            }
            // tungstenite answers pings by itself.
            Some(Ok(_)) => {}
            Some(Err(error)) => return SocketEnd::BrowserGone(error.into()),
        }
    }
}

/// Sends what the outbox holds, and pings while it is empty, where the client can be pinged.
async fn outbox_to_client(
    queue: &mut OutboxReader,
    to_client: &mut ClientSink,
    unanswered_pings: Option<&AtomicU32>,
) -> SocketEnd {
    loop {
        let ping_due = async {
            match unanswered_pings {
                Some(unanswered) => {
                    sleep_until(Instant::now() + PING_INTERVAL).await;
                    unanswered
                }
                None => pending().await,
            }
        };
        let message = tokio::select! {
            message = queue.next() => match message {
                Some(message) => Message::Text(message),
                None => return SocketEnd::ClientGone,
            },
            unanswered = ping_due => {
                if unanswered.fetch_add(1, Ordering::Relaxed) >= MAX_UNANSWERED_PINGS {
                    tracing::debug!("the client answers no ping");
                    return SocketEnd::ClientGone;
                }
                Message::Ping(Bytes::new())
            }
        };
        if !send(to_client, message).await {
            return SocketEnd::ClientGone;
        }
    }
}

/// Finds out whether the browser is gone, and with it the session, or only a page.
async fn browser_gone(loss: BrowserLoss, session: &Session, end_policy: &EndPolicy) -> SocketEnd {
    let end = end_policy.latch();
    let version = timeout(VERSION_TIMEOUT, http_endpoints::version(session)).await;
    let is_gone = version.is_ok_and(|version| version.is_err());
    // Where the session speaks BiDi, the multiplexer has lost the browser too, and knows more.
    if is_gone
        && (session.bidi.is_none() || timeout(MULTIPLEXER_END_TIMEOUT, end.wait()).await.is_err())
    {
        end_policy.browser_disconnected(&session.activity, &loss).await;
    }
    if end.is_set() { SocketEnd::SessionEnded } else { SocketEnd::BrowserGone(loss) }
}

/// Closes the socket to a browser that may have the client's last commands still to read.
async fn close_browser_socket(
    mut to_browser: SplitSink<BrowserSocket, Message>,
    mut from_browser: SplitStream<BrowserSocket>,
) {
    let closing = async {
        to_browser.send(Message::Close(None)).await?;
        while let Some(message) = from_browser.next().await {
            message?;
        }
        Ok::<_, tungstenite::Error>(())
    };
    match timeout(CLOSE_TIMEOUT, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "goodbye to the browser"),
        Err(_) => tracing::debug!("the browser does not answer a Close frame"),
    }
}
