//! Several sockets of one session, and its events (B.6).

use anyhow::{Context, Result, ensure};
use e2e::Bidi;
use serde_json::{Value, json};

use crate::{
    fixture::Fixture,
    rows::Rows,
    rule::{Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("B.6", "an answer goes to its asker only, with the asker's id", answers),
        rule("B.6", "an event goes to every socket of the session", events),
        rule("B.6", "session.unsubscribe ends a subscription, by event and by id", unsubscribing),
        rule(
            "B.6",
            "session.subscribe with contexts and userContexts is invalid argument",
            both_kinds,
        ),
        rule("B.6", "session.subscribe and unsubscribe refuse what they do not know", unknown),
    ]
}

async fn answers(fixture: &Fixture) -> Result<()> {
    let session = fixture.shared().await?;
    let (mut one, mut other) = (fixture.socket(session).await?, fixture.socket(session).await?);
    let tree = json!({"id": 1, "method": "browsingContext.getTree", "params": {}}).to_string();
    let realms = json!({"id": 1, "method": "script.getRealms", "params": {}}).to_string();
    for _ in 0..10 {
        tokio::try_join!(one.send_text(tree.clone()), other.send_text(realms.clone()))?;
        let (first, second) = tokio::try_join!(one.next_reply(), other.next_reply())?;
        ensure!(
            first["id"] == 1 && first["result"]["contexts"].is_array(),
            "the one hears {first}"
        );
        ensure!(
            second["id"] == 1 && second["result"]["realms"].is_array(),
            "the other hears {second}"
        );
    }
    for _ in 0..5 {
        one.context().await?;
    }
    // What comes next on the other one is its own answer.
    other
        .send_text(json!({"id": 77, "method": "session.status", "params": {}}).to_string())
        .await?;
    let heard = other.next_reply().await?;
    ensure!(heard["id"] == 77, "the other hears {heard}");
    Ok(())
}

/// Writes to the page's log, which is an event for all.
async fn log(bidi: &mut Bidi, text: &str) -> Result<()> {
    let context = bidi.context().await?;
    bidi.evaluate(&context, &format!("console.log({text:?})")).await.map(drop)
}

/// Waits for the log entry with that text.
async fn hears(bidi: &mut Bidi, text: &str) -> Result<()> {
    loop {
        let entry = bidi.event("log.entryAdded").await.with_context(|| text.to_owned())?;
        if entry["text"] == text {
            return Ok(());
        }
    }
}

async fn events(fixture: &Fixture) -> Result<()> {
    fixture
        .with_session(json!({"webSocketUrl": true}), async |session| {
            let (mut one, mut other) =
                (fixture.socket(session).await?, fixture.socket(session).await?);
            let events = json!({"events": ["log.entryAdded"]});
            let result = one.command("session.subscribe", events).await?;
            ensure!(result["subscription"].is_string(), "{result}");
            log(&mut one, "from the one").await?;
            log(&mut other, "from the other").await?;
            let mut late = fixture.socket(session).await?;
            log(&mut one, "to all three").await?;
            for text in ["from the one", "from the other", "to all three"] {
                hears(&mut one, text).await.context("the subscriber")?;
                hears(&mut other, text).await.context("the other")?;
            }
            hears(&mut late, "to all three").await.context("one that came later")?;
            // The subscription is the session's, not the socket's.
            one.close().await?;
            log(&mut other, "without the subscriber").await?;
            hears(&mut other, "without the subscriber").await
        })
        .await
}

async fn unsubscribing(fixture: &Fixture) -> Result<()> {
    fixture
        .with_session(json!({"webSocketUrl": true}), async |session| {
            let mut bidi = fixture.socket(session).await?;
            let subscribe = json!({"events": ["log.entryAdded"]});
            for by_id in [true, false] {
                let made = bidi.command("session.subscribe", subscribe.clone()).await?;
                log(&mut bidi, "heard").await?;
                hears(&mut bidi, "heard").await?;
                let end = if by_id {
                    json!({"subscriptions": [made["subscription"]]})
                } else {
                    subscribe.clone()
                };
                let result = bidi.command("session.unsubscribe", end).await?;
                ensure!(result == json!({}), "session.unsubscribe: {result}");
                log(&mut bidi, "not heard").await?;
                // An event that was on its way would be here before the answer to a later command.
                bidi.context().await?;
                let heard = bidi.events_so_far();
                let wrong: Vec<&Value> =
                    heard.iter().filter(|event| event["params"]["text"] == "not heard").collect();
                ensure!(wrong.is_empty(), "by {}: {wrong:?}", if by_id { "id" } else { "event" });
            }
            Ok(())
        })
        .await
}

async fn both_kinds(fixture: &Fixture) -> Result<()> {
    let mut bidi = fixture.socket(fixture.shared().await?).await?;
    let context = bidi.context().await?;
    let params =
        json!({"events": ["log.entryAdded"], "contexts": [context], "userContexts": ["default"]});
    let code = bidi.failure("session.subscribe", params).await?;
    ensure!(code == "invalid argument", "{code}");
    Ok(())
}

async fn unknown(fixture: &Fixture) -> Result<()> {
    let mut bidi = fixture.socket(fixture.shared().await?).await?;
    let mut rows = Rows::default();
    for (method, params, wanted) in [
        ("session.subscribe", json!({}), "invalid argument"),
        ("session.subscribe", json!({"events": []}), "invalid argument"),
        ("session.subscribe", json!({"events": "log.entryAdded"}), "invalid argument"),
        ("session.subscribe", json!({"events": ["log.nothing"]}), "invalid argument"),
        ("session.subscribe", json!({"events": ["nothing"]}), "invalid argument"),
        (
            "session.subscribe",
            json!({"events": ["log.entryAdded"], "contexts": ["none"]}),
            "no such frame",
        ),
        ("session.unsubscribe", json!({}), "invalid argument"),
        ("session.unsubscribe", json!({"subscriptions": ["none"]}), "invalid argument"),
        (
            "session.unsubscribe",
            json!({"events": ["network.responseCompleted"]}),
            "invalid argument",
        ),
    ] {
        let name = format!("{method} {params}");
        let outcome = bidi.failure(method, params).await.and_then(|code| {
            ensure!(code == wanted, "{code}, not {wanted}");
            Ok(())
        });
        rows.row(name, outcome);
    }
    rows.done()
}
