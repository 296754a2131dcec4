//! Which command a request is (WebDriver, section "Processing model"): first the path, then the method, then the
//! session. Paths are kept as they came, percent-encoding included.

use http::Method;

/// The prefix that old clients put before every path.
const HUB_PREFIX: &str = "/wd/hub";
/// The longest path behind a session's id that is looked at, in segments; only vendors have longer ones.
const MAX_SEGMENTS: usize = 6;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `GET /status`.
    Status,
    /// `POST /session`.
    NewSession,
    /// `DELETE /session/{id}`.
    DeleteSession { id: &'a str },
    /// Any other command of a session.
    Command {
        id: &'a str,
        /// The path behind `/session/{id}`, with its slash.
        rest: &'a str,
    },
    /// No command has this path.
    UnknownCommand,
    /// A command has this path, but not with this method.
    UnknownMethod,
}

/// The path without the prefix of old clients.
#[must_use]
pub fn without_hub(path: &str) -> &str {
    path.strip_prefix(HUB_PREFIX).filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// Finds the command of a request.
#[must_use]
pub fn classic<'a>(method: &Method, path: &'a str) -> Route<'a> {
    let path = without_hub(path);
    let with = |wanted: &Method, route| {
        if method == wanted { route } else { Route::UnknownMethod }
    };
    match path {
        "/status" => return with(&Method::GET, Route::Status),
        "/session" => return with(&Method::POST, Route::NewSession),
        _ => {}
    }
    let Some(rest) = path.strip_prefix("/session/") else {
        return Route::UnknownCommand;
    };
    let (id, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if id.is_empty() {
        return Route::UnknownCommand;
    }
    if rest.is_empty() {
        return with(&Method::DELETE, Route::DeleteSession { id });
    }
    match methods(rest) {
        Some(methods) if methods.contains(method) => Route::Command { id, rest },
        Some(_) => Route::UnknownMethod,
        None => Route::UnknownCommand,
    }
}

/// Whose commands are theirs to know: the first segments of their paths.
const VENDORS: [&str; 5] = ["chromium", "goog", "moz", "ms", "se"];

/// Whether the path behind a session's id is a vendor's command.
#[must_use]
pub fn is_vendors(rest: &str) -> bool {
    rest.split('/').nth(1).is_some_and(|vendor| VENDORS.contains(&vendor))
}

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const DELETE: &[Method] = &[Method::DELETE];
const GET_POST: &[Method] = &[Method::GET, Method::POST];
const POST_DELETE: &[Method] = &[Method::POST, Method::DELETE];
const GET_DELETE: &[Method] = &[Method::GET, Method::DELETE];
const ALL: &[Method] = &[Method::GET, Method::POST, Method::DELETE];

/// The methods that the path behind a session's id has a command for; `None`: no command has this path.
fn methods(rest: &str) -> Option<&'static [Method]> {
    let mut segments = [""; MAX_SEGMENTS];
    let mut count = 0;
    for segment in rest[1..].split('/') {
        // A variable of a path is never empty.
        if segment.is_empty() {
            return None;
        }
        if let Some(place) = segments.get_mut(count) {
            *place = segment;
        }
        count += 1;
    }
    if count > 1 && VENDORS.contains(&segments[0]) {
        return Some(ALL);
    }
    let segments = segments.get(..count)?;
    web_driver(segments).or_else(|| extension(segments))
}

/// WebDriver's own commands (section "Endpoints"), and the drivers' `displayed`, which its note on displayedness asks for.
fn web_driver(segments: &[&str]) -> Option<&'static [Method]> {
    Some(match segments {
        ["timeouts" | "url"] | ["window", "rect"] | ["alert", "text"] => GET_POST,
        ["title" | "source" | "screenshot"] | ["window", "handles"] | ["element", "active"] => GET,
        ["back" | "forward" | "refresh" | "frame" | "element" | "elements" | "print"]
        | ["frame", "parent"]
        | ["window", "new" | "maximize" | "minimize" | "fullscreen"]
        | ["element" | "shadow", _, "element" | "elements"]
        | ["element", _, "click" | "clear" | "value"]
        | ["execute", "sync" | "async"]
        | ["alert", "dismiss" | "accept"] => POST,
        [
            "element",
            _,
            "shadow" | "selected" | "text" | "name" | "rect" | "enabled" | "computedrole"
            | "computedlabel" | "screenshot" | "displayed",
        ]
        | ["element", _, "attribute" | "property" | "css", _] => GET,
        ["window" | "cookie"] => ALL,
        ["cookie", _] => GET_DELETE,
        ["actions"] => POST_DELETE,
        _ => return None,
    })
}

