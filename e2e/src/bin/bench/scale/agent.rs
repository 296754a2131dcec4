//! One agent for all pods that kwok plays: it tells them apart by the address that it is asked at.

use std::{convert::Infallible, fs::File, net::Ipv4Addr, time::Duration};

use agent_api::{
    bind::{BindReply, BindRequest},
    paths::{
        AGENT_PORT, AUTHENTICATE_PATH, BIND_PATH, CHALLENGE_HEADER, END_PATH, PROOF_HEADER,
        PROVE_PATH,
    },
    pod_token::TokenHash,
};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use nix::sched::{CloneFlags, setns};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::seen::{Agents, Seen};

/// How far the watch of the pods may be behind the controller's.
const WATCH_LAG: Duration = Duration::from_secs(10);
const BACKLOG: u32 = 4096;

/// The browser's, which the class says too.
pub const VERSION: &str = "156.0.8078.79";

/// Listens in another network, given as a file of `/proc`, for what comes from that interface.
pub fn listen(network: File, interface: &str) -> Result<TcpListener> {
    // A socket belongs to the network that its thread is in when it is made.
    let making = std::thread::spawn(move || -> Result<TcpSocket> {
        setns(network, CloneFlags::CLONE_NEWNET).context("enter the node's network")?;
        TcpSocket::new_v4().context("a socket")
    });
    let socket = making.join().unwrap_or_else(|_| bail!("a thread panicked"))?;
    socket.set_reuseaddr(true)?;
    socket.bind_device(Some(interface.as_bytes())).with_context(|| interface.to_owned())?;
    socket.bind((Ipv4Addr::UNSPECIFIED, AGENT_PORT).into()).context("bind to the agents' port")?;
    socket.listen(BACKLOG).context("listen on the agents' port")
}

/// Answers for as long as it is polled.
pub async fn serve(listener: TcpListener, agents: watch::Receiver<Seen<Agents>>) -> Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("accept a connection of the controller's")?;
                connections.spawn(carry(stream, agents.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(stream: TcpStream, mut agents: watch::Receiver<Seen<Agents>>) {
    let Ok(address) = stream.local_addr() else { return };
    let known = agents.wait_for(|agents| agents.learnt.contains_key(&address.ip()));
    let hash = match timeout(WATCH_LAG, known).await {
        Ok(Ok(agents)) => agents.learnt[&address.ip()].clone(),
        _ => return eprintln!("nobody knows a pod at {}", address.ip()),
    };
    let service = service_fn(|request| answer(request, &hash));
    // Whoever hangs up has what they wanted.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Reply = Response<Full<Bytes>>;

async fn answer(request: Request<Incoming>, hash: &TokenHash) -> Result<Reply, Infallible> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let method_and_path = (request.method().clone(), request.uri().path().to_owned());
    Ok(match (method_and_path.0, method_and_path.1.as_str()) {
        (Method::GET, PROVE_PATH) => {
            let proof = hash.prove(header(CHALLENGE_HEADER).unwrap_or_default());
            let mut reply = empty(StatusCode::NO_CONTENT);
            if let Ok(proof) = proof.parse() {
                reply.headers_mut().insert(PROOF_HEADER, proof);
            }
            reply
        }
        (Method::GET, AUTHENTICATE_PATH) => {
            let shown = header(header::AUTHORIZATION.as_str());
            let shown = shown.and_then(|shown| shown.strip_prefix("Bearer ")).unwrap_or_default();
            let accepted = hash.accepts(shown);
            empty(if accepted { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED })
        }
        (Method::POST, BIND_PATH) => bind(request).await.unwrap_or_else(|error| {
            eprintln!("a bind: {error:#}");
            empty(StatusCode::BAD_REQUEST)
        }),
        (Method::POST, END_PATH) => empty(StatusCode::ACCEPTED),
        _ => empty(StatusCode::NOT_FOUND),
    })
}

async fn bind(request: Request<Incoming>) -> Result<Reply> {
    let body = request.into_body().collect().await.context("read it")?.to_bytes();
    let BindRequest { session, .. } = serde_json::from_slice(&body).context("its message")?;
    // About as much as Chromium's driver says.
    let mut matched = json!({
        "acceptInsecureCerts": false,
        "browserName": "chrome",
        "browserVersion": VERSION,
        "chrome": {
            "chromedriverVersion": "156.0.8078.79 (0123456789abcdef0123456789abcdef01234567-refs/branch-heads/8078@{#1})",
            "userDataDir": "/tmp/org.chromium.Chromium.scoped_dir.0123456789",
        },
        "fedcm:accounts": true,
        "goog:chromeOptions": {"debuggerAddress": "localhost:40000"},
        "goog:processID": 100,
        "networkConnectionEnabled": false,
        "pageLoadStrategy": "normal",
        "platformName": "linux",
        "proxy": {},
        "setWindowRect": true,
        "strictFileInteractability": false,
        "timeouts": {"implicit": 0, "pageLoad": 300_000, "script": 30_000},
        "unhandledPromptBehavior": "dismiss and notify",
        "webauthn:extension:credBlob": true,
        "webauthn:extension:largeBlob": true,
        "webauthn:extension:minPinLength": true,
        "webauthn:extension:prf": true,
        "webauthn:virtualAuthenticators": true,
    });
    let mut capabilities = session.capabilities;
    capabilities.append(matched.as_object_mut().context("an object")?);
    let reply = BindReply {
        capabilities,
        bidi: false,
        dev_tools: false,
        egress: true,
        guard_lists: true,
        warnings: Vec::new(),
    };
    Ok(Response::new(Full::from(serde_json::to_vec(&reply)?)))
}

fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}
