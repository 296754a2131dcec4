//! A client's socket to the browser or to one of its pages: messages are carried as they are, but for those that the
//! session has to understand.

use std::{
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
use tokio::{
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use super::{
    command::{Command, Meaning, QUIT},
    hidden::Hidden,
};
use crate::{
    ending::Ending,
    session::Session,
    socket::{
        self, CLOSE, MAX_UNANSWERED, Outbox, PING, Queued, Sink, Socket, Source, close, hear_out,
        outbox, send, violation,
    },
};

/// How long a browser that hung up may take to say whether it is still there.
const STILL_THERE: Duration = Duration::from_secs(2);
/// What a client is told whose page is gone.
const HUNG_UP: &str = "the browser closed this socket";

/// A socket to the browser.
pub type Browser = WebSocketStream<TcpStream>;

/// How a socket ends.
enum End {
    /// With its session.
    Over,
    /// The client has the browser closed; the answer.
    Quit(String),
    /// The client said goodbye.
    Goodbye,
    /// The client is gone, or as good as that.
    Gone,
    /// It broke the protocol.
    Violation(CloseCode),
    /// It does not read what is there for it.
    Slow,
    /// The browser hung up.
    HungUp(String),
}

/// Serves one socket from its handshake to its end.
pub async fn serve(
    upgrade: OnUpgrade,
    browser: Browser,
    hidden: Hidden,
    session: Arc<Session>,
    ending: Ending,
) {
    let Some(client) = socket::accept(upgrade).await else { return };
    session.life.socket_opened();
    let closed = attend(client, browser, hidden, &session, &ending).await;
    session.life.socket_gone(closed);
}

/// Carries messages both ways. Gives whether the client said goodbye.
async fn attend(
    client: Socket,
    browser: Browser,
    hidden: Hidden,
    session: &Session,
    ending: &Ending,
) -> bool {
    let (mut to_client, mut from_client) = client.split();
    let (mut to_browser, mut from_browser) = browser.split();
    let (messages, mut queued) = outbox();
    let unanswered = AtomicU32::new(0);
    let end = tokio::select! {
        () = ending.begun().cancelled_owned() => End::Over,
        end = ask(&mut from_client, &mut to_browser, session, &unanswered) => end,
        end = hear(&mut from_browser, &messages, hidden, session) => end,
        end = tell(&mut queued, &mut to_client, &unanswered) => end,
    };
    let end = match end {
        End::HungUp(why) => hung_up(why, session, ending).await,
        other => other,
    };
    // The last words to the client, and how they end.
    let farewell = match end {
        End::Over => Some(over(queued.rest(), ending).await),
        End::Quit(answer) => {
            let mut rest = queued.rest();
            rest.push(Message::text(answer));
            ending.begin(Reason::ClientEnded, QUIT);
            Some(over(rest, ending).await)
        }
        End::HungUp(_) => Some((queued.rest(), CloseCode::Normal, HUNG_UP.to_owned())),
        End::Slow => Some((Vec::new(), CloseCode::Again, socket::NOT_READ.to_owned())),
        End::Violation(code) => Some((Vec::new(), code, String::new())),
        End::Gone => None,
        End::Goodbye => {
            // tungstenite has queued the answer to the Close frame; this sends it.
            if let Ok(Err(error)) = timeout(CLOSE, to_client.flush()).await {
                tracing::debug!(%error, "after Close");
            }
            part(to_browser, from_browser).await;
            return true;
        }
    };
    if let Some((rest, code, reason)) = farewell {
        close(&mut to_client, rest, code, &reason).await;
        hear_out(&mut from_client).await;
    }
    if ending.has_begun() {
        return true;
    }
    part(to_browser, from_browser).await;
    false
}

/// The last words of a session, behind what waits.
async fn over(rest: Vec<Message>, ending: &Ending) -> (Vec<Message>, CloseCode, String) {
    let last_word = ending.wait().await;
    (rest, ending.close_code().into(), last_word.reason.to_string())
}

/// From the client to the browser.
async fn ask(
    from_client: &mut Source,
    to_browser: &mut SplitSink<Browser, Message>,
    session: &Session,
    unanswered: &AtomicU32,
) -> End {
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            _ = ping.tick() => Message::Ping(Bytes::new()),
            message = from_client.next() => {
                unanswered.store(0, Ordering::Relaxed);
                match message {
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message,
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_))) => return End::Goodbye,
                    Some(Err(error)) => {
                        tracing::debug!(%error, "socket broke");
                        return violation(&error).map_or(End::Gone, End::Violation);
                    }
                    None => return End::Gone,
                }
            }
        };
        if !matches!(message, Message::Ping(_)) {
            session.life.touch();
        }
        if let Message::Text(text) = &message
            && let Some(command) = Command::read(text)
        {
            match command.meaning() {
                Meaning::Plain => {}
                Meaning::Quits => return End::Quit(command.answer()),
                Meaning::ClosesPage => session.life.closing().suspected(Instant::now()),
            }
        }
        ping.reset();
        if let Err(error) = to_browser.send(message).await {
            return End::HungUp(error.to_string());
        }
    }
}

/// From the browser to what waits for the client.
async fn hear(
    from_browser: &mut SplitStream<Browser>,
    messages: &Outbox,
    mut hidden: Hidden,
    session: &Session,
) -> End {
    loop {
        match from_browser.next().await {
            Some(Ok(Message::Text(text))) => {
                session.life.touch();
                if hidden.show(text).is_some_and(|text| !messages.put(text)) {
                    return End::Slow;
                }
            }
            Some(Ok(Message::Close(_))) | None => return End::HungUp(HUNG_UP.to_owned()),
            // tungstenite answers pings by itself.
            Some(Ok(_)) => {}
            Some(Err(error)) => return End::HungUp(error.to_string()),
        }
    }
}

/// From there to the client, which is pinged while there is nothing to say.
async fn tell(queued: &mut Queued, to_client: &mut Sink, unanswered: &AtomicU32) -> End {
    loop {
        let message = tokio::select! {
            message = queued.next() => match message {
                Some(message) => Message::Text(message),
                None => return End::Gone,
            },
            () = sleep_until(Instant::now() + PING) => {
                if unanswered.fetch_add(1, Ordering::Relaxed) >= MAX_UNANSWERED {
                    tracing::debug!("the client answers no ping");
                    return End::Gone;
                }
                Message::Ping(Bytes::new())
            }
        };
        if !send(to_client, message).await {
            return End::Gone;
        }
    }
}

/// What it means that the browser hung up: a page is gone, or a browser is, with its session.
async fn hung_up(why: String, session: &Session, ending: &Ending) -> End {
    let asking = super::version(session);
    if timeout(STILL_THERE, asking).await.is_ok_and(|version| version.is_err()) {
        // Where the session speaks BiDi, the hub has lost the browser too, and knows more.
        if session.hub.is_none() || timeout(STILL_THERE, ending.wait()).await.is_err() {
            ending.browser_gone(&session.life, &why).await;
        }
    }
    if ending.has_begun() { End::Over } else { End::HungUp(why) }
}

/// Says goodbye to a browser that may have the client's last commands still to read.
async fn part(mut to_browser: SplitSink<Browser, Message>, mut from_browser: SplitStream<Browser>) {
    let parting = async {
        to_browser.send(Message::Close(None)).await?;
        while let Some(message) = from_browser.next().await {
            message?;
        }
        Ok::<_, tokio_tungstenite::tungstenite::Error>(())
    };
    match timeout(CLOSE, parting).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "goodbye to the browser"),
        Err(_) => tracing::debug!("the browser does not answer a Close frame"),
    }
}
