//! Which message goes to whom: an answer to the client that sent the command, an event to all clients.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use webdriver::{
    bidi::{BrowserMessage, failure},
    error::{ErrorCode, WebDriverError},
};

use super::{
    navigations::Navigations,
    pending_commands::{ClientId, PendingCommands},
};
use crate::{
    driver::error_text,
    session::{activity::Activity, closing_windows::CloseCommand},
    websocket::Outbox,
};

/// The sender of the agent's own commands.
const AGENT: ClientId = ClientId::MAX;

/// The longest answer that is looked through, in bytes: errors are short.
const MAX_ERROR: usize = 64 << 10;

/// An error without the driver's stack; any other answer as it is.
fn clean_error(answer: String) -> String {
    if answer.len() > MAX_ERROR || !answer.contains("\"error\"") {
        return answer;
    }
    match serde_json::from_str::<Value>(&answer) {
        Ok(mut error) if error["type"] == "error" => {
            if error_text::clean(&mut error, "", "") {
                error.to_string()
            } else {
                answer
            }
        }
        _ => answer,
    }
}

/// What the agent must know of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    None,
    /// It may end the browser.
    ClosesWindow,
    Navigates,
}

/// What a client's socket tells the multiplexer.
pub enum ClientEvent {
    /// A socket was opened; its messages go to the outbox.
    Connected(ClientId, Outbox),
    /// A command for the browser, which gets another id there.
    Command {
        client: ClientId,
        /// The client's own id of the command.
        id: u64,
        message: Utf8Bytes,
        effect: Effect,
        /// Released when the browser has taken the command.
        room: Option<OwnedSemaphorePermit>,
    },
    /// A socket is closed.
    Disconnected(ClientId),
}

pub struct Router {
    clients: HashMap<ClientId, Outbox>,
    pending: PendingCommands,
    activity: Arc<Activity>,
    navigations: Navigations,
}

impl Router {
    pub fn new(activity: Arc<Activity>, navigations: Navigations) -> Self {
        let pending = PendingCommands::default();
        Self { clients: HashMap::new(), pending, activity, navigations }
    }

    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    pub fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Handles a client's message. Returns the command to send to the browser.
    pub fn on_client_event(
        &mut self,
        message: ClientEvent,
    ) -> Option<(String, Option<OwnedSemaphorePermit>)> {
        match message {
            ClientEvent::Connected(client, outbox) => {
                self.clients.insert(client, outbox);
                None
            }
            ClientEvent::Disconnected(client) => {
                self.clients.remove(&client);
                let mut closing = self.activity.closing_windows();
                for id in self.pending.remove_client(client) {
                    closing.abandon(CloseCommand::Bidi(id), Instant::now());
                    self.navigations.abandon(id);
                }
                None
            }
            ClientEvent::Command { client, id, message, effect, room } => {
                let Some(browser_id) = self.pending.insert(client, id) else {
                    let text = "too many commands wait for the browser's answers";
                    let error = WebDriverError::new(ErrorCode::UnknownError, text);
                    self.push(client, failure(Some(id), &error).into());
                    return None;
                };
                if effect == Effect::ClosesWindow {
                    let command = CloseCommand::Bidi(browser_id);
                    self.activity.closing_windows().start(command, Instant::now());
                }
                if effect == Effect::Navigates {
                    self.navigations.start(browser_id);
                }
                BrowserMessage::parse(&message).map(|message| (message.with_id(browser_id), room))
            }
        }
    }

