//! The messages of a bind, by which the controller gives a pod to a session.

use crds::class::ClusterAccess;
use egress::{GuardSettings, RoutesSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::end::End;

/// The version of these messages that a controller sends. Members may be added under the same one: who does not know a
/// member leaves it alone.
pub const VERSION: u32 = 1;
/// The oldest version that an agent reads.
pub const OLDEST_VERSION: u32 = 1;
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
#[serde(rename_all = "camelCase")]
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
#[serde(rename_all = "camelCase")]
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
    /// Absent in the request of a controller of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
}

/// Where a session's requests go, and what they may not reach. All of it can be set late.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    #[serde(default)]
    pub routes: RoutesSpec,
    pub guard: GuardSettings,
}

/// The answer to an [`Egress`] that a bound agent has taken.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EgressReply {
    /// See [`BindReply`].
    #[serde(default)]
    pub guard_lists: bool,
}

impl Egress {
    /// What a controller means that says nothing: it has no setting for the cluster, and all of it was open.
    #[must_use]
    pub fn of_before() -> Self {
        let guard =
            GuardSettings { cluster_access: ClusterAccess::All, ..GuardSettings::default() };
        Self { routes: RoutesSpec::default(), guard }
    }
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
    /// Whether the browser's requests go where the request says. Absent in the answer of an older agent: they do not.
    #[serde(default)]
    pub egress: bool,
    /// Whether the guard knows lists of hosts and networks. Absent in the answer of an older agent: it does not.
    #[serde(default)]
    pub guard_lists: bool,
    /// What was asked for and did not work without failing the session, for Events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum BindRefusal {
    /// Another session has this pod. Status 409.
    Held { holder: String },
    /// The agent speaks other versions. Status 426.
    Incompatible {
        /// The newest.
        version: u32,
        /// The oldest; absent: the newest alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        oldest: Option<u32>,
    },
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

/// Whether an agent of this build reads a message of that version.
#[must_use]
pub fn is_readable(version: u32) -> bool {
    (OLDEST_VERSION..=VERSION).contains(&version)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the version before wrote them.
    const PREPARE: &str = r#"{"driver":"chromedriver","browserSandbox":true,
        "session":{"capabilities":{"browserName":"chrome"}}}"#;
    const BIND: &str = r#"{"version":1,"sessionUid":"u","sessionId":"i","session":{"capabilities":{}},
        "settings":{"timeoutSeconds":1,"idleTimeoutSeconds":0,"connectTimeoutSeconds":0,"bidiOnly":false,"exposed":false}}"#;
    const REPLY: &str = r#"{"capabilities":{"browserName":"chrome"},"bidi":true}"#;
    const REFUSAL: &str = r#"{"kind":"incompatible","version":9}"#;

    /// The same message from a version to come, with a member that nobody knows yet in every object of ours.
    fn of_a_version_to_come(text: &str) -> String {
        text.replacen('{', r#"{"toCome":{"a":[1]},"#, 1)
            .replace(r#""session":{"#, r#""session":{"toCome":1,"#)
            .replace(r#""settings":{"#, r#""settings":{"toCome":1,"#)
    }

    #[test]
    fn the_neighbouring_versions_are_understood() {
        for change in [str::to_owned, of_a_version_to_come] {
            serde_json::from_str::<Prepare>(&change(PREPARE)).unwrap();
            serde_json::from_str::<BindRequest>(&change(BIND)).unwrap();
            serde_json::from_str::<BindReply>(&change(REPLY)).unwrap();
            let refusal: BindRefusal = serde_json::from_str(&change(REFUSAL)).unwrap();
            assert_eq!(refusal, BindRefusal::Incompatible { version: 9, oldest: None });
        }
    }

    #[test]
    fn versions_outside_the_range_are_not_read() {
        for (version, readable) in
            [(0, false), (OLDEST_VERSION, true), (VERSION, true), (VERSION + 1, false)]
        {
            assert_eq!(is_readable(version), readable, "{version}");
        }
    }
}
