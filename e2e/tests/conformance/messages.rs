//! Messages (WebDriver BiDi, "handle an incoming message"; B.2), on a socket without a session and on a
//! session's.

use anyhow::{Context, Result, ensure};
use e2e::Bidi;
use serde_json::{Value, json};

use crate::{
    fixture::Fixture,
    rows::Rows,
    rule::{Rule, rule},
};

/// Every command of the specification, by module.
const COMMANDS: [(&str, &str); 9] = [
    (
        "browser",
        "close createUserContext getClientWindows getUserContexts removeUserContext setClientWindowState \
         setDownloadBehavior",
    ),
    (
        "browsingContext",
        "activate captureScreenshot close create getTree handleUserPrompt locateNodes navigate print reload \
         setBypassCSP setViewport startScreencast stopScreencast traverseHistory",
    ),
    (
        "emulation",
        "setForcedColorsModeThemeOverride setGeolocationOverride setLocaleOverride setMediaFeaturesOverride \
         setNetworkConditions setScreenOrientationOverride setScreenSettingsOverride setScriptingEnabled \
         setScrollbarTypeOverride setTimezoneOverride setTouchOverride setUserAgentOverride setViewportMetaOverride",
    ),
    ("input", "performActions releaseActions setFiles"),
    (
        "network",
        "addDataCollector addIntercept continueRequest continueResponse continueWithAuth disownData failRequest \
         getData provideResponse removeDataCollector removeIntercept setCacheBehavior setExtraHeaders",
    ),
    ("script", "addPreloadScript callFunction disown evaluate getRealms removePreloadScript"),
    ("session", "end subscribe unsubscribe"),
    ("storage", "deleteCookies getCookies setCookie"),
    ("webExtension", "install uninstall"),
];
/// Commands of other specifications, and of vendors.
const MORE: [&str; 7] = [
    "goog:cdp.sendCommand",
    "goog:cdp.getSession",
    "goog:cdp.resolveRealm",
    "moz:anything",
    "permissions.setPermission",
    "bluetooth.simulateAdapter",
    "userAgentClientHints.setClientHintsOverride",
];

pub fn rules() -> Vec<Rule> {
    vec![
        rule(
            "B.2",
            "what is no command gets an error with id null (no session)",
            async |fixture| nameless(&mut fixture.bare_socket().await?).await,
        ),
        rule("B.2", "what is no command gets an error with id null (session)", async |fixture| {
            nameless(&mut of_session(fixture).await?).await
        }),
        rule(
            "B.2",
            "a command of the wrong form gets invalid argument (no session)",
            async |fixture| wrong_form(&mut fixture.bare_socket().await?).await,
        ),
        rule(
            "B.2",
            "a command of the wrong form gets invalid argument (session)",
            async |fixture| wrong_form(&mut of_session(fixture).await?).await,
        ),
        rule(
            "B.2",
            "a method that is no command's gets unknown command (no session)",
            async |fixture| unknown(&mut fixture.bare_socket().await?).await,
        ),
        rule(
            "B.2",
            "a method that is no command's gets unknown command (session)",
            async |fixture| unknown(&mut of_session(fixture).await?).await,
        ),
        rule(
            "B.2",
            "an id is any integer from 0 to 2^53-1, echoed exactly (no session)",
            async |fixture| ids(&mut fixture.bare_socket().await?).await,
        ),
        rule(
            "B.2",
            "an id is any integer from 0 to 2^53-1, echoed exactly (session)",
            async |fixture| ids(&mut of_session(fixture).await?).await,
        ),
        rule("B.2", "more members are no error (no session)", async |fixture| {
            extensible(&mut fixture.bare_socket().await?).await
        }),
        rule("B.2", "more members are no error (session)", async |fixture| {
            extensible(&mut of_session(fixture).await?).await
        }),
        rule("B.2", "every command but two gets invalid session id before a session", sessionless),
        rule("B.2", "an error of the browser has its code, and the asker's id", of_browser),
        rule(
            "B.2",
            "commands may be sent before the replies to earlier ones (no session)",
            async |fixture| many(&mut fixture.bare_socket().await?).await,
        ),
        rule(
            "B.2",
            "commands may be sent before the replies to earlier ones (session)",
            async |fixture| many(&mut of_session(fixture).await?).await,
        ),
        rule(
            "B.2",
            "commands behind a session.new are answered at once, without a session",
            behind_new,
        ),
        rule(
            "B.2",
            "commands behind a session.new that fails get invalid session id",
            behind_failure,
        ),
    ]
}

