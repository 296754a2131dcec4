//! The order in which a request is checked (A.1): path, method, session, body.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    fixture::{Fixture, NO_BROWSER, UNKNOWN_ID},
    raw,
    reply::{INVALID_ARGUMENT, INVALID_SESSION, NOT_CREATED, check_envelope, expect},
    rows::{Rows, all},
    rule::{Rule, rule},
};

/// The error of an unknown path.
const UNKNOWN_COMMAND: (u16, &str) = (404, "unknown command");
/// The error of a known path with an unknown method.
const UNKNOWN_METHOD: (u16, &str) = (405, "unknown method");
/// The key of an element's reference.
pub const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.1", "a path that is no command's is unknown command, whatever the method", path),
        rule("A.1", "a slash at the end makes another path", trailing_slash),
        rule("A.1", "every method but POST is unknown method at /session", other_methods),
        rule("A.1", "every method but GET is unknown method at /status", methods_of_status),
        rule("A.1", "HEAD asks for the status, and is a method that no other command has", head),
        rule("A.1", "a query is no part of the path", query),
        rule("A.1", "the session is looked up before the body is read", session_before_body),
        rule("A.1", "the body of a POST must be a JSON object", body),
        rule("A.1", "the body of GET and DELETE is not looked at", no_body),
        rule("A.1", "a body needs no Content-Type, and JSON's may have any form", content_type),
        rule("A.1", "a body of a type that any web page may send is refused", types_of_forms),
        rule("A.1", "a body may come in chunks", chunks),
        rule("A.1", "any Host of the gateway's own network will do", host),
        rule("A.1", "percent-encoding in later segments reaches the driver as it is", percent),
        rule("A.1", "malformed HTTP closes the connection, and no other", malformed),
        rule("A.1", "a connection takes request after request, also after a refusal", keep_alive),
        rule("A.1", "the commands of Chrome's vendor are run", goog)
            .not_for(Browser::Firefox, "goog/cdp/execute is Chrome's"),
        rule("A.1", "the commands of Firefox's vendor are run", moz)
            .not_for(Browser::Chrome, "moz/context is Firefox's"),
        rule("A.1", "another vendor's commands are unknown command", other_vendor),
        rule("A.1", "/wd/hub may stand before every path", hub),
    ]
}

async fn path(fixture: &Fixture) -> Result<()> {
    let plain = fixture.plain().await?;
    let mut paths: Vec<String> =
        ["/nothing", "/sessions", "/Session", "/STATUS", "/wd"].map(ToOwned::to_owned).into();
    // Whether there is such a session is asked only after the path is known.
    for id in [UNKNOWN_ID, &plain.id] {
        for rest in [
            "/nothing",
            "/url/nothing",
            "/Url",
            "/execute",
            "/execute/later",
            "/window/nothing",
            "/element/e/nothing",
            "/element/e/attribute",
            "/element/e/css",
            "/element/e/element/f",
            "/shadow/s",
            "/shadow/s/text",
            "/cookie/name/nothing",
            "/alert",
            "/frame/child",
        ] {
            paths.push(format!("/session/{id}{rest}"));
        }
    }
    let methods = [Method::GET, Method::POST, Method::DELETE, Method::PUT, Method::OPTIONS];
    let rows = paths.iter().flat_map(|path| methods.iter().map(move |method| (method, path)));
    let name = |(method, path): &(&Method, &String)| format!("{method} {path}");
    all(rows, name, async |(method, path)| {
        // What is wrong with the body comes last.
        let body = (**method == Method::POST).then(|| json!([]));
        fixture.fails((*method).clone(), path, body.as_ref(), UNKNOWN_COMMAND).await
    })
    .await
}