    /// Handles the browser's message. Returns the agent's own command to send to the browser.
    pub fn on_browser_message(&mut self, text: Utf8Bytes) -> Option<String> {
        let Some(message) = BrowserMessage::parse(&text) else {
            tracing::warn!("the browser sent a message that is no JSON object");
            return None;
        };
        let Some(browser_id) = message.id() else {
            self.clients.retain(|_, outbox| outbox.push(text.clone()));
            return None;
        };
        if let Some((client, id)) = self.pending.remove(browser_id) {
            let answer = match self.navigations.answered(browser_id, id, &text) {
                Some(error) => error,
                None => clean_error(message.with_id(id)),
            };
            self.push(client, answer.into());
        }
        let must_query =
            self.activity.closing_windows().bidi_answered(browser_id, &text, Instant::now());
        must_query.then(|| self.tree_query()).flatten()
    }

    /// The command that asks which windows are left.
    fn tree_query(&mut self) -> Option<String> {
        let id = self.pending.insert(AGENT, 0)?;
        self.activity.closing_windows().tree_queried(id);
        let command =
            json!({"method": "browsingContext.getTree", "params": {"maxDepth": 0}, "id": id});
        Some(command.to_string())
    }

    /// Queues a message for one client. A client that does not read in time is cut off.
    fn push(&mut self, client: ClientId, message: Utf8Bytes) {
        if self.clients.get(&client).is_some_and(|outbox| !outbox.push(message)) {
            self.clients.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bidi::pending_commands::MAX_PENDING_COMMANDS, egress::LostPages, websocket::outbox,
    };
    use agent_api::bind::Driver;

    fn router() -> Router {
        let navigations = Navigations::new(Driver::Chromedriver, Arc::default());
        Router::new(Arc::new(Activity::new(Instant::now())), navigations)
    }

    fn command(client: ClientId, id: u64, closes_window: bool) -> ClientEvent {
        let effect = if closes_window { Effect::ClosesWindow } else { Effect::None };
        let message = format!(r#"{{"id":{id},"method":"a.b","params":{{}}}}"#).into();
        ClientEvent::Command { client, id, message, effect, room: None }
    }

    #[tokio::test]
    async fn answers_go_to_the_asker_and_events_to_all() {
        let mut router = router();
        let (one, mut to_one) = outbox();
        let (other, mut to_other) = outbox();
        router.on_client_event(ClientEvent::Connected(1, one));
        router.on_client_event(ClientEvent::Connected(2, other));
        let sent = router.on_client_event(command(2, 9, false)).map(|(message, _)| message);
        assert_eq!(sent.as_deref(), Some(r#"{"id":1,"method":"a.b","params":{}}"#));

        router.on_browser_message(r#"{"type":"event","method":"log"}"#.into());
        router.on_browser_message(r#"{"type":"success","id":1,"result":{}}"#.into());
        drop(router);

        for (heard, expected) in [
            (to_one.next().await, Some(r#"{"type":"event","method":"log"}"#)),
            (to_one.next().await, None),
            (to_other.next().await, Some(r#"{"type":"event","method":"log"}"#)),
            (to_other.next().await, Some(r#"{"id":9,"type":"success","result":{}}"#)),
            (to_other.next().await, None),
        ] {
            assert_eq!(heard.as_deref(), expected);
        }
    }

    #[tokio::test]
    async fn a_navigation_whose_page_did_not_arrive_is_an_error() {
        let lost_pages = Arc::new(LostPages::default());
        let navigations = Navigations::new(Driver::Chromedriver, lost_pages.clone());
        let mut router = Router::new(Arc::new(Activity::new(Instant::now())), navigations);
        let (one, mut to_one) = outbox();
        router.on_client_event(ClientEvent::Connected(1, one));
        let navigate = |id: u64| ClientEvent::Command {
            client: 1,
            id,
            message: format!(r#"{{"id":{id},"method":"browsingContext.navigate","params":{{}}}}"#)
                .into(),
            effect: Effect::Navigates,
            room: None,
        };
        let answer = |id: u64| {
            format!(
                r#"{{"type":"success","id":{id},"result":{{"navigation":null,"url":"http://a.example/#b"}}}}"#
            )
        };
        router.on_client_event(navigate(7));
        router.on_browser_message(answer(1).into());
        router.on_client_event(navigate(8));
        lost_pages.remember_for_tests("http://a.example/");
        router.on_browser_message(answer(2).into());
        // That page is gone by then.
        router.on_client_event(navigate(9));
        router.on_browser_message(answer(3).into());
        for expected in
            [r#""type":"success""#, "net::ERR_BLOCKED_BY_ADMINISTRATOR", r#""type":"success""#]
        {
            let told = to_one.next().await.unwrap();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn an_error_shows_no_address_of_the_driver() {
        let error = r##"{"type":"error","id":1,"error":"unknown error","message":"m","stacktrace":"#0 0x55 <unknown>"}"##;
        assert!(!clean_error(error.to_owned()).contains("0x55"));
        let result = r##"{"type":"success","id":1,"result":{"error":"#0 0x55 <unknown>"}}"##;
        assert_eq!(clean_error(result.to_owned()), result);
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_cut_off() {
        let mut router = router();
        let (slow, mut unread) = outbox();
        router.on_client_event(ClientEvent::Connected(1, slow));
        let event = format!(r#"{{"type":"event","text":"{}"}}"#, "x".repeat(40 << 20));
        for _ in 0..2 {
            router.on_browser_message(event.clone().into());
        }
        assert!(router.clients.is_empty());
        assert!(unread.next().await.is_some() && unread.next().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_asks_without_end_is_told_so() {
        let mut router = router();
        let (one, mut to_one) = outbox();
        router.on_client_event(ClientEvent::Connected(1, one));
        for id in 0..MAX_PENDING_COMMANDS as u64 {
            assert!(router.on_client_event(command(1, id, false)).is_some());
        }
        assert!(router.on_client_event(command(1, 7, false)).is_none());
        let told = to_one.next().await.unwrap();
        assert!(told.contains(r#""id":7"#) && told.contains("too many"), "{told}");
    }

    #[tokio::test]
    async fn a_window_that_is_closed_by_one_that_left_is_asked_about_all_the_same() {
        let mut router = router();
        router.on_client_event(ClientEvent::Connected(1, outbox().0));
        router.on_client_event(command(1, 8, false));
        router.on_client_event(ClientEvent::Disconnected(1));
        assert!(!router.activity.closing_windows().explains_exit(Instant::now()));
        router.on_client_event(ClientEvent::Connected(2, outbox().0));
        router.on_client_event(command(2, 9, true));
        router.on_client_event(ClientEvent::Disconnected(2));
        assert!(router.activity.closing_windows().explains_exit(Instant::now()));
        let question = router.on_browser_message(r#"{"type":"success","id":2,"result":{}}"#.into());
        assert!(question.is_some_and(|question| question.contains("getTree")));
        let rest = r#"{"type":"success","id":3,"result":{"contexts":[{"context":"a"}]}}"#;
        assert_eq!(router.on_browser_message(rest.into()), None);
        assert!(!router.activity.closing_windows().explains_exit(Instant::now()));
    }

    #[tokio::test]
    async fn what_is_left_after_a_window_is_asked_for_and_told_to_nobody() {
        let mut router = router();
        let (one, mut to_one) = outbox();
        router.on_client_event(ClientEvent::Connected(1, one));
        router.on_client_event(command(1, 9, true));
        let question =
            router.on_browser_message(r#"{"type":"success","id":1,"result":{}}"#.into()).unwrap();
        assert!(question.contains(r#""id":2"#) && question.contains("getTree"), "{question}");
        let rest = r#"{"type":"success","id":2,"result":{"contexts":[{"context":"a"}]}}"#;
        assert_eq!(router.on_browser_message(rest.into()), None);
        assert!(!router.activity.closing_windows().explains_exit(Instant::now()));
        drop(router);
        assert!(to_one.next().await.unwrap().contains(r#""id":9"#));
        assert_eq!(to_one.next().await, None);
    }
}
