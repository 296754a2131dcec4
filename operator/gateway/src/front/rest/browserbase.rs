//! The Browserbase API. A project is a namespace.

mod create;
mod view;

use std::sync::Arc;

use crds::Phase;
use http::{Method, StatusCode};
use net::{forward::BROWSERBASE_KEY, request::Incoming};
use serde_json::{Value, json};
use warp::reply::Response;

use super::{
    Request, Style, admit, fields::Fields, http_base, json_reply, link, problem::Problem, records,
    socket_base,
};
use crate::{
    caller::Caller,
    front::{Gateway, cdp},
    metrics::Front,
};

const STYLE: Style = Style {
    key: BROWSERBASE_KEY,
    front: Front::Browserbase,
    problem: Problem::browserbase,
    names: &[
        ("spec.region", &["region"]),
        ("spec.userMetadata", &["userMetadata"]),
        ("spec.os", &["browserSettings", "os"]),
        ("spec.features.solveCaptchas", &["browserSettings", "solveCaptchas"]),
        ("spec.features.captchaImageSelector", &["browserSettings", "captchaImageSelector"]),
        ("spec.features.captchaInputSelector", &["browserSettings", "captchaInputSelector"]),
        ("spec.features.advancedStealth", &["browserSettings", "advancedStealth"]),
        ("spec.features.verified", &["browserSettings", "verified"]),
    ],
};

/// What is not ours to do, by the first part of its path.
const ELSEWHERE: [&str; 7] =
    ["agents", "certificates", "fetch", "functions", "search", "secrets", "webhooks"];

/// Answers a request below `/v1/`.
pub async fn run(gateway: Arc<Gateway>, incoming: Incoming) -> Response {
    super::run(gateway, incoming, &STYLE, answer).await
}

async fn answer(gateway: &Gateway, request: &Request) -> Result<Response, Problem> {
    let path: Vec<String> =
        request.path.trim_end_matches('/').split('/').skip(2).map(ToOwned::to_owned).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (get, post) = (request.method == Method::GET, request.method == Method::POST);
    match path.as_slice() {
        ["sessions"] if post => make(gateway, request).await,
        ["sessions"] if get => list(gateway, request).await,
        ["sessions", id] if get => {
            let caller = admit(gateway, request, &STYLE, "get").await?;
            let record = records::find(gateway, &caller, id).await?;
            Ok(json_reply(StatusCode::OK, &with_urls(gateway, request, &record)))
        }
        ["sessions", id] if post => update(gateway, request, id).await,
        ["sessions", id, "debug"] if get => debug(gateway, request, id).await,
        ["sessions", _, "logs" | "recording" | "replays" | "downloads" | "uploads", ..] => {
            Err(Problem::NotImplemented(format!(
                "{} of sessions are not kept in this version",
                path.get(2).copied().unwrap_or_default()
            )))
        }
        ["projects"] if get => {
            let caller = admit(gateway, request, &STYLE, "list").await?;
            Ok(json_reply(StatusCode::OK, &json!([project(gateway, &caller).await?])))
        }
        ["projects", id] if get => {
            let caller = own_project(gateway, request, id).await?;
            Ok(json_reply(StatusCode::OK, &project(gateway, &caller).await?))
        }
        ["projects", id, "usage"] if get => {
            let caller = own_project(gateway, request, id).await?;
            let records = records::list(gateway, &caller).await?;
            Ok(json_reply(StatusCode::OK, &view::usage(&records, (gateway.clock)())))
        }
        ["contexts" | "extensions", ..] => {
            Err(Problem::NotImplemented(format!("{} are not available in this version", path[0])))
        }
        [other, ..] if ELSEWHERE.contains(other) => Err(Problem::NotImplemented(format!(
            "this gateway has sessions; {other} are not its to serve"
        ))),
        ["sessions"] | ["sessions", _] | ["sessions", _, "debug"] | ["projects", ..] => {
            Err(Problem::MethodNotAllowed)
        }
        _ => Err(Problem::NotFound("there is nothing at this path".to_owned())),
    }
}

async fn make(gateway: &Gateway, request: &Request) -> Result<Response, Problem> {
    let caller = admit(gateway, request, &STYLE, "create").await?;
    let spec = create::read(&request.body().await?, &caller.namespace)?;
    let front = json!({"api": "browserbase"});
    let (record, abandon) = super::create(gateway, &caller, &STYLE, spec, front).await?;
    abandon.disarm();
    Ok(json_reply(StatusCode::CREATED, &with_urls(gateway, request, &record)))
}