async fn of_session(fixture: &Fixture) -> Result<Bidi> {
    fixture.socket(fixture.shared().await?).await
}

/// Checks the form of an error: its id is there even for null.
pub fn check_error(reply: &Value, id: &Value, code: &str) -> Result<()> {
    ensure!(reply["type"] == "error", "{reply}, not {code}");
    ensure!(reply.get("id") == Some(id), "the id is {:?}, not {id}: {reply}", reply.get("id"));
    ensure!(reply["error"] == code, "{reply}, not {code}");
    ensure!(reply["message"].is_string(), "no message: {reply}");
    ensure!(reply.get("stacktrace").is_none_or(Value::is_string), "stacktrace: {reply}");
    Ok(())
}

/// Checks the form of a success, and gives its result.
fn check_success<'a>(reply: &'a Value, id: &Value) -> Result<&'a Value> {
    ensure!(reply["type"] == "success", "{reply}");
    ensure!(reply.get("id") == Some(id), "the id is {:?}, not {id}: {reply}", reply.get("id"));
    ensure!(reply["result"].is_object(), "the result is no object: {reply}");
    Ok(&reply["result"])
}

async fn ask(bidi: &mut Bidi, text: &str) -> Result<Value> {
    bidi.send_text(text).await?;
    bidi.next_reply().await
}

/// Messages that must get this error, with their ids.
async fn errors(bidi: &mut Bidi, code: &str, messages: &[(String, Value)]) -> Result<()> {
    let mut rows = Rows::default();
    for (text, id) in messages {
        let reply =
            ask(bidi, text).await.with_context(|| text.chars().take(80).collect::<String>())?;
        let name: String = text.chars().take(80).collect();
        rows.row(name, check_error(&reply, id, code));
    }
    // And the connection is as good as before.
    let status = bidi.send_command("session.status", json!({})).await?;
    rows.row("session.status afterwards", check_success(&status, &status["id"]).map(drop));
    rows.done()
}

async fn nameless(bidi: &mut Bidi) -> Result<()> {
    let texts = [
        "Hello",
        "",
        " ",
        "{",
        "[]",
        "null",
        "42",
        "true",
        "\"text\"",
        "{}",
        "{]",
        "[{}]",
        "{'id': 1}",
        "{\"id\": 1, \"method\": \"session.status\", \"params\": {}",
        "{\"id\": 1} {\"id\": 2}",
        "\u{feff}",
        r#"[{"id": 1, "method": "session.status", "params": {}}]"#,
    ];
    let mut messages: Vec<(String, Value)> =
        texts.into_iter().map(|text| (text.to_owned(), Value::Null)).collect();
    // Deeper than any message, and no end.
    messages.push(("[".repeat(200_000), Value::Null));
    errors(bidi, "invalid argument", &messages).await
}

async fn wrong_form(bidi: &mut Bidi) -> Result<()> {
    let mut messages = vec![
        (json!({"id": 1}), json!(1)),
        (json!({"id": 0}), json!(0)),
        (json!({"id": 2, "method": "session.status"}), json!(2)),
        (json!({"id": 2, "params": {}}), json!(2)),
        (json!({"method": "session.status", "params": {}}), Value::Null),
        (
            json!({"id": 9_007_199_254_740_992_u64, "method": "session.status", "params": {}}),
            json!(9_007_199_254_740_992_u64),
        ),
    ];
    for params in [Value::Null, json!([]), json!([{}]), json!("{}"), json!(1), json!(true)] {
        messages.push((json!({"id": 3, "method": "session.status", "params": params}), json!(3)));
        messages.push((
            json!({"id": 4, "method": "browsingContext.getTree", "params": params}),
            json!(4),
        ));
    }
    for id in [
        json!(-1),
        json!("a"),
        json!("1"),
        json!(1.5),
        Value::Null,
        json!(true),
        json!([1]),
        json!({}),
    ] {
        messages.push((json!({"id": id, "method": "session.status", "params": {}}), Value::Null));
    }
    for method in [json!(1), Value::Null, json!(["session.status"]), json!({}), json!(true)] {
        messages.push((json!({"id": 9, "method": method, "params": {}}), json!(9)));
    }
    let messages: Vec<(String, Value)> =
        messages.into_iter().map(|(message, id)| (message.to_string(), id)).collect();
    errors(bidi, "invalid argument", &messages).await
}

