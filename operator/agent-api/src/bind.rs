//! The messages between the controller, the gateway and a pod's agent.
//!
//! A connection to an agent begins with [`PROVE_PATH`], by which the agent proves itself, and only then
//! [`AUTHENTICATE_PATH`], by which the caller does: whoever has got hold of a pod's address is never shown its token. After
//! both, the controller posts a [`BindRequest`], and the gateway sends WebDriver commands.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of these messages. An agent refuses any other.
pub const VERSION: u32 = 1;
/// The port that an agent listens on.
pub const AGENT_PORT: u16 = 4444;
/// `GET` with [`CHALLENGE_HEADER`]: the first request of a connection. Answers 204 with [`PROOF_HEADER`].
pub const PROVE_PATH: &str = "/agent/prove";
/// `GET` with the token as Bearer: the second request of a connection. Answers 204, or 401.
pub const AUTHENTICATE_PATH: &str = "/agent/authenticate";
/// `POST` a [`BindRequest`]. Answers 200 with a [`BindReply`], or a status with a [`BindRefusal`].
pub const BIND_PATH: &str = "/agent/bind";
/// `POST` an [`EndRequest`]. Answers 202, and the agent exits.
pub const END_PATH: &str = "/agent/end";
/// `GET`: a picture of the page that is in front, as JPEG. 404 where there is none to be had.
pub const SCREEN_PATH: &str = "/agent/screen";
/// `GET`, without a token: 200 while the agent runs.
pub const HEALTH_PATH: &str = "/healthz";
/// The header with the caller's challenge.
pub const CHALLENGE_HEADER: &str = "browser-operator-challenge";
/// The header with the agent's proof.
pub const PROOF_HEADER: &str = "browser-operator-proof";
/// The largest [`NewSession`], in bytes of JSON, that a pod is told to prepare; a larger one waits for the bind.
pub const MAX_PREPARED_BYTES: usize = 16 * 1024;

/// The drivers that an agent knows.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// ChromeDriver.
    #[default]
    Chromedriver,
    /// geckodriver.
    Geckodriver,
}

/// What an agent is told at its start: which driver it fronts, and what to prepare. No secret.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prepare {
    /// The driver that it fronts.
    pub driver: Driver,
    /// Whether the browser's own sandbox is to be used.
    pub browser_sandbox: bool,
    /// The driver session to make at once. Absent: none is made before the bind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<NewSession>,
}

/// What a driver's New Session is asked for.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSession {
    /// The capabilities that were matched, as one set.
    pub capabilities: Map<String, Value>,
    /// The other members of the request's body.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// What the browser says that it runs on, where that is another system than its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<OperatingSystem>,
}

/// The systems that a browser can be made to name, beside the one that it runs on.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatingSystem {
    /// Windows on a desktop.
    Windows,
    /// macOS.
    Mac,
    /// Android on a phone.
    Mobile,
    /// Android on a tablet.
    Tablet,
}

/// Gives a pod to a session.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BindRequest {
    /// [`VERSION`].
    pub version: u32,
    /// The object's uid: the holder of this pod from now on.
    pub session_uid: String,
    /// WebDriver's id of the session.
    pub session_id: String,
    /// The driver session that it wants.
    pub session: NewSession,
    /// What the session lives by.
    pub settings: Settings,
}

/// What a session lives by. All of it can be set late, on a pod that is up.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The hard limit in seconds, from the bind.
    pub timeout_seconds: u32,
    /// The limit without a command or a frame, from the first use. 0: none.
    pub idle_timeout_seconds: u32,
    /// The limit without any use, from the bind. 0: none.
    pub connect_timeout_seconds: u32,
    /// Whether it outlives its sockets; absent: the protocol's rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<bool>,
    /// Whether it was made by `session.new`, and so is reachable by WebSocket only.
    pub bidi_only: bool,
    /// Whether it may be reached without the gateway, by whoever knows its id.
    pub exposed: bool,
    /// A page to open first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_url: Option<String>,
    /// The viewport's width and height in CSS pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewport: Option<(i32, i32)>,
}

