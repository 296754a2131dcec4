//! The Browser Use API: its sessions and its browsers, under v2, and the same under v3 and v4 where they are the same.
//! Its agents' work is not ours.

mod create;
mod view;

use std::sync::Arc;

use http::{Method, StatusCode};
use kube::ResourceExt;
use net::{forward::BROWSER_USE_KEY, request::Incoming};
use serde_json::{Value, json};
use warp::{Reply, reply::Response};

use super::{
    Request, Style, admit,
    fields::Fields,
    http_base, json_reply, link,
    problem::Problem,
    records::{self, Record},
};
use crate::{
    caller::Caller,
    front::Gateway,
    metrics::Front,
    share::{self, Share},
};

const STYLE: Style = Style {
    key: BROWSER_USE_KEY,
    front: Front::BrowserUse,
    problem: Problem::browser_use,
    names: &[("spec.features.solveCaptchas", &["solveCaptchas"])],
};

/// What runs agents or keeps what they need, by the first part of its path.
const AGENTS: [&str; 14] = [
    "tasks",
    "files",
    "profiles",
    "billing",
    "skills",
    "marketplace",
    "messages",
    "workspaces",
    "runs",
    "queue",
    "extensions",
    "account",
    "integrations",
    "scheduled-tasks",
];

/// Answers a request below `/api/v2/`, `/api/v3/` or `/api/v4/`.
pub async fn run(gateway: Arc<Gateway>, incoming: Incoming) -> Response {
    super::run(gateway, incoming, &STYLE, answer).await
}

/// Which of its two kinds of session a path is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sessions,
    Browsers,
}