/// The commands that other specifications add to WebDriver, and those of old clients that drivers still answer.
fn extension(segments: &[&str]) -> Option<&'static [Method]> {
    Some(match segments {
        // Permissions, Reporting, Secure Payment Confirmation, HTML's custom handlers, Storage Access.
        ["permissions" | "storageaccess"]
        | ["protected_audience", "set_k_anonymity"]
        | ["reporting", "generate_test_report"]
        | ["secure-payment-confirmation" | "custom-handlers", "set-mode"] => POST,
        // Web Authentication.
        ["webauthn", "authenticator"]
        | ["webauthn", "authenticator", _, "credential" | "uv"]
        | ["webauthn", "authenticator", _, "credentials", _, "props"] => POST,
        ["webauthn", "authenticator", _] | ["webauthn", "authenticator", _, "credentials", _] => {
            DELETE
        }
        ["webauthn", "authenticator", _, "credentials"] => GET_DELETE,
        // Federated Credential Management.
        ["fedcm", "accountlist" | "gettitle" | "getdialogtype"] => GET,
        [
            "fedcm",
            "canceldialog" | "selectaccount" | "clickdialogbutton" | "setdelayenabled"
            | "resetcooldown",
        ] => POST,
        // Sensors, Compute Pressure, Device Posture, Global Privacy Control, bounce tracking.
        ["sensor" | "pressuresource"] => POST,
        ["sensor", _] => ALL,
        ["pressuresource", _] | ["deviceposture" | "displayfeatures"] => POST_DELETE,
        ["privacy"] => GET_POST,
        ["storage", "run_bounce_tracking_mitigations"] => DELETE,
        // Uploads and logs, before Selenium gave them its prefix.
        ["file" | "log"] => POST,
        ["log", "types"] => GET,
        _ => return None,
    })
}

/// What a WebSocket handshake asks for (BiDi, section "Transport").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket<'a> {
    /// `/session`: no session yet.
    Bare,
    /// `/session/{id}`.
    Session { id: &'a str },
    /// `/session/{id}/se/cdp`: the browser's DevTools, where Selenium's clients look for them.
    DevTools { id: &'a str },
    /// Not a resource.
    Unknown,
}

/// Finds the resource of a WebSocket handshake.
#[must_use]
pub fn socket(path: &str) -> Socket<'_> {
    let path = without_hub(path);
    match path.strip_prefix("/session") {
        Some("") => Socket::Bare,
        Some(rest) => match rest.strip_prefix('/') {
            Some(id) if !id.is_empty() && !id.contains('/') => Socket::Session { id },
            Some(rest) => match rest.split_once('/') {
                Some((id, "se/cdp")) if !id.is_empty() => Socket::DevTools { id },
                _ => Socket::Unknown,
            },
            None => Socket::Unknown,
        },
        None => Socket::Unknown,
    }
}

/// What is asked of a browser's DevTools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevTools<'a> {
    /// `GET`: what the browser is, and where its socket is.
    Version,
    /// `GET`: its targets, and where their sockets are.
    List,
    /// A socket to the browser.
    Browser,
    /// A socket to one page.
    Page {
        /// The target's id, as it stands in the list.
        target: &'a str,
    },
}

impl DevTools<'_> {
    /// Whether it is a socket; the others are answers to GET.
    #[must_use]
    pub fn is_socket(self) -> bool {
        matches!(self, Self::Browser | Self::Page { .. })
    }
}

/// Finds what is asked of the DevTools by the path behind a session's id, which begins with its slash: `/cdp` and what is
/// below it, as Chrome has it below its own root, and `/se/cdp`. Some clients ask for the answers with a slash at the end.
#[must_use]
pub fn dev_tools(rest: &str) -> Option<DevTools<'_>> {
    if rest == "/se/cdp" {
        return Some(DevTools::Browser);
    }
    let below = rest.strip_prefix("/cdp")?;
    match below.strip_suffix('/').unwrap_or(below) {
        "" => Some(DevTools::Browser),
        "/json/version" => Some(DevTools::Version),
        "/json" | "/json/list" => Some(DevTools::List),
        _ => {
            let (kind, id) = below.strip_prefix("/devtools/")?.split_once('/')?;
            match kind {
                _ if id.is_empty() || id.contains('/') => None,
                "browser" => Some(DevTools::Browser),
                "page" => Some(DevTools::Page { target: id }),
                _ => None,
            }
        }
    }
}