/// The pod is the session's.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BindReply {
    /// The capabilities as the browser matched them; without `webSocketUrl`, which is the gateway's to say.
    pub capabilities: Map<String, Value>,
    /// Whether the session speaks BiDi.
    pub bidi: bool,
    /// What was asked for and did not work without failing the session, for Events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Why a bind failed.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum BindRefusal {
    /// Another session has this pod. Status 409.
    Held {
        /// The uid of that session.
        holder: String,
    },
    /// The agent speaks another version. Status 426.
    Incompatible {
        /// The agent's version.
        version: u32,
    },
    /// The driver made no session. Status 500.
    NotCreated {
        /// The driver's words.
        message: String,
    },
    /// The agent ends, for a reason that it knows. Status 410.
    Ended {
        /// The reason's word.
        reason: String,
        /// For a person.
        message: String,
    },
    /// The request cannot be read. Status 400.
    Malformed {
        /// Why.
        message: String,
    },
}

impl BindRefusal {
    /// The HTTP status that carries it.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::Held { .. } => http::StatusCode::CONFLICT,
            Self::Incompatible { .. } => http::StatusCode::UPGRADE_REQUIRED,
            Self::NotCreated { .. } => http::StatusCode::INTERNAL_SERVER_ERROR,
            Self::Ended { .. } => http::StatusCode::GONE,
            Self::Malformed { .. } => http::StatusCode::BAD_REQUEST,
        }
    }
}

/// Ends the session, for a reason that the caller knows.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct EndRequest {
    /// The reason's word.
    pub reason: String,
    /// For a person.
    #[serde(default)]
    pub message: String,
}

/// Why an agent ends its session by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client asked for it.
    ClientEnded,
    /// The hard limit.
    TimedOut,
    /// No command and no frame for too long.
    IdleTimeout,
    /// Nobody came.
    NeverConnected,
    /// The last socket of a session that lives by its sockets was closed.
    Disconnected,
    /// The browser exited.
    BrowserCrashed,
    /// The driver exited, or never started.
    DriverCrashed,
    /// A process of the container was killed, which went over its memory limit.
    OutOfMemory,
    /// The pod was told to stop.
    PodDeleted,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::ClientEnded,
        Self::TimedOut,
        Self::IdleTimeout,
        Self::NeverConnected,
        Self::Disconnected,
        Self::BrowserCrashed,
        Self::DriverCrashed,
        Self::OutOfMemory,
        Self::PodDeleted,
    ];

    /// Its word, the same as in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientEnded => "ClientEnded",
            Self::TimedOut => "TimedOut",
            Self::IdleTimeout => "IdleTimeout",
            Self::NeverConnected => "NeverConnected",
            Self::Disconnected => "Disconnected",
            Self::BrowserCrashed => "BrowserCrashed",
            Self::DriverCrashed => "DriverCrashed",
            Self::OutOfMemory => "OutOfMemory",
            Self::PodDeleted => "PodDeleted",
        }
    }
}

/// The code of a Close frame (RFC 6455, section 7.4.1) for a session that ended so: 1000 for an end that the client made, 1011
/// for what broke, 1001 for the rest.
#[must_use]
pub fn close_code(reason: &str) -> u16 {
    match reason {
        "ClientEnded" | "Disconnected" | "Released" => 1000,
        "BrowserCrashed" | "DriverCrashed" | "OutOfMemory" | "AgentLost" => 1011,
        _ => 1001,
    }
}

/// The last word of an agent, in its container's termination message.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Termination {
    /// The reason's word.
    pub reason: String,
    /// For a person.
    #[serde(default)]
    pub message: String,
}

/// What Kubernetes keeps of a termination message.
const MAX_TERMINATION_BYTES: usize = 4096;

impl Termination {
    /// The JSON text, short enough for a termination message.
    #[must_use]
    pub fn render(&self) -> String {
        let mut message = self.message.as_str();
        loop {
            let text = serde_json::json!({"reason": self.reason, "message": message}).to_string();
            if text.len() <= MAX_TERMINATION_BYTES || message.is_empty() {
                return text;
            }
            let excess = text.len() - MAX_TERMINATION_BYTES;
            // A byte of the message may be up to six of JSON.
            let mut end = message.len() - excess.div_ceil(6).min(message.len());
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message = &message[..end];
        }
    }

    /// Reads a termination message; `None` where it is not an agent's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_last_word_is_cut_to_what_kubernetes_keeps() {
        let termination =
            Termination { reason: "DriverCrashed".into(), message: "ä\"".repeat(4000) };
        let text = termination.render();
        assert!(text.len() <= MAX_TERMINATION_BYTES);
        let read = Termination::parse(&text).unwrap();
        assert_eq!(read.reason, "DriverCrashed");
        assert!(termination.message.starts_with(&read.message));
        assert!(read.message.len() > 1000);
    }

    #[test]
    fn what_is_no_agents_word_is_none() {
        assert_eq!(Termination::parse("panicked at main.rs"), None);
    }
}
