//! What a request costs whose sender is nobody, on every face: the real gateway on a real socket, an API server that knows no token, and
//! an allocator that counts. `cargo test -p gateway --test unauthenticated -- --nocapture` prints the tables of docs/access.md.

use std::{fmt::Write as _, time::Duration};

use agent_api::installation_key::InstallationKey;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use gateway::{Clients, ServiceSettings, Settings, UrlSettings};
use http::Response;
use http_body_util::Full;
use jiff::Timestamp;
use kube::Client;
use peak_alloc::PeakAlloc;
use prometheus_client::registry::Registry;
use support::health::Ready;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most bytes that a request may take whose sender is refused: its connection's buffers, and little more.
const NOBODY: usize = 256 << 10;
/// The same where no credentials are needed, and the body is read.
const ANYBODY: usize = 3 << 20;
const LIMIT: Duration = Duration::from_secs(10);

/// An API server without an object, which knows no token.
fn api_server() -> Client {
    let service = service_fn(|request: http::Request<kube::client::Body>| async move {
        let is_review = request.uri().path().ends_with("/tokenreviews");
        let (status, body) = if is_review {
            (201, r#"{"spec": {}, "status": {"authenticated": false}}"#)
        } else {
            (404, r#"{"kind": "Status", "status": "Failure", "code": 404}"#)
        };
        Response::builder().status(status).body(Full::new(Bytes::from(body)))
    });
    Client::new(service, "default")
}

/// Starts a gateway, and gives its address.
async fn start(anonymous_namespace: Option<&str>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let settings = Settings {
        controller_name: "example.com/any".to_owned(),
        scope: support::watch::Scope::All,
        controller_lease: "lease".to_owned(),
        namespace: "operator".to_owned(),
        anonymous_namespace: anonymous_namespace.map(ToOwned::to_owned),
        urls: UrlSettings::default(),
        services: ServiceSettings::default(),
        cdp_on_demand: true,
        allowed_origins: Vec::new(),
        clock: || Timestamp::UNIX_EPOCH,
        create_timeout: LIMIT,
        keep_alive: Duration::from_secs(620),
        drain: Duration::ZERO,
    };
    let clients = Clients { watching: api_server(), writing: api_server() };
    let key = InstallationKey::new(&[7; 32]).context("a key")?;
    let metrics = gateway::metrics(&mut Registry::default());
    let (ready, stop) = (Ready::default(), CancellationToken::new());
    tokio::spawn(gateway::run(clients, key, settings, metrics, listener, ready, stop));
    Ok(address)
}

struct Case {
    face: &'static str,
    what: &'static str,
    bytes: Vec<u8>,
    /// What the answer must have in it.
    answer: &'static str,
}

fn case(face: &'static str, what: &'static str, bytes: Vec<u8>, answer: &'static str) -> Case {
    Case { face, what, bytes, answer }
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n{headers}\r\n")
        .into_bytes()
}

/// A handshake and one message behind it.
fn socket(path: &str, message: &str) -> Vec<u8> {
    let mut bytes = format!(
        "GET {path} HTTP/1.1\r\nhost: gateway\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    bytes.extend([0x81, 0xff]);
    bytes.extend((message.len() as u64).to_be_bytes());
    // A mask of zeros changes nothing.
    bytes.extend([0; 4]);
    bytes.extend(message.as_bytes());
    bytes
}

fn command(params: &str) -> String {
    format!(r#"{{"id": 1, "method": "session.new", "params": {params}}}"#)
}

/// As many alternatives as fit, beside 50 KiB that each would be merged with.
fn alternatives(size: usize) -> String {
    let always = "x".repeat(50 << 10);
    let first = vec!["{}"; (size - always.len() - 200) / 3].join(",");
    format!(
        r#"{{"capabilities": {{"alwaysMatch": {{"a:b": "{always}"}}, "firstMatch": [{first}]}}}}"#
    )
}

fn nested(size: usize) -> String {
    let levels = (size - 100) / 2;
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    format!(r#"{{"capabilities": {{}}, "userMetadata": {open}{close}}}"#)
}

fn members(size: usize) -> String {
    let mut body = String::from(r#"{"userMetadata": {"#);
    for n in 0.. {
        if body.len() + 20 > size {
            break;
        }
        let _ = write!(body, r#""{n}":{{}},"#);
    }
    body + r#""x": 0}}"#
}

const CLASSIC: &str = "WebDriver Classic";
const BIDI: &str = "WebDriver BiDi";
const BROWSERBASE: &str = "Browserbase";
const BROWSER_USE: &str = "Browser Use";

/// What is sent to a gateway that wants credentials.
fn of_nobody() -> Vec<Case> {
    let long = "x".repeat(28 << 10);
    let token = format!("authorization: Bearer {long}\r\n");
    let key = format!("x-bb-api-key: {long}\r\n");
    let cookies = format!("cookie: {long}\r\n");
    let many: String = (0..120).map(|n| format!("x-{n}: {}\r\n", "x".repeat(200))).collect();
    let large = alternatives(512 << 10);
    vec![
        case(CLASSIC, "no key, a body", post("/session", "", &large), "401"),
        case(CLASSIC, "wrong token of 28 KiB, a body", post("/session", &token, &large), "401"),
        case(CLASSIC, "unknown path, a body", post("/nothing", "", &large), "404"),
        case(CLASSIC, "unknown session, a body", post("/session/a/url", "", &large), "404"),
        case(CLASSIC, "a header of 28 KiB", get("/status", &cookies), "200"),
        case(CLASSIC, "120 headers", get("/status", &many), "200"),
        case(BROWSERBASE, "no key, a body", post("/v1/sessions", "", &large), "401"),
        case(BROWSERBASE, "wrong key of 28 KiB, a body", post("/v1/sessions", &key, &large), "401"),
        case(BROWSERBASE, "Selenium, no key", post("/webdriver/session", "", &large), "401"),
        case(BROWSER_USE, "no key, a body", post("/api/v2/browsers", "", &large), "401"),
        case("CDP", "no key", get("/json/version", ""), "401"),
        case(
            "CDP",
            "signing key of 28 KiB",
            get(&format!("/json/version?signingKey={long}"), ""),
            "401",
        ),
        case("share", "token of 28 KiB", get(&format!("/share/{long}"), ""), "404"),
        case("pages", "`/`", get("/", ""), "200"),
        case("pages", "`/openapi.json`", get("/openapi.json", ""), "200"),
        case(
            BIDI,
            "`session.new` of 15 KiB",
            socket("/session", &command(&members(15 << 10))),
            "session not created",
        ),
        case(
            BIDI,
            "`session.new` of 500 KiB",
            socket("/session", &command(&alternatives(500 << 10))),
            "needs credentials",
        ),
        case(BIDI, "unknown session", socket("/session/a", "{}"), "404"),
    ]
}

/// What is sent to a gateway that wants none.
fn of_anybody() -> Vec<Case> {
    let mut cases = Vec::new();
    for (face, path, size, refused) in [
        (CLASSIC, "/session", 512 << 10, "400"),
        (BROWSERBASE, "/v1/sessions", 256 << 10, "400"),
        (BROWSER_USE, "/api/v2/sessions", 256 << 10, "422"),
    ] {
        let string = format!("\"{}\"", "x".repeat(size - 2));
        cases.extend([
            case(face, "alternatives", post(path, "", &alternatives(size)), refused),
            case(face, "levels", post(path, "", &nested(size)), refused),
            case(face, "members", post(path, "", &members(size)), refused),
            case(face, "one string", post(path, "", &string), refused),
            case(face, "4,000 members", post(path, "", &members(38 << 10)), refused),
        ]);
    }
    let size = 500 << 10;
    // As few as may be counted, beside as much as fits.
    let beside = format!(
        r#"{{"capabilities": {{"alwaysMatch": {{"a:b": "{}"}}, "firstMatch": [{}]}}}}"#,
        "x".repeat(480 << 10),
        vec!["{}"; 4000].join(",")
    );
    let bytes = post("/session", "", &beside);
    cases.push(case(CLASSIC, "4,000 alternatives", bytes, "400"));
    let bytes = socket("/session", &command(&beside));
    cases.push(case(BIDI, "4,000 alternatives", bytes, "invalid argument"));
    for (what, params) in
        [("alternatives", alternatives(size)), ("levels", nested(size)), ("members", members(size))]
    {
        let bytes = socket("/session", &command(&params));
        cases.push(case(BIDI, what, bytes, "invalid argument"));
    }
    cases
}

/// Sends bytes, reads until the answer is there, and gives the peak of what was allocated meanwhile, and how long it took.
async fn measure(address: &str, case: &Case, heard: &mut Vec<u8>) -> Result<(usize, Duration)> {
    heard.clear();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let begun = Instant::now();
    let (mut from, mut to) = TcpStream::connect(address).await?.into_split();
    let answer = case.answer.as_bytes();
    let has_it = |heard: &[u8]| heard.windows(answer.len()).any(|window| window == answer);
    let hear = async {
        while !has_it(heard) {
            if from.read_buf(heard).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    // The gateway may close before it has read all.
    let (_, heard_it) = tokio::join!(to.write_all(&case.bytes), timeout(LIMIT, hear));
    let took = begun.elapsed();
    let Case { face, what, .. } = case;
    let shown = String::from_utf8_lossy(&heard[..heard.len().min(400)]);
    ensure!(heard_it.is_ok() && has_it(heard), "{face}: {what}: {shown:?}, not {}", case.answer);
    Ok((MEMORY.peak_usage().saturating_sub(before), took))
}

#[tokio::test]
async fn whoever_is_nobody_costs_next_to_nothing() -> Result<()> {
    let mut heard = Vec::with_capacity(1 << 20);
    let mut table = String::new();
    for (anonymous, cases, limit) in
        [(None, of_nobody(), NOBODY), (Some("open"), of_anybody(), ANYBODY)]
    {
        let address = start(anonymous).await?;
        // The first request makes what every later one uses.
        for path in ["/status", "/openapi.json", "/"] {
            measure(&address, &case("", path, get(path, ""), "200"), &mut heard).await?;
        }
        table += "| face | input | bytes sent | peak bytes | µs |\n|---|---|---|---|---|\n";
        for case in cases {
            let (peak, took) = measure(&address, &case, &mut heard).await?;
            let Case { face, what, bytes, .. } = case;
            let (sent, took) = (bytes.len(), took.as_micros());
            let _ = writeln!(table, "| {face} | {what} | {sent} | {peak} | {took} |");
            ensure!(peak <= limit, "{face}: {what}: {peak} bytes\n{table}");
        }
    }
    println!("{table}");
    Ok(())
}
