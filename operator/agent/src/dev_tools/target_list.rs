//! The answers of the DevTools' HTTP endpoints as a client gets them: without hidden targets, and with URLs that it can use.

use serde_json::Value;
use url::Url;

/// The path of sockets at the browser, and at a session.
const BROWSER_PATH: &str = "/devtools/";
const SESSION_PATH: &str = "/cdp/devtools/";
/// Members that lead to the browser's own port.
const UNREACHABLE: [&str; 3] = ["devtoolsFrontendUrl", "devtoolsFrontendUrlCompat", "thumbnailUrl"];
/// The member with a socket's URL.
const SOCKET_URL: &str = "webSocketDebuggerUrl";

/// The answer of `/json/version`. `base` is put before the path of its socket.
pub fn version(mut version: Value, base: &str) -> Value {
    rewrite(&mut version, base);
    version
}

/// The answer of `/json/list`, without the targets that are `hidden`.
pub fn targets(mut targets: Value, hidden: &[String], base: &str) -> Value {
    if let Value::Array(targets) = &mut targets {
        targets.retain(|target| !has_id_of(target, hidden));
        targets.iter_mut().for_each(|target| rewrite(target, base));
    }
    targets
}

/// Whether a client may have a socket to the target of this id.
pub fn has(targets: &Value, hidden: &[String], id: &str) -> bool {
    visible(targets, hidden).any(|target| target["id"] == id)
}

/// The page that was in front last, and is not hidden.
pub fn first_page<'a>(targets: &'a Value, hidden: &[String]) -> Option<&'a str> {
    visible(targets, hidden).find(|target| target["type"] == "page")?["id"].as_str()
}

fn visible<'a, 'h>(
    targets: &'a Value,
    hidden: &'h [String],
) -> impl Iterator<Item = &'a Value> + use<'a, 'h> {
    let targets = targets.as_array().into_iter().flatten();
    targets.filter(|target| !has_id_of(target, hidden))
}

fn has_id_of(target: &Value, ids: &[String]) -> bool {
    target["id"].as_str().is_some_and(|id| ids.iter().any(|own| own == id))
}

fn rewrite(answer: &mut Value, base: &str) {
    let Value::Object(members) = answer else { return };
    for name in UNREACHABLE {
        members.remove(name);
    }
    if let Some(url) = members.remove(SOCKET_URL)
        && let Some(path) = url.as_str().and_then(path_of)
    {
        members.insert(SOCKET_URL.to_owned(), format!("{base}{SESSION_PATH}{path}").into());
    }
}

/// The rest behind [`BROWSER_PATH`] in the URL of a socket.
fn path_of(url: &str) -> Option<String> {
    Url::parse(url).ok()?.path().strip_prefix(BROWSER_PATH).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_browsers_socket_is_the_sessions() {
        let theirs = json!({
            "Browser": "Chrome/156.0.8078.108",
            "webSocketDebuggerUrl": "ws://127.0.0.1:39889/devtools/browser/ac89-9dd",
        });
        for (base, url) in [
            ("", "/cdp/devtools/browser/ac89-9dd"),
            ("ws://a:1/session/b", "ws://a:1/session/b/cdp/devtools/browser/ac89-9dd"),
        ] {
            let expected = json!({"Browser": "Chrome/156.0.8078.108", "webSocketDebuggerUrl": url});
            assert_eq!(version(theirs.clone(), base), expected);
        }
    }

    #[test]
    fn targets_are_the_clients_alone_and_lead_nowhere_else() {
        let theirs = json!([
            {"id": "FC38", "type": "other", "title": "BiDi-CDP Mapper"},
            {
                "id": "46AA",
                "type": "page",
                "url": "about:blank",
                "devtoolsFrontendUrl": "https://x/inspector.html?ws=localhost:1/devtools/page/46AA",
                "webSocketDebuggerUrl": "ws://localhost:1/devtools/page/46AA",
            },
            {"id": "46AB", "type": "page", "webSocketDebuggerUrl": "ws://localhost:1/elsewhere"},
        ]);
        let hidden = ["FC38".to_owned()];
        assert_eq!(
            targets(theirs.clone(), &hidden, ""),
            json!([
                {
                    "id": "46AA",
                    "type": "page",
                    "url": "about:blank",
                    "webSocketDebuggerUrl": "/cdp/devtools/page/46AA",
                },
                {"id": "46AB", "type": "page"},
            ])
        );
        assert!(has(&theirs, &hidden, "46AA") && first_page(&theirs, &hidden) == Some("46AA"));
        assert!(!has(&theirs, &hidden, "FC38") && !has(&theirs, &hidden, "46A"));
        assert!(first_page(&json!([theirs[0]]), &[]).or(first_page(&json!([]), &hidden)).is_none());
    }
}
