//! Labels, annotations and fixed names: what other tools may select on.

/// Set on everything that the operator makes; its value is [`MANAGED_BY`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "browser-operator";
/// On a browser pod and its Service: the uid of the session that it was made for.
pub const SESSION_UID_LABEL: &str = "browser-operator.io/session-uid";
/// On a browser pod: the name of its class.
pub const CLASS_LABEL: &str = "browser-operator.io/class";
/// On a browser pod: the region it was placed in.
pub const REGION_LABEL: &str = "browser-operator.io/region";

/// On a browser pod: the names of the providers that give its session features, with commas between them.
pub const PROVIDERS_ANNOTATION: &str = "browser-operator.io/providers";
/// In the environment of a browser whose session asks for features: `spec.features`, as JSON.
pub const FEATURES_VARIABLE: &str = "BROWSER_OPERATOR_FEATURES";

/// On a BrowserClass: `"true"` makes it the one that is tried first.
pub const DEFAULT_CLASS_ANNOTATION: &str = "browser-operator.io/is-default-class";
/// On a BrowserSession, set once: ends the session for the reason that it names.
pub const END_ANNOTATION: &str = "browser-operator.io/end";
/// On a BrowserSession: which protocol asked for it, see [`Protocol`].
pub const PROTOCOL_ANNOTATION: &str = "browser-operator.io/protocol";
/// On a BrowserSession that the gateway wrote: who asked.
pub const CALLER_ANNOTATION: &str = "browser-operator.io/caller";

/// On a BrowserSession that a hosted browser API's client made: which fields of its own it set, as JSON.
pub const FRONT_ANNOTATION: &str = "browser-operator.io/front";

/// On a BrowserSession that is shared: which share it is and how often it was looked at, as JSON. Without it there is none.
pub const SHARE_ANNOTATION: &str = "browser-operator.io/share";

/// On a Secret of the operator's namespace: `"true"` makes it an API key.
pub const API_KEY_LABEL: &str = "browser-operator.io/api-key";
/// What the name of such a Secret begins with; the key's id follows.
pub const API_KEY_PREFIX: &str = "api-key-";

/// The headless Service of a namespace, which gives each browser pod a stable DNS name.
pub const BROWSERS_SERVICE: &str = "browsers";

/// Which protocol a session belongs to; the value of [`PROTOCOL_ANNOTATION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Made by a manifest or by New Session: reachable over HTTP, and over BiDi if it was asked for.
    Classic,
    /// Made by `session.new` on a bare socket: reachable over WebSocket only, and ends with its last socket.
    Bidi,
}

impl Protocol {
    /// The annotation's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Bidi => "bidi",
        }
    }

    /// Reads the annotation's value; whatever is not `bidi` is Classic.
    #[must_use]
    pub fn from_annotation(value: Option<&str>) -> Self {
        if value == Some("bidi") { Self::Bidi } else { Self::Classic }
    }
}
