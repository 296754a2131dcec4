//! WebDriver's errors (WebDriver, section "Errors"; BiDi, section "Errors").

use http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $text:literal,)+) => {
        /// An error code, with its HTTP status and its JSON word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)+ }

        impl ErrorCode {
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The status of a Classic reply with this error.
            #[must_use]
            pub fn status(self) -> StatusCode {
                let status: u16 = match self { $(Self::$name => $status,)+ };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    };
}

codes! {
    /// Something else covers the element.
    ElementClickIntercepted = 400 "element click intercepted",
    /// The element is not pointer- or keyboard-interactable.
    ElementNotInteractable = 400 "element not interactable",
    /// The page's certificate is not trusted.
    InsecureCertificate = 400 "insecure certificate",
    /// The arguments are malformed.
    InvalidArgument = 400 "invalid argument",
    /// The cookie's domain is not the page's.
    InvalidCookieDomain = 400 "invalid cookie domain",
    /// The element is in a state in which the command cannot run.
    InvalidElementState = 400 "invalid element state",
    /// The selector is malformed.
    InvalidSelector = 400 "invalid selector",
    /// No active session has this id.
    InvalidSessionId = 404 "invalid session id",
    /// A script threw.
    JavascriptError = 500 "javascript error",
    /// The target is outside of the viewport.
    MoveTargetOutOfBounds = 500 "move target out of bounds",
    /// There is no open prompt.
    NoSuchAlert = 404 "no such alert",
    /// No cookie of that name.
    NoSuchCookie = 404 "no such cookie",
    NoSuchElement = 404 "no such element",
    NoSuchFrame = 404 "no such frame",
    /// The element has no shadow root.
    NoSuchShadowRoot = 404 "no such shadow root",
    NoSuchWindow = 404 "no such window",
    /// A script did not end in time.
    ScriptTimeout = 500 "script timeout",
    /// No session could be made.
    SessionNotCreated = 500 "session not created",
    /// The element has left the page.
    StaleElementReference = 404 "stale element reference",
    /// The shadow root has left the page.
    DetachedShadowRoot = 404 "detached shadow root",
    /// Something did not happen in time.
    Timeout = 500 "timeout",
    /// The cookie could not be set.
    UnableToSetCookie = 500 "unable to set cookie",
    /// No picture could be taken.
    UnableToCaptureScreen = 500 "unable to capture screen",
    /// A prompt is open.
    UnexpectedAlertOpen = 500 "unexpected alert open",
    /// No command has this path.
    UnknownCommand = 404 "unknown command",
    /// Something else went wrong.
    UnknownError = 500 "unknown error",
    /// A command has this path, but not with this method.
    UnknownMethod = 405 "unknown method",
    /// The browser cannot do this.
    UnsupportedOperation = 500 "unsupported operation",

    /// BiDi alone from here on (BiDi, section "Errors"): no reply of Classic has one of these, whatever its status.
    InvalidWebExtension = 500 "invalid web extension",
    /// No such window of the operating system.
    NoSuchClientWindow = 500 "no such client window",
    /// No such handle of an object in a page.
    NoSuchHandle = 500 "no such handle",
    /// The history has no such entry.
    NoSuchHistoryEntry = 500 "no such history entry",
    NoSuchIntercept = 500 "no such intercept",
    /// No such collector of network data.
    NoSuchNetworkCollector = 500 "no such network collector",
    NoSuchNetworkData = 500 "no such network data",
    NoSuchNode = 500 "no such node",
    NoSuchRequest = 500 "no such request",
    NoSuchScript = 500 "no such script",
    NoSuchStoragePartition = 500 "no such storage partition",
    NoSuchUserContext = 500 "no such user context",
    NoSuchWebExtension = 500 "no such web extension",
    /// The browser does not close.
    UnableToCloseBrowser = 500 "unable to close browser",
    /// The files cannot be set.
    UnableToSetFileInput = 500 "unable to set file input",
    /// The network data is not there any more.
    UnavailableNetworkData = 500 "unavailable network data",
    /// The storage partition is not said well enough.
    UnderspecifiedStoragePartition = 500 "underspecified storage partition",
}

impl ErrorCode {
    /// Whether a reply of Classic may have it; the others are BiDi's alone.
    #[must_use]
    pub const fn is_classic(self) -> bool {
        self as usize <= Self::UnsupportedOperation as usize
    }
}

/// An error of a remote end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct WebDriverError {
    pub code: ErrorCode,
    pub message: String,
}

impl WebDriverError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// `session not created`.
    pub fn session_not_created(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::SessionNotCreated, message)
    }

    /// `invalid session id`, which says nothing about why, so that ids cannot be tried out.
    #[must_use]
    pub fn invalid_session_id() -> Self {
        Self::new(ErrorCode::InvalidSessionId, "no active session has this id")
    }

    /// `invalid session id` for whoever had this session: why it has none any more.
    #[must_use]
    pub fn session_over(reason: &str, message: &str) -> Self {
        let message = format!("the session has ended: {reason}: {message}");
        Self::new(ErrorCode::InvalidSessionId, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_specification() {
        for code in ErrorCode::ALL.iter().filter(|code| code.is_classic()) {
            let expected = match code.as_str() {
                "unknown method" => 405,
                text if text.starts_with("no such")
                    || text.starts_with("stale")
                    || text.starts_with("detached")
                    || text == "invalid session id"
                    || text == "unknown command" =>
                {
                    404
                }
                text if text.starts_with("invalid")
                    || text.starts_with("element")
                    || text.starts_with("insecure") =>
                {
                    400
                }
                _ => 500,
            };
            assert_eq!(code.status(), expected, "{}", code.as_str());
        }
    }

    #[test]
    fn both_protocols_have_their_codes() {
        let classic = ErrorCode::ALL.iter().filter(|code| code.is_classic()).count();
        assert_eq!((classic, ErrorCode::ALL.len() - classic), (28, 17));
    }
}