async fn trailing_slash(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let plain = fixture.plain().await?;
    let id = &plain.id;
    for (method, path) in [
        (Method::GET, "/status/".to_owned()),
        (Method::POST, "/session/".to_owned()),
        (Method::GET, "/session/".to_owned()),
        (Method::DELETE, format!("/session/{UNKNOWN_ID}/")),
        (Method::GET, format!("/session/{UNKNOWN_ID}/url/")),
        (Method::GET, format!("/session/{id}/")),
        (Method::GET, format!("/session/{id}/url/")),
        (Method::GET, format!("/session/{id}/window/handles/")),
        (Method::POST, format!("/session/{id}/element/")),
    ] {
        let body = (method == Method::POST).then(|| json!({}));
        let outcome = fixture.fails(method.clone(), &path, body.as_ref(), UNKNOWN_COMMAND).await;
        rows.row(format!("{method} {}", path.replace(id, "{id}")), outcome);
    }
    rows.done()
}

/// Every method but `own`, and an invented one.
fn methods_but(own: &Method) -> Result<Vec<Method>> {
    let mut methods = vec![
        Method::GET,
        Method::POST,
        Method::DELETE,
        Method::PUT,
        Method::PATCH,
        Method::OPTIONS,
        Method::TRACE,
        Method::from_bytes(b"BREW")?,
    ];
    methods.retain(|method| method != own);
    Ok(methods)
}

async fn other_methods(fixture: &Fixture) -> Result<()> {
    wrong(fixture, "/session", &methods_but(&Method::POST)?).await
}

async fn methods_of_status(fixture: &Fixture) -> Result<()> {
    wrong(fixture, "/status", &methods_but(&Method::GET)?).await
}

async fn wrong(fixture: &Fixture, path: &str, methods: &[Method]) -> Result<()> {
    let mut rows = Rows::default();
    for method in methods {
        // With a broken body too: it is the last thing to be looked at.
        let body = (*method == Method::POST).then(|| json!([]));
        rows.row(method, fixture.fails(method.clone(), path, body.as_ref(), UNKNOWN_METHOD).await);
    }
    rows.done()
}

/// A reply to HEAD has no body; its status and headers are those of the error.
async fn head(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let plain = fixture.plain().await?;
    let id = &plain.id;
    let url = &fixture.namespace.cluster.settings.gateway_url;
    for (path, status) in [
        ("/status".to_owned(), 200),
        ("/session".to_owned(), 405),
        (format!("/session/{UNKNOWN_ID}"), 405),
        (format!("/session/{UNKNOWN_ID}/url"), 405),
        (format!("/session/{id}/url"), 405),
        ("/nothing".to_owned(), 404),
        (format!("/session/{id}/nothing"), 404),
    ] {
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
        let outcome = async {
            let reply = raw::Http::talk(url, request.as_bytes()).await?.headless()?;
            ensure!(reply.status == status, "{}, not {status}", reply.status);
            let kind = reply.header("content-type");
            ensure!(kind == Some("application/json; charset=utf-8"), "content-type is {kind:?}");
            ensure!(reply.body.is_empty(), "it has a body");
            Ok(())
        };
        rows.row(path.replace(id, "{id}"), outcome.await);
    }
    rows.done()
}

async fn query(fixture: &Fixture) -> Result<()> {
    let status = fixture.get("/status?verbose=1&session=/nothing").await?;
    ensure!(status["ready"].is_boolean(), "{status}");
    let session = fixture.plain().await?;
    ensure!(
        fixture.get(&session.path("/window?x=1")).await?
            == fixture.get(&session.path("/window")).await?
    );
    let path = format!("/session/{UNKNOWN_ID}/url?x");
    fixture.fails(Method::GET, &path, None, INVALID_SESSION).await
}

async fn session_before_body(fixture: &Fixture) -> Result<()> {
    let mut rows = Vec::new();
    for id in [UNKNOWN_ID, "no-uuid", "0", "null"] {
        for rest in ["/url", "/element", "/execute/sync", "/timeouts", "/window"] {
            rows.extend(["{", "[]", "", "{}"].map(|body| (format!("/session/{id}{rest}"), body)));
        }
    }
    let name = |(path, body): &(String, &str)| format!("{path} {body:?}");
    all(rows, name, async |(path, body)| {
        let reply = fixture.send_text(Method::POST, path, Some((*body).to_owned())).await?;
        expect(&reply, INVALID_SESSION)
    })
    .await
}

