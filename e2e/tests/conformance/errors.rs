//! The errors of real browsers (WebDriver, "Errors"; A.2): each code with its status.

use anyhow::{Context, Result, ensure};
use e2e::wait::eventually;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

use crate::{
    fixture::{Fixture, Session},
    order::ELEMENT,
    reply::expect,
    rows::Rows,
    rule::{Rule, rule},
};

/// The key of a shadow root's reference.
const SHADOW: &str = "shadow-6066-11e4-a52e-4f735466cecf";
/// A page that has what can go wrong.
const PAGE: &str = "
    document.body.innerHTML = `<p id=gone>x</p><p id=hidden style='display:none'>x</p><input id=fixed disabled value=x>
        <div style='position:relative'><button id=below>x</button>
        <div style='position:absolute;inset:0;z-index:9'>above</div></div><p id=host></p>`;
    document.querySelector('#host').attachShadow({mode: 'open'}).innerHTML = '<b>x</b>';";

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.2", "each error of a browser has its code and status", codes),
        rule("A.2", "unexpected alert open tells the prompt's text as data", alert),
        rule("A.2", "a page that does not load in time is timeout", slow_page),
    ]
}

/// A browser in which something goes wrong.
struct Bad<'a> {
    fixture: &'a Fixture,
    session: &'a Session,
}

impl Bad<'_> {
    async fn run(&self, script: &str) -> Result<Value> {
        let body = json!({"script": script, "args": []});
        self.fixture.post(&self.session.path("/execute/sync"), body).await
    }

    async fn find(&self, selector: &str) -> Result<String> {
        let body = json!({"using": "css selector", "value": selector});
        let element = self.fixture.post(&self.session.path("/element"), body).await?;
        Ok(element[ELEMENT].as_str().context("an element")?.to_owned())
    }

    async fn get(&self, rest: &str, refusal: (u16, &str)) -> Result<()> {
        self.fixture.fails(Method::GET, &self.session.path(rest), None, refusal).await
    }

    async fn post(&self, rest: &str, body: Value, refusal: (u16, &str)) -> Result<()> {
        self.fixture.fails(Method::POST, &self.session.path(rest), Some(&body), refusal).await
    }
}

async fn codes(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain_alone().await?;
    let page = json!({"url": fixture.page("/")});
    fixture.post(&session.path("/url"), page).await?;
    let bad = Bad { fixture, session: &session };
    bad.run(PAGE).await?;
    let mut rows = Rows::default();
    of_elements(&bad, &mut rows).await?;
    of_shadows(&bad, &mut rows).await?;
    of_the_rest(&bad, &mut rows).await?;
    rows.done()
}

async fn of_elements(bad: &Bad<'_>, rows: &mut Rows) -> Result<()> {
    let by = |using: &str, value: &str| json!({"using": using, "value": value});
    let refusal = (404, "no such element");
    rows.row("no such element", bad.post("/element", by("css selector", "#none"), refusal).await);
    rows.row("an id of no element", bad.get("/element/none/text", refusal).await);
    let refusal = (400, "invalid selector");
    rows.row("invalid selector", bad.post("/element", by("css selector", "[["), refusal).await);
    rows.row("invalid XPath", bad.post("/elements", by("xpath", "//["), refusal).await);
    let refusal = (400, "invalid argument");
    rows.row("invalid argument", bad.post("/element", by("no strategy", "x"), refusal).await);

    let gone = bad.find("#gone").await?;
    bad.run("document.querySelector('#gone').remove()").await?;
    let refusal = (404, "stale element reference");
    rows.row("stale element", bad.get(&format!("/element/{gone}/text"), refusal).await);
    let hidden = bad.find("#hidden").await?;
    let refusal = (400, "element not interactable");
    let click = format!("/element/{hidden}/click");
    rows.row("not interactable", bad.post(&click, json!({}), refusal).await);
    let fixed = bad.find("#fixed").await?;
    let refusal = (400, "invalid element state");
    let clear = format!("/element/{fixed}/clear");
    rows.row("invalid element state", bad.post(&clear, json!({}), refusal).await);
    let below = bad.find("#below").await?;
    let refusal = (400, "element click intercepted");
    let click = format!("/element/{below}/click");
    rows.row("click intercepted", bad.post(&click, json!({}), refusal).await);
    Ok(())
}