async fn list(gateway: &Gateway, request: &Request) -> Result<Response, Problem> {
    let caller = admit(gateway, request, &STYLE, "list").await?;
    let status = match request.parameter("status") {
        None => None,
        Some(status) if view::STATUSES.contains(&status.as_str()) => Some(status),
        Some(_) => {
            let message = format!("must be one of {}", view::STATUSES.join(", "));
            return Err(Problem::fault(&["query", "status"], "enum", message));
        }
    };
    let wanted = request.parameter("q").map(|q| view::query(&q)).transpose()?;
    let records = records::list(gateway, &caller).await?;
    let shown: Vec<Value> = records
        .iter()
        .filter(|record| status.as_ref().is_none_or(|status| view::status(record) == status))
        .filter(|record| wanted.as_ref().is_none_or(|wanted| wanted.matches(record)))
        .map(view::session)
        .collect();
    Ok(json_reply(StatusCode::OK, &shown.into()))
}

async fn update(gateway: &Gateway, request: &Request, id: &str) -> Result<Response, Problem> {
    let caller = admit(gateway, request, &STYLE, "patch").await?;
    let mut fields = Fields::of_body(&request.body().await?, false)?;
    if !fields.has("status") {
        fields.missing("status");
    }
    fields.word("status", &["REQUEST_RELEASE"]);
    create::project(&mut fields, &caller.namespace);
    fields.done()?;
    let record = records::find(gateway, &caller, id).await?;
    let released = records::release(gateway, record).await?;
    Ok(json_reply(StatusCode::OK, &view::session(&released)))
}

/// The session with its URLs, while it lives.
fn with_urls(gateway: &Gateway, request: &Request, record: &records::Record) -> Value {
    let mut session = view::session(record);
    if view::status(record) == view::RUNNING {
        let link = link(gateway, record);
        let connect =
            format!("{}/cdp/{}?signingKey={link}", socket_base(gateway, request), record.id);
        session["connectUrl"] = connect.into();
        session["seleniumRemoteUrl"] = format!("{}/webdriver", http_base(gateway, request)).into();
        session["signingKey"] = link.into();
    }
    session
}

async fn debug(gateway: &Gateway, request: &Request, id: &str) -> Result<Response, Problem> {
    let caller = admit(gateway, request, &STYLE, "get").await?;
    let record = records::find(gateway, &caller, id).await?;
    let entry = gateway.directory.find(&record.id).await.map_err(|error| match record.phase() {
        Phase::Pending | Phase::Starting => {
            Problem::NotFound("the session has no browser yet".to_owned())
        }
        _ => Problem::Gone(error.message),
    })?;
    let (base, link) = (socket_base(gateway, request), link(gateway, &record));
    let socket = |path: &str| format!("{base}/cdp/{}{path}?signingKey={link}", record.id);
    let pages: Vec<Value> = cdp::pages(&entry)
        .await
        .map_err(|error| Problem::Failed(format!("the browser gave no answer: {error}")))?
        .into_iter()
        .map(|page| {
            let url = view::inspector(&socket(&format!("/devtools/page/{}", page.id)));
            json!({
                "id": page.id, "url": page.url, "title": page.title, "faviconUrl": page.favicon_url,
                "debuggerUrl": url, "debuggerFullscreenUrl": url,
            })
        })
        .collect();
    let first = pages.first().map_or(Value::Null, |page| page["debuggerUrl"].clone());
    Ok(json_reply(
        StatusCode::OK,
        &json!({
            "debuggerUrl": first, "debuggerFullscreenUrl": first, "wsUrl": socket(""), "pages": pages,
        }),
    ))
}

async fn own_project(gateway: &Gateway, request: &Request, id: &str) -> Result<Caller, Problem> {
    let caller = admit(gateway, request, &STYLE, "list").await?;
    if caller.namespace == id {
        Ok(caller)
    } else {
        Err(Problem::NotFound("Project not found".to_owned()))
    }
}

async fn project(gateway: &Gateway, caller: &Caller) -> Result<Value, Problem> {
    let records = records::list(gateway, caller).await?;
    let classes = gateway.classes.all();
    Ok(view::project(&caller.namespace, &records, &classes))
}