async fn body(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let session = fixture.plain().await?;
    for rest in [
        "/url",
        "/back",
        "/refresh",
        "/element",
        "/elements",
        "/execute/sync",
        "/execute/async",
        "/timeouts",
        "/window",
        "/window/new",
        "/window/rect",
        "/window/maximize",
        "/frame",
        "/frame/parent",
        "/cookie",
        "/actions",
        "/alert/accept",
        "/print",
        "/element/e/click",
    ] {
        let path = session.path(rest);
        let bodies = [
            "", " ", "{", "{]", "[]", "[{}]", "null", "42", "true", "\"text\"", "{}{}", "{'a': 1}",
        ];
        // No body at all is not even an empty one.
        for body in bodies.into_iter().map(Some).chain([None]) {
            let reply = fixture.send_text(Method::POST, &path, body.map(ToOwned::to_owned)).await;
            let outcome = reply.and_then(|reply| expect(&reply, INVALID_ARGUMENT));
            rows.row(format!("{rest} {body:?}"), outcome);
        }
    }
    rows.done()
}

async fn no_body(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain().await?;
    for body in ["{", "[]", "text"] {
        let path = session.path("/window/handles");
        let reply = fixture.send_text(Method::GET, &path, Some(body.to_owned())).await?;
        ensure!(reply.status == 200, "GET with {body}: {} {}", reply.status, reply.body);
        let path = session.path("/actions");
        let reply = fixture.send_text(Method::DELETE, &path, Some(body.to_owned())).await?;
        ensure!(reply.status == 200, "DELETE with {body}: {} {}", reply.status, reply.body);
    }
    Ok(())
}

/// A POST that finds the page's root, with these headers, and that body behind them.
fn find(id: &str, headers: &str, body: &str) -> String {
    format!("POST /session/{id}/element HTTP/1.1\r\nConnection: close\r\n{headers}\r\n{body}")
}

async fn reply_to_type(fixture: &Fixture, kind: &str) -> Result<raw::RawReply> {
    let plain = fixture.plain().await?;
    let url = &fixture.namespace.cluster.settings.gateway_url;
    let body = r#"{"using": "css selector", "value": ":root"}"#;
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let headers = format!("Host: gateway\r\n{kind}Content-Length: {}\r\n", body.len());
    raw::Http::talk(url, find(&plain.id, &headers, body).as_bytes()).await?.reply()
}

async fn content_type(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for kind in [
        "",
        "application/json",
        "application/json;charset=UTF-8",
        "application/json; charset=utf-8",
        "Application/JSON",
        "text/json",
        "application/vnd.example+json",
    ] {
        let outcome = reply_to_type(fixture, kind).await.and_then(|reply| {
            ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
            Ok(())
        });
        rows.row(format!("{kind:?}"), outcome);
    }
    rows.done()
}

/// A browser asks nobody before it sends one of these to another origin, and a page must drive no session.
async fn types_of_forms(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        let outcome = reply_to_type(fixture, kind).await.and_then(|reply| {
            let refused = reply.status == 400 && reply.text().contains("invalid argument");
            ensure!(refused, "{} {}", reply.status, reply.text());
            Ok(())
        });
        rows.row(format!("{kind:?}"), outcome);
    }
    rows.done()
}

async fn chunks(fixture: &Fixture) -> Result<()> {
    let plain = fixture.plain().await?;
    let id = &plain.id;
    let url = &fixture.namespace.cluster.settings.gateway_url;
    let headers = "Host: gateway\r\nTransfer-Encoding: chunked\r\n";
    let body = "9\r\n{\"using\":\r\n10\r\n\"css selector\", \r\n10\r\n\"value\": \":root\"\r\n1\r\n}\r\n0\r\n\r\n";
    let reply = raw::Http::talk(url, find(id, headers, body).as_bytes()).await?.reply()?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    Ok(())
}