async fn of_shadows(bad: &Bad<'_>, rows: &mut Rows) -> Result<()> {
    let below = bad.find("#below").await?;
    let refusal = (404, "no such shadow root");
    rows.row("no shadow root", bad.get(&format!("/element/{below}/shadow"), refusal).await);
    let host = bad.find("#host").await?;
    let path = bad.session.path(&format!("/element/{host}/shadow"));
    let shadow = bad.fixture.get(&path).await?;
    let shadow = shadow[SHADOW].as_str().context("a shadow root")?.to_owned();
    bad.run("document.querySelector('#host').remove()").await?;
    let find = json!({"using": "css selector", "value": "b"});
    let refusal = (404, "detached shadow root");
    let path = format!("/shadow/{shadow}/element");
    rows.row("detached shadow root", bad.post(&path, find, refusal).await);
    Ok(())
}

async fn of_the_rest(bad: &Bad<'_>, rows: &mut Rows) -> Result<()> {
    let script = |script: &str| json!({"script": script, "args": []});
    let refusal = (500, "javascript error");
    rows.row("javascript error", bad.post("/execute/sync", script("throw 'x'"), refusal).await);
    rows.row("a syntax error", bad.post("/execute/sync", script("}"), refusal).await);
    let short = json!({"script": 100});
    bad.fixture.post(&bad.session.path("/timeouts"), short).await?;
    let refusal = (500, "script timeout");
    rows.row("script timeout", bad.post("/execute/async", script(""), refusal).await);
    bad.fixture.post(&bad.session.path("/timeouts"), json!({"script": 30_000})).await?;

    rows.row("no such alert", bad.get("/alert/text", (404, "no such alert")).await);
    let accept = bad.post("/alert/accept", json!({}), (404, "no such alert")).await;
    rows.row("no such alert to accept", accept);
    rows.row("no such cookie", bad.get("/cookie/none", (404, "no such cookie")).await);
    let refusal = (404, "no such frame");
    rows.row("no such frame", bad.post("/frame", json!({"id": 42}), refusal).await);
    let refusal = (404, "no such window");
    rows.row("no such window", bad.post("/window", json!({"handle": "none"}), refusal).await);
    let cookie = json!({"cookie": {"name": "a", "value": "b", "domain": "elsewhere.example"}});
    let refusal = (400, "invalid cookie domain");
    rows.row("invalid cookie domain", bad.post("/cookie", cookie, refusal).await);
    let far = json!({"actions": [{"type": "pointer", "id": "p", "actions": [
        {"type": "pointerMove", "x": -100, "y": -100, "duration": 0},
    ]}]});
    let refusal = (500, "move target out of bounds");
    rows.row("out of bounds", bad.post("/actions", far, refusal).await);
    Ok(())
}

async fn alert(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain_alone().await?;
    let bad = Bad { fixture, session: &session };
    bad.run("setTimeout(() => alert('hear this'))").await?;
    let text = async || fixture.get(&session.path("/alert/text")).await;
    let text = eventually(Duration::from_secs(10), text).await?;
    ensure!(text == "hear this", "the alert says {text}");
    let reply = fixture.send(Method::GET, &session.path("/title"), None).await?;
    expect(&reply, (500, "unexpected alert open"))?;
    let data = &reply.body["value"]["data"];
    ensure!(*data == json!({"text": "hear this"}), "data is {data}");
    Ok(())
}

async fn slow_page(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain_alone().await?;
    let (url, timeouts) = (session.path("/url"), session.path("/timeouts"));
    fixture.post(&timeouts, json!({"pageLoad": 300})).await?;
    // Its load event comes only after two seconds of this.
    let slow =
        "data:text/html,<script>for (const t = Date.now(); Date.now() - t < 2000;);</script>";
    let slow = json!({"url": slow});
    let outcome = fixture.fails(Method::POST, &url, Some(&slow), (500, "timeout")).await;
    fixture.post(&timeouts, json!({"pageLoad": 300_000})).await?;
    fixture.post(&url, json!({"url": fixture.page("/")})).await?;
    outcome
}