async fn unknown(bidi: &mut Bidi) -> Result<()> {
    let mut messages = vec![
        (json!({"id": "a", "method": "foo.bar", "params": {}}), Value::Null),
        (json!({"id": -1, "method": "foo.bar", "params": {}}), Value::Null),
        (json!({"method": "foo.bar", "params": {}}), Value::Null),
        (json!({"id": 7, "method": "foo.bar"}), json!(7)),
        (json!({"id": 7, "method": "foo.bar", "params": null}), json!(7)),
    ];
    for method in [
        "foo.bar",
        "foo",
        "",
        ".",
        "session",
        "session.",
        "session.foo",
        ".status",
        "Session.Status",
        "session.STATUS",
        " session.status",
        "session.status ",
        "session/status",
        "browsingContext.gettree",
        "log.entryAdded",
    ] {
        messages.push((json!({"id": 7, "method": method, "params": {}}), json!(7)));
    }
    let messages: Vec<(String, Value)> =
        messages.into_iter().map(|(message, id)| (message.to_string(), id)).collect();
    errors(bidi, "unknown command", &messages).await
}

async fn ids(bidi: &mut Bidi) -> Result<()> {
    let mut rows = Rows::default();
    for (id, number) in [
        ("0", 0_u64),
        ("1", 1),
        ("2147483648", 2_147_483_648),
        ("4294967296", 4_294_967_296),
        ("9007199254740991", 9_007_199_254_740_991),
        // The same numbers as 1 and 100: JSON knows no integers.
        ("1.0", 1),
        ("1e2", 100),
    ] {
        let text = format!(r#"{{"id": {id}, "method": "session.status", "params": {{}}}}"#);
        let reply = ask(bidi, &text).await.with_context(|| text.clone())?;
        let whole = reply["id"].as_f64() == Some(number as f64);
        let outcome = check_success(&reply, &reply["id"]).and_then(|_| {
            ensure!(whole && (id.contains(['.', 'e']) || reply["id"].is_u64()), "{reply}");
            Ok(())
        });
        rows.row(id, outcome);
    }
    rows.done()
}

async fn extensible(bidi: &mut Bidi) -> Result<()> {
    let mut rows = Rows::default();
    for text in [
        r#"{"id": 5, "method": "session.status", "params": {"foo": 1}}"#,
        r#"{"id": 5, "method": "session.status", "params": {}, "goog:channel": "x", "other": [null]}"#,
        r#"{"type": "command", "params": {}, "id": 5, "method": "session.status"}"#,
        "\n\t {\"id\" : 5 ,\r\n\"method\": \"session.status\" , \"params\": { } } \n",
        r#"{"id": 5, "method": "session\u002estatus", "params": {}}"#,
    ] {
        let reply = ask(bidi, text).await.with_context(|| text.to_owned())?;
        rows.row(text, check_success(&reply, &json!(5)).map(drop));
    }
    rows.done()
}

async fn sessionless(fixture: &Fixture) -> Result<()> {
    let mut bidi = fixture.bare_socket().await?;
    let own = COMMANDS.into_iter().flat_map(|(module, names)| {
        names.split_whitespace().map(move |name| format!("{module}.{name}"))
    });
    let all = own.chain(MORE.map(ToOwned::to_owned));
    let messages: Vec<(String, Value)> = all
        .map(|method| (json!({"id": 8, "method": method, "params": {}}).to_string(), json!(8)))
        .collect();
    errors(&mut bidi, "invalid session id", &messages).await
}

async fn of_browser(fixture: &Fixture) -> Result<()> {
    let mut bidi = of_session(fixture).await?;
    let mut rows = Rows::default();
    for (id, method, params, code) in [
        (11, "browsingContext.getTree", json!({"root": "none"}), "no such frame"),
        (12, "browsingContext.getTree", json!({"maxDepth": "deep"}), "invalid argument"),
        (13, "script.evaluate", json!({}), "invalid argument"),
        (14, "script.removePreloadScript", json!({"script": "none"}), "no such script"),
        (15, "network.removeIntercept", json!({"intercept": "none"}), "no such intercept"),
        (16, "browser.removeUserContext", json!({"userContext": "none"}), "no such user context"),
    ] {
        let message = json!({"id": id, "method": method, "params": params});
        let reply = ask(&mut bidi, &message.to_string()).await.context(method)?;
        rows.row(&message, check_error(&reply, &json!(id), code));
    }
    rows.done()
}

async fn many(bidi: &mut Bidi) -> Result<()> {
    let ids: Vec<u64> = (100..150).collect();
    for id in &ids {
        bidi.send_text(json!({"id": id, "method": "session.status", "params": {}}).to_string())
            .await?;
    }
    let mut answered = Vec::new();
    for _ in &ids {
        let reply = bidi.next_reply().await?;
        check_success(&reply, &reply["id"])?;
        answered.push(reply["id"].as_u64().context("an id")?);
    }
    // Commands may finish in any order (BiDi, "Commands").
    answered.sort_unstable();
    ensure!(answered == ids, "{answered:?} were answered");
    Ok(())
}

async fn behind_new(fixture: &Fixture) -> Result<()> {
    let mut bidi = fixture.bare_socket().await?;
    for (id, method, params) in [
        (1, "session.new", fixture.wanted_by_bidi()),
        (2, "browsingContext.getTree", json!({})),
        (3, "session.status", json!({})),
        (4, "session.new", fixture.wanted_by_bidi()),
        (5, "foo.bar", json!({})),
    ] {
        bidi.send_text(json!({"id": id, "method": method, "params": params}).to_string()).await?;
    }
    let mut replies = Vec::new();
    for _ in 1..=5 {
        replies.push(bidi.next_reply().await?);
    }
    ensure!(replies[4]["id"] == 1, "session.new was not the last: {}", replies[4]);
    replies.sort_by_key(|reply| reply["id"].as_u64());
    check_success(&replies[0], &json!(1)).context("session.new")?;
    check_error(&replies[1], &json!(2), "invalid session id")?;
    check_success(&replies[2], &json!(3)).context("session.status")?;
    check_error(&replies[3], &json!(4), "session not created")?;
    check_error(&replies[4], &json!(5), "unknown command")?;
    // What comes behind the reply is the session's.
    let tree = bidi.command("browsingContext.getTree", json!({})).await?;
    ensure!(tree["contexts"].is_array(), "{tree}");
    bidi.command("session.end", json!({})).await.map(drop)
}

async fn behind_failure(fixture: &Fixture) -> Result<()> {
    let mut bidi = fixture.bare_socket().await?;
    let refused =
        json!({"capabilities": {"alwaysMatch": {"browserName": crate::fixture::NO_BROWSER}}});
    bidi.send_text(json!({"id": 1, "method": "session.new", "params": refused}).to_string())
        .await?;
    bidi.send_text(json!({"id": 2, "method": "browsingContext.getTree", "params": {}}).to_string())
        .await?;
    bidi.send_text(json!({"id": 3, "method": "session.status", "params": {}}).to_string()).await?;
    let mut replies =
        [bidi.next_reply().await?, bidi.next_reply().await?, bidi.next_reply().await?];
    replies.sort_by_key(|reply| reply["id"].as_u64());
    check_error(&replies[0], &json!(1), "session not created")?;
    check_error(&replies[1], &json!(2), "invalid session id")?;
    check_success(&replies[2], &json!(3)).map(drop)
}
