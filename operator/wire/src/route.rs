//! Which command a request is (WebDriver, section "Processing model"): first the path, then the method, then the
//! session. Paths are kept as they came, percent-encoding included.

use http::Method;

/// The prefix that old clients put before every path.
const HUB_PREFIX: &str = "/wd/hub";
/// The longest id that is looked at.
const MAX_ID: usize = 64;

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
    if id.is_empty() || id.len() > MAX_ID {
        return Route::UnknownCommand;
    }
    match rest {
        "" => with(&Method::DELETE, Route::DeleteSession { id }),
        "/" => Route::UnknownCommand,
        rest if matches!(*method, Method::GET | Method::POST | Method::DELETE) => {
            Route::Command { id, rest }
        }
        _ => Route::UnknownMethod,
    }
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
            Some(id) if !id.is_empty() && id.len() <= MAX_ID && !id.contains('/') => {
                Socket::Session { id }
            }
            _ => Socket::Unknown,
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
            ("/sessions", Socket::Unknown),
            ("/", Socket::Unknown),
        ] {
            assert_eq!(socket(path), expected, "{path}");
        }
    }
}