/// The id of a session in a path, and what is behind it, with its slash.
#[must_use]
pub fn of_session(path: &str) -> Option<(&str, &str)> {
    let rest = without_hub(path).strip_prefix("/session/")?;
    let (id, rest) = rest.split_at(rest.find('/')?);
    (!id.is_empty()).then_some((id, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_decides_before_the_method() {
        let (get, post, delete, put) = (Method::GET, Method::POST, Method::DELETE, Method::PUT);
        for (method, path, expected) in [
            (&get, "/status", Route::Status),
            (&post, "/status", Route::UnknownMethod),
            (&get, "/status/", Route::UnknownCommand),
            (&post, "/session", Route::NewSession),
            (&post, "/wd/hub/session", Route::NewSession),
            (&get, "/session", Route::UnknownMethod),
            (&delete, "/session", Route::UnknownMethod),
            (&post, "/sessions", Route::UnknownCommand),
            (&get, "/wd/hubs/session", Route::UnknownCommand),
            (&get, "/", Route::UnknownCommand),
            (&delete, "/session/a", Route::DeleteSession { id: "a" }),
            (&get, "/session/a", Route::UnknownMethod),
            (&post, "/session/", Route::UnknownCommand),
            (&post, "/session/a/url", Route::Command { id: "a", rest: "/url" }),
            (
                &get,
                "/session/a/element/%2F/text",
                Route::Command { id: "a", rest: "/element/%2F/text" },
            ),
            (&put, "/session/a/url", Route::UnknownMethod),
            (&get, "/session/a/back", Route::UnknownMethod),
            (&delete, "/session/a/cookie", Route::Command { id: "a", rest: "/cookie" }),
            (&get, "/session/a/element/b/text/", Route::UnknownCommand),
            (&get, "/session/a/element//text", Route::UnknownCommand),
            (&get, "/session/a/", Route::UnknownCommand),
            (&get, "/session//url", Route::UnknownCommand),
            (&post, "/session/a/nothing", Route::UnknownCommand),
            (&put, "/session/a/nothing", Route::UnknownCommand),
            (&get, "/session/a/b/c/d/e/f/g/h/i", Route::UnknownCommand),
            (
                &post,
                "/session/a/goog/cdp/execute",
                Route::Command { id: "a", rest: "/goog/cdp/execute" },
            ),
            (&post, "/session/a/goog", Route::UnknownCommand),
            (&put, "/session/a/moz/context", Route::UnknownMethod),
            (&post, "/session/a/se/file", Route::Command { id: "a", rest: "/se/file" }),
            (
                &get,
                "/session/a/fedcm/gettitle",
                Route::Command { id: "a", rest: "/fedcm/gettitle" },
            ),
        ] {
            assert_eq!(classic(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_socket_is_bare_or_of_one_session() {
        for (path, expected) in [
            ("/session", Socket::Bare),
            ("/wd/hub/session", Socket::Bare),
            ("/session/a", Socket::Session { id: "a" }),
            ("/session/", Socket::Unknown),
            ("/session/a/b", Socket::Unknown),
            ("/session/a/se/cdp", Socket::DevTools { id: "a" }),
            ("/session//se/cdp", Socket::Unknown),
            ("/sessions", Socket::Unknown),
            ("/", Socket::Unknown),
        ] {
            assert_eq!(socket(path), expected, "{path}");
        }
    }
    #[test]
    fn dev_tools_are_below_a_session_as_chrome_has_them_below_its_root() {
        for (rest, expected) in [
            ("/se/cdp", Some(DevTools::Browser)),
            ("/se/cdp/", None),
            ("/cdp", Some(DevTools::Browser)),
            ("/cdp/", Some(DevTools::Browser)),
            ("/cdp/json/version", Some(DevTools::Version)),
            ("/cdp/json/version/", Some(DevTools::Version)),
            ("/cdp/json/version//", None),
            ("/cdp/json", Some(DevTools::List)),
            ("/cdp/json/", Some(DevTools::List)),
            ("/cdp/json/list", Some(DevTools::List)),
            ("/cdp/json/new", None),
            ("/cdp/devtools/browser/a-b", Some(DevTools::Browser)),
            ("/cdp/devtools/browser/", None),
            ("/cdp/devtools/browser", None),
            ("/cdp/devtools/page/A0", Some(DevTools::Page { target: "A0" })),
            ("/cdp/devtools/page/A0/", None),
            ("/cdp/devtools/page/../x", None),
            ("/cdp/devtools/tab/A0", None),
            ("/cdpx", None),
            ("/url", None),
        ] {
            assert_eq!(dev_tools(rest), expected, "{rest}");
        }
        assert!(DevTools::Page { target: "A0" }.is_socket() && !DevTools::List.is_socket());
    }

    #[test]
    fn a_path_of_a_session_has_an_id_and_a_rest() {
        for (path, expected) in [
            ("/session/a/cdp", Some(("a", "/cdp"))),
            ("/wd/hub/session/a/", Some(("a", "/"))),
            ("/session/a", None),
            ("/session//cdp", None),
            ("/sessions/a/cdp", None),
        ] {
            assert_eq!(of_session(path), expected, "{path}");
        }
    }
}
