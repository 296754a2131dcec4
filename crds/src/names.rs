//! Labels, annotations and fixed names, which other tools may rely on.

/// What the names of our labels and annotations begin with.
pub const PREFIX: &str = "browser-operator.io/";
/// On every object that the operator creates; its value is [`MANAGED_BY`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// What a Secret is for that a session names. It is read with this label alone.
pub const USE_LABEL: &str = "browser-operator.io/use";
/// The value of [`USE_LABEL`] for the credentials of a proxy.
pub const USE_PROXY: &str = "proxy";
/// The value of [`USE_LABEL`] for the credentials that a call brought for the proxies of its session, in the operator's namespace.
pub const USE_SESSION_PROXY: &str = "session-proxy";
/// The prefix of such a Secret's name, before the session's uid.
pub const SESSION_PROXY_PREFIX: &str = "session-proxy-";
/// The key of its data: the credentials, as JSON.
pub const SESSION_PROXY_KEY: &str = "credentials";
/// On such a Secret: its session, as NAMESPACE/NAME.
pub const SESSION_ANNOTATION: &str = "browser-operator.io/session";
/// The value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "browser-operator";
/// On a browser pod and its Service: the uid of its session.
pub const SESSION_UID_LABEL: &str = "browser-operator.io/session-uid";
/// On a browser pod: the name of its class.
pub const CLASS_LABEL: &str = "browser-operator.io/class";
/// On a browser pod of a controller that has not the default name: a hash of its name.
pub const CONTROLLER_LABEL: &str = "browser-operator.io/controller";
/// On a browser pod: what its class's `clusterAccess` was when it was made. A NetworkPolicy selects by it.
pub const CLUSTER_ACCESS_LABEL: &str = "browser-operator.io/cluster-access";
/// On a browser pod whose session has `spec.expose`: `"true"`. A NetworkPolicy selects by it.
pub const EXPOSED_LABEL: &str = "browser-operator.io/exposed";
/// On a browser pod: the region it was placed in.
pub const REGION_LABEL: &str = "browser-operator.io/region";

/// On a browser pod: the revision of the class that it was made of, see `status.versions[].revision` of the class.
pub const CLASS_REVISION_ANNOTATION: &str = "browser-operator.io/class-revision";
/// On a browser pod: the names of its session's providers, separated by commas.
pub const PROVIDERS_ANNOTATION: &str = "browser-operator.io/providers";
/// The environment variable with `spec.features` as JSON; unset for a session without features.
pub const FEATURES_VARIABLE: &str = "BROWSER_OPERATOR_FEATURES";

/// The controller that a class has by default.
pub const CONTROLLER_NAME: &str = "browser-operator.io/controller";
/// On a BrowserClass: `"true"` makes it the default class.
pub const DEFAULT_CLASS_ANNOTATION: &str = "browser-operator.io/is-default-class";
/// On a BrowserSession: ends the session for the reason that it names. Whoever may patch the session may set it.
pub const END_ANNOTATION: &str = "browser-operator.io/end";
/// On a BrowserSession: which protocol created it, see [`Protocol`]. Only the gateway may write it.
pub const PROTOCOL_ANNOTATION: &str = "browser-operator.io/protocol";
/// On a BrowserSession that the gateway created: the name of its client. Only the gateway may write it.
pub const CALLER_ANNOTATION: &str = "browser-operator.io/caller";

/// On a BrowserSession that a hosted API created: the fields of that API, as JSON. Only the gateway may write it.
pub const FRONT_ANNOTATION: &str = "browser-operator.io/front";

/// On a BrowserSession that is shared: the share's nonce and its views, as JSON. Only the gateway may write it.
pub const SHARE_ANNOTATION: &str = "browser-operator.io/share";

/// On a Secret in the operator's namespace: `"true"` makes it an API key.
pub const API_KEY_LABEL: &str = "browser-operator.io/api-key";
/// The prefix of such a Secret's name, before the key's id.
pub const API_KEY_PREFIX: &str = "api-key-";

/// The headless Service of each namespace, which gives browser pods stable DNS names.
pub const BROWSERS_SERVICE: &str = "browser-operator-browsers";
/// The same until version 0.1: pods of that version keep their names.
pub const FORMER_BROWSERS_SERVICE: &str = "browsers";

/// Which protocol created a session; the value of [`PROTOCOL_ANNOTATION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A manifest or New Session: reachable over HTTP, and over BiDi if webSocketUrl was asked for.
    Classic,
    /// `session.new` on a socket without a session: reachable over WebSocket only, and ends with its last socket.
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

    /// Reads the annotation's value. Everything but `bidi` is Classic.
    #[must_use]
    pub fn from_annotation(value: Option<&str>) -> Self {
        if value == Some("bidi") { Self::Bidi } else { Self::Classic }
    }
}