/// A driver takes only its own names; the gateway has as many as there are ways to it.
async fn host(fixture: &Fixture) -> Result<()> {
    let plain = fixture.plain().await?;
    let id = &plain.id;
    let url = &fixture.namespace.cluster.settings.gateway_url;
    for host in ["gateway", "gateway.team.svc:80", "10.0.0.1:4444", "[::1]:1", "localhost"] {
        for path in ["/status".to_owned(), format!("/session/{id}/window")] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let reply = raw::Http::talk(url, request.as_bytes()).await?.reply()?;
            ensure!(reply.status == 200, "{host}: {} {}", reply.status, reply.text());
        }
    }
    Ok(())
}

/// What the segment means is the driver's to say: geckodriver leaves the encoding in a property's name, and
/// chromedriver takes ASCII only.
async fn percent(fixture: &Fixture) -> Result<()> {
    let session = fixture.shared().await?;
    let segments = [
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("a%252Fb", "a%2Fb"),
        ("a%3Fb", "a?b"),
        ("a%23b", "a#b"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
    ];
    let names: Vec<&str> = match fixture.browser {
        Browser::Chrome => segments.iter().map(|(_, decoded)| *decoded).collect(),
        Browser::Firefox => segments.iter().map(|(segment, _)| *segment).collect(),
    };
    let script = "const root = document.documentElement;
        for (const name of arguments[0]) root[name] = name;
        return root";
    let body = json!({"script": script, "args": [names]});
    let root = fixture.post(&session.path("/execute/sync"), body).await?;
    let root = root[ELEMENT].as_str().context("an element")?;
    let mut rows = Rows::default();
    for ((segment, _), name) in segments.into_iter().zip(names) {
        let path = session.path(&format!("/element/{root}/property/{segment}"));
        let outcome = fixture.get(&path).await.and_then(|value| {
            ensure!(value == name, "{value}, not {name:?}");
            Ok(())
        });
        rows.row(segment, outcome);
    }
    rows.done()
}

async fn malformed(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let url = &fixture.namespace.cluster.settings.gateway_url;
    for request in [
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /status\r\n\r\n",
        "GET /status HTTP/9.9\r\nHost: gateway\r\n\r\n",
        "GET /status HTTP/1.1\r\nHost gateway\r\n\r\n",
        "GET /status HTTP/1.1\r\nHost: gateway\r\nBad Name: 1\r\n\r\n",
        "POST /session HTTP/1.1\r\nHost: gateway\r\nContent-Length: many\r\n\r\n{}",
        "POST /session HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        "\0\u{1}\u{2}\u{3}\r\n\r\n",
    ] {
        let outcome = async {
            let http = raw::Http::talk(url, request.as_bytes()).await?;
            let text = String::from_utf8_lossy(&http.bytes).into_owned();
            ensure!(!text.contains("HTTP/1.1 200"), "it was answered: {text}");
            // "the remote end must either close the connection, return an HTTP response with status code 500, or return
            // an error with error code unknown error" (WebDriver, "Processing model").
            let excused = text.starts_with("HTTP/1.1 500") || text.contains("unknown error");
            ensure!(http.closed || excused, "the connection is open, and said: {text:?}");
            Ok(())
        };
        rows.row(format!("{request:?}"), outcome.await);
    }
    rows.row("another connection afterwards", fixture.get("/status").await.map(drop));
    rows.done()
}

async fn keep_alive(fixture: &Fixture) -> Result<()> {
    let url = &fixture.namespace.cluster.settings.gateway_url;
    let bogus = format!("/session/{UNKNOWN_ID}/url");
    let requests = [
        "GET /status HTTP/1.1\r\nHost: gateway\r\n\r\n".to_owned(),
        format!("POST {bogus} HTTP/1.1\r\nHost: gateway\r\nContent-Length: 5\r\n\r\n{{\"a\":"),
        "POST /nothing HTTP/1.1\r\nHost: gateway\r\nContent-Length: 3\r\n\r\nGET".to_owned(),
        "PUT /status HTTP/1.1\r\nHost: gateway\r\nContent-Length: 3\r\n\r\nGET".to_owned(),
        "POST /session HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1\r\n\r\n{".to_owned(),
        "GET /status HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n".to_owned(),
    ];
    // All at once, as a client may that does not wait for the replies.
    let http = raw::Http::talk(url, requests.concat().as_bytes()).await?;
    let statuses: Vec<u16> = http.replies()?.into_iter().map(|reply| reply.status).collect();
    ensure!(statuses == [200, 404, 404, 405, 400, 200], "{statuses:?}");
    Ok(())
}

async fn goog(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain().await?;
    let command = json!({"cmd": "Browser.getVersion", "params": {}});
    let version = fixture.post(&session.path("/goog/cdp/execute"), command).await?;
    ensure!(version["product"].is_string(), "{version}");
    Ok(())
}

async fn moz(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain().await?;
    let context = fixture.get(&session.path("/moz/context")).await?;
    ensure!(context == "content", "{context}");
    Ok(())
}

async fn other_vendor(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain().await?;
    let (method, rest, body) = match fixture.browser {
        Browser::Chrome => (Method::GET, "/moz/context", None),
        Browser::Firefox => {
            (Method::POST, "/goog/cdp/execute", Some(json!({"cmd": "x", "params": {}})))
        }
    };
    fixture.fails(method, &session.path(rest), body.as_ref(), UNKNOWN_COMMAND).await
}

async fn hub(fixture: &Fixture) -> Result<()> {
    let gateway = &fixture.namespace.cluster.settings.gateway_url;
    let old = fixture.client.at(&format!("{gateway}/wd/hub"));
    let send = async |method: Method, path: String, body: Option<Value>| {
        let reply = old.send(method, &path, body.as_ref()).await?;
        check_envelope(&reply)?;
        Ok::<_, anyhow::Error>(reply)
    };
    let status = send(Method::GET, "/status".to_owned(), None).await?;
    ensure!(status.status == 200, "{}", status.body);
    for (method, path, refusal) in [
        (Method::GET, "/nothing".to_owned(), UNKNOWN_COMMAND),
        (Method::GET, "/session".to_owned(), UNKNOWN_METHOD),
        (Method::GET, format!("/session/{UNKNOWN_ID}/url"), INVALID_SESSION),
        (Method::GET, "/wd/hub/status".to_owned(), UNKNOWN_COMMAND),
    ] {
        expect(&send(method, path, None).await?, refusal)?;
    }
    let none = json!({"capabilities": {"alwaysMatch": {"browserName": NO_BROWSER}}});
    expect(&send(Method::POST, "/session".to_owned(), Some(none)).await?, NOT_CREATED)?;

    let wanted = json!({"capabilities": {"alwaysMatch": fixture.of_browser(&json!({}))}});
    let made = send(Method::POST, "/session".to_owned(), Some(wanted)).await?;
    let id = made.body["value"]["sessionId"].as_str();
    let id = id.with_context(|| made.body.to_string())?;
    let url = json!({"url": fixture.page("/")});
    send(Method::POST, format!("/session/{id}/url"), Some(url)).await?;
    let title = send(Method::GET, format!("/session/{id}/title"), None).await?;
    ensure!(title.body["value"] == "browser-operator", "{}", title.body);
    let deleted = send(Method::DELETE, format!("/session/{id}"), None).await?;
    ensure!(deleted.status == 200 && deleted.body["value"].is_null(), "{}", deleted.body);
    fixture.fails(Method::DELETE, &format!("/session/{id}"), None, INVALID_SESSION).await
}
