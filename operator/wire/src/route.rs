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
    DeleteSession {
        /// The session's id.
        id: &'a str,
    },
    /// Any other command of a session.
    Command {
        /// The session's id.
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
    Session {
        /// The session's id.
        id: &'a str,
    },
    /// `/session/{id}/se/cdp`: the browser's DevTools, where Selenium's clients look for them.
    DevTools {
        /// The session's id.
        id: &'a str,
    },
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
}