async fn answer(gateway: &Gateway, request: &Request) -> Result<Response, Problem> {
    let path: Vec<String> =
        request.path.trim_end_matches('/').split('/').skip(2).map(ToOwned::to_owned).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (version, path) =
        path.split_first().map_or(("", &[][..]), |(version, path)| (*version, path));
    let kind = match path.first() {
        // In v3 and v4 a session is an agent's.
        Some(&"sessions") if version == "v2" => Kind::Sessions,
        Some(&"browsers") => Kind::Browsers,
        Some(&"sessions") => return Err(not_ours("sessions of agents")),
        Some(other) if AGENTS.contains(other) => return Err(not_ours(other)),
        _ => return Err(Problem::NotFound("Not Found".to_owned())),
    };
    match (&request.method, &path[1..]) {
        (&Method::POST, []) => make(gateway, request, kind).await,
        (&Method::GET, []) => list(gateway, request, kind).await,
        (&Method::GET, [id]) => {
            let record = own(gateway, request, id, "get").await?;
            Ok(json_reply(StatusCode::OK, &detail(gateway, request, kind, &record)))
        }
        (&Method::PATCH, [id]) => {
            let record = own(gateway, request, id, "patch").await?;
            // Not as where null is as if absent: this must be there.
            let mut fields = Fields::of_body(&request.body().await?, false)?;
            if !fields.has("action") {
                fields.missing("action");
            }
            fields.word("action", &["stop"]);
            fields.done()?;
            let record = records::release(gateway, record).await?;
            Ok(json_reply(StatusCode::OK, &detail(gateway, request, kind, &record)))
        }
        (&Method::DELETE, [id]) if kind == Kind::Sessions => {
            let record = own(gateway, request, id, "delete").await?;
            records::delete(gateway, record).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        (&Method::POST, [id, "public-share"]) if kind == Kind::Sessions => {
            let record = own(gateway, request, id, "patch").await?;
            if let Some(why) = cannot_be_shown(&record) {
                return Err(Problem::Refused(why.to_owned()));
            }
            let made = share::create(&gateway.sessions.client, &record.object).await;
            let made = made.map_err(|error| records::gone_or_failed(&error))?;
            Ok(json_reply(StatusCode::CREATED, &shared(gateway, request, &record, &made)))
        }
        (&Method::GET, [id, "public-share"]) if kind == Kind::Sessions => {
            let record = own(gateway, request, id, "get").await?;
            let none = || Problem::NotFound("Public share not found".to_owned());
            let share = Share::of(&record.object).ok_or_else(none)?;
            Ok(json_reply(StatusCode::OK, &shared(gateway, request, &record, &share)))
        }
        (&Method::DELETE, [id, "public-share"]) if kind == Kind::Sessions => {
            let record = own(gateway, request, id, "patch").await?;
            let deleted = share::delete(&gateway.sessions.client, &record.object).await;
            deleted.map_err(|error| records::gone_or_failed(&error))?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        (_, [_, "downloads", ..] | [_, "purge"]) => {
            Err(Problem::NotImplemented("nothing of a session is kept in this version".to_owned()))
        }
        (_, [] | [_] | [_, "public-share"]) => Err(Problem::MethodNotAllowed),
        _ => Err(Problem::NotFound("Not Found".to_owned())),
    }
}

fn not_ours(what: &str) -> Problem {
    Problem::NotImplemented(format!(
        "this gateway has browsers and runs no agents: {what} are not its to serve"
    ))
}

async fn make(gateway: &Gateway, request: &Request, kind: Kind) -> Result<Response, Problem> {
    let caller = admit(gateway, request, &STYLE, "create").await?;
    let (spec, noted) = match kind {
        Kind::Sessions => create::session(&request.body().await?)?,
        Kind::Browsers => create::browser(&request.body().await?)?,
    };
    let (record, abandon) = super::create(gateway, &caller, &STYLE, spec, noted).await?;
    abandon.disarm();
    Ok(json_reply(StatusCode::CREATED, &item(gateway, request, kind, &record)))
}

async fn list(gateway: &Gateway, request: &Request, kind: Kind) -> Result<Response, Problem> {
    let caller = admit(gateway, request, &STYLE, "list").await?;
    let (size, page) =
        (number(request, "pageSize", 10, 100)?, number(request, "pageNumber", 1, usize::MAX)?);
    let filter = match request.parameter("filterBy") {
        None => None,
        Some(word) if view::STATUSES.contains(&word.as_str()) => Some(word),
        Some(_) => {
            let message = format!("Input should be '{}' or '{}'", view::ACTIVE, view::STOPPED);
            return Err(Problem::fault(&["query", "filterBy"], "enum", message));
        }
    };
    let terms = if kind == Kind::Browsers { request.parameters("metadata") } else { Vec::new() };
    // Browsers here belong to no agent's session.
    let of_agent = kind == Kind::Browsers && request.parameter("agentSessionId").is_some();
    let records = records::list(gateway, &caller).await?;
    let shown: Vec<&Record> = records
        .iter()
        .filter(|_| !of_agent)
        .filter(|record| filter.as_ref().is_none_or(|filter| view::status(record) == filter))
        .filter(|record| terms.iter().all(|term| view::has_metadata(record, term)))
        .collect();
    let from = (page - 1).saturating_mul(size);
    let items: Vec<Value> = shown
        .iter()
        .skip(from)
        .take(size)
        .map(|record| item(gateway, request, kind, record))
        .collect();
    Ok(json_reply(
        StatusCode::OK,
        &json!({"items": items, "totalItems": shown.len(), "pageNumber": page, "pageSize": size}),
    ))
}

/// A parameter of a list, from 1.
fn number(request: &Request, name: &str, default: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = request.parameter(name) else { return Ok(default) };
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        Ok(0) => Err(Problem::fault(
            &["query", name],
            "greater_than_equal",
            "Input should be greater than or equal to 1",
        )),
        Ok(_) => Err(Problem::fault(
            &["query", name],
            "less_than_equal",
            format!("Input should be less than or equal to {most}"),
        )),
        Err(_) => {
            Err(Problem::fault(&["query", name], "int_parsing", "Input should be a valid integer"))
        }
    }
}

/// A session of the caller's.
async fn own(
    gateway: &Gateway,
    request: &Request,
    id: &str,
    verb: &str,
) -> Result<Record, Problem> {
    let caller: Caller = admit(gateway, request, &STYLE, verb).await?;
    if uuid::Uuid::try_parse(id).is_err() {
        return Err(Problem::fault(
            &["path", "session_id"],
            "uuid_parsing",
            "Input should be a valid UUID",
        ));
    }
    records::find(gateway, &caller, &id.to_ascii_lowercase()).await
}

/// As a list and a create call show it.
fn item(gateway: &Gateway, request: &Request, kind: Kind, record: &Record) -> Value {
    match kind {
        Kind::Sessions => view::session(record),
        Kind::Browsers => view::browser(record, cdp_url(gateway, request, record)),
    }
}

/// As the call for one shows it.
fn detail(gateway: &Gateway, request: &Request, kind: Kind, record: &Record) -> Value {
    let mut shown = item(gateway, request, kind, record);
    if kind == Kind::Sessions {
        shown["tasks"] = json!([]);
        shown["publicShareUrl"] = Share::of(&record.object)
            .map_or(Value::Null, |share| share_url(gateway, request, record, &share).into());
    }
    shown
}

/// Why nothing of a session can be shown.
fn cannot_be_shown(record: &Record) -> Option<&'static str> {
    if record.phase().is_terminal() {
        return Some("the session has ended: there is nothing to show");
    }
    let status = record.object.status.as_ref();
    let browser = status.and_then(|status| status.capabilities.as_ref()?.get("browserName"));
    let is_firefox = browser.is_some_and(|name| name == "firefox");
    is_firefox.then_some("the session's browser is Firefox, of which no pictures are taken")
}

/// How a share is shown to the session's owner.
fn shared(gateway: &Gateway, request: &Request, record: &Record, share: &Share) -> Value {
    json!({
        "shareToken": token(gateway, record, share),
        "shareUrl": share_url(gateway, request, record, share),
        "viewCount": share.views,
        "lastViewedAt": share.last_viewed_at.map(|at| at.to_string()),
    })
}

fn token(gateway: &Gateway, record: &Record, share: &Share) -> String {
    gateway.directory.share(&record.object.uid().unwrap_or_default(), share)
}

fn share_url(gateway: &Gateway, request: &Request, record: &Record, share: &Share) -> String {
    format!("{}/share/{}", http_base(gateway, request), token(gateway, record, share))
}

/// Where its browser speaks CDP, while it lives: an http URL, below which `/json/version` is.
fn cdp_url(gateway: &Gateway, request: &Request, record: &Record) -> Option<String> {
    let lives = view::status(record) == view::ACTIVE;
    let (base, link) = (http_base(gateway, request), link(gateway, record));
    lives.then(|| format!("{base}/cdp/{}?signingKey={link}", record.id))
}
