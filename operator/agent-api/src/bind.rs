//! The messages of a bind, by which the controller gives a pod to a session.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::end::End;

/// The version of these messages. An agent refuses any other.
pub const VERSION: u32 = 1;
/// The largest [`NewSession`], in bytes of JSON, that a pod is told to prepare; a larger one waits for the bind.
pub const MAX_PREPARED_BYTES: usize = 16 * 1024;

/// The drivers that an agent knows.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    #[default]
    Chromedriver,
    Geckodriver,
}

/// What an agent is told at its start: which driver it fronts, and what to prepare. No secret.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prepare {
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
    Mac,
    /// Android on a phone.
    Mobile,
    /// Android on a tablet.
    Tablet,
}

/// Binds a pod to a session.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BindRequest {
    pub version: u32,
    /// The uid of the BrowserSession that holds this pod from now on.
    pub session_uid: String,
    pub session_id: String,
    /// The driver session that it asks for.
    pub session: NewSession,
    /// The session's limits and first page.
    pub settings: Settings,
}

/// A session's limits and first page. All of it can be set late, on a pod that is up.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_url: Option<String>,
    /// The viewport's width and height in CSS pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewport: Option<(i32, i32)>,
}

/// The pod is bound to the session.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BindReply {
    /// The capabilities as the browser matched them; without `webSocketUrl`, which is the gateway's to say.
    pub capabilities: Map<String, Value>,
    pub bidi: bool,
    /// Whether the browser has the Chrome DevTools Protocol. Absent in the answer of an older agent: not known, so no.
    #[serde(default)]
    pub dev_tools: bool,
    /// What was asked for and did not work without failing the session, for Events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum BindRefusal {
    /// Another session has this pod. Status 409.
    Held { holder: String },
    /// The agent speaks another version. Status 426.
    Incompatible { version: u32 },
    /// The driver made no session. Status 500.
    NotCreated {
        /// The driver's message.
        message: String,
    },
    /// The agent ends, for a reason that it knows. Status 410.
    Ended(End),
    /// The request cannot be read. Status 400.
    Malformed { message: String },
}

impl BindRefusal {
    /// The HTTP status that carries it.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::Held { .. } => http::StatusCode::CONFLICT,
            Self::Incompatible { .. } => http::StatusCode::UPGRADE_REQUIRED,
            Self::NotCreated { .. } => http::StatusCode::INTERNAL_SERVER_ERROR,
            Self::Ended(_) => http::StatusCode::GONE,
            Self::Malformed { .. } => http::StatusCode::BAD_REQUEST,
        }
    }
}
