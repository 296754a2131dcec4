//! The server over pipes, with a clock that the tests move.

use std::{
    io,
    task::{Context, Poll},
};

use super::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
};
use warp::{Filter, Reply};

const LIMITS: Limits = Limits {
    headers: Duration::from_secs(10),
    idle: Duration::from_secs(620),
    connections: 2,
    linger: Duration::from_secs(2),
};

/// Accepts pipes.
struct Pipes(mpsc::Receiver<(DuplexStream, SocketAddr)>);

impl Listener for Pipes {
    type Io = DuplexStream;
    type Addr = SocketAddr;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(DuplexStream, SocketAddr)>> {
        self.0.poll_recv(cx).map(|accepted| Ok(accepted.unwrap()))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([192, 0, 2, 1], 1)))
    }
}

struct Server {
    connect: mpsc::Sender<(DuplexStream, SocketAddr)>,
    stop: CancellationToken,
    tasks: TaskTracker,
    serving: JoinHandle<()>,
}

impl Server {
    /// Answers with the client's address; panics on `/panic`, is silent on `/never`, and has much to say on
    /// `/long`.
    fn start() -> Self {
        let (connect, accept) = mpsc::channel(1);
        let routes = warp::path::full().and(warp::ext::get::<Connection>()).then(
            async |path: warp::path::FullPath, connection: Connection| match path.as_str() {
                "/panic" => panic!("{}", path.as_str()),
                "/never" => std::future::pending().await,
                "/long" => vec![b'a'; LONG].into_response(),
                _ => connection.peer.to_string().into_response(),
            },
        );
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let service = warp::service(routes);
        let serving = serve(Pipes(accept), service, LIMITS, stop.clone(), tasks.clone());
        Self { connect, stop, tasks, serving: tokio::spawn(serving) }
    }

    async fn connect(&self, host: u8) -> DuplexStream {
        let (client, server) = tokio::io::duplex(4096);
        self.connect.send((server, SocketAddr::from(([192, 0, 2, host], 1)))).await.unwrap();
        client
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The status line, the headers and the body of one answer.
async fn ask(client: &mut DuplexStream, head: &str) -> String {
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = client.read(&mut bytes).await.unwrap();
        answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        let length = answer.lines().find_map(|line| line.strip_prefix("content-length: "));
        let whole = answer.split_once("\r\n\r\n").is_some_and(|(_, body)| {
            length.is_none_or(|length| body.len() >= length.parse().unwrap())
        });
        if read == 0 || whole {
            return answer;
        }
    }
}

async fn is_closed(client: &mut DuplexStream) -> bool {
    matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_))
}

/// Bytes; more than a pipe takes.
const LONG: usize = 256 << 10;
const GET_LONG: &str = "GET /long HTTP/1.1\r\nconnection: close\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn requests_are_served_over_any_transport() {
    let server = Server::start();
    let mut client = server.connect(7).await;
    let answer = ask(&mut client, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nkeep-alive: timeout=620\r\n"), "{answer}");
    assert!(answer.ends_with("192.0.2.7:1"), "{answer}");
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_without_a_path_is_refused_and_harms_nobody() {
    let server = Server::start();
    for target in ["CONNECT host:443", "GET x", "GET host:80", "OPTIONS *", "POST *", "CONNECT /"] {
        let mut client = server.connect(1).await;
        let answer = ask(&mut client, &format!("{target} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target}: {answer}");
        drop(client);
        let answer = ask(&mut server.connect(1).await, GET).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
    }
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_has_one_host_of_a_names_length() {
    let server = Server::start();
    let long = format!("{}:4444", "a".repeat(400));
    for (hosts, status) in [
        (&["gateway:4444"][..], "200"),
        (&["gateway:4444", "gateway:4444"], "400"),
        (&["gateway", "evil.example"], "400"),
        (&[&long], "400"),
    ] {
        let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
        let request = format!("GET / HTTP/1.1\r\n{hosts}\r\n");
        let answer = ask(&mut server.connect(1).await, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
    }
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn requests_with_large_heads_have_few_places() {
    let server = Server::start();
    // A request with such a head that is being answered.
    let large = format!("x: {}\r\n", "a".repeat(20_000));
    let many: String = (0..80).map(|number| format!("x-{number}: 1\r\n")).collect();
    let mut first = server.connect(1).await;
    first.write_all(format!("GET /never HTTP/1.1\r\n{large}\r\n").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    for (headers, status) in [(large.as_str(), "503"), (&many, "503"), ("x: 1\r\n", "200")] {
        let request = format!("GET / HTTP/1.1\r\n{headers}\r\n");
        let answer = ask(&mut server.connect(2).await, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    drop(first);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let request = format!("GET / HTTP/1.1\r\n{large}\r\n");
    let answer = ask(&mut server.connect(2).await, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_its_request_alone() {
    let server = Server::start();
    let mut client = server.connect(1).await;
    let answer = ask(&mut client, "GET /panic HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(ask(&mut client, GET).await.starts_with("HTTP/1.1 200 "));
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn headers_must_come_in_time_and_the_next_request_may_take_longer() {
    let server = Server::start();
    let begun = Instant::now();
    let mut silent = server.connect(1).await;
    let mut slow = server.connect(2).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert!(is_closed(&mut silent).await);
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(is_closed(&mut slow).await);
    assert_eq!(begun.elapsed().as_secs(), 15);

    let mut client = server.connect(1).await;
    ask(&mut client, GET).await;
    // Longer than any proxy that is known keeps a connection without a request.
    tokio::time::sleep(Duration::from_secs(610)).await;
    client.write_all(b"GET / ").await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(ask(&mut client, "HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    let begun = Instant::now();
    assert!(is_closed(&mut client).await);
    assert_eq!(begun.elapsed().as_secs(), 620);
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_given_up_and_a_slow_reader_is_waited_for() {
    let server = Server::start();
    let mut deaf = server.connect(1).await;
    deaf.write_all(GET_LONG.as_bytes()).await.unwrap();
    deaf.read_exact(&mut [0; 1]).await.unwrap();
    let begun = Instant::now();
    server.tasks.close();
    server.tasks.wait().await;
    assert_eq!(begun.elapsed().as_secs(), 120);

    let mut slow = server.connect(1).await;
    slow.write_all(GET_LONG.as_bytes()).await.unwrap();
    let (mut taken, mut piece) = (0, [0; 4096]);
    loop {
        tokio::time::sleep(Duration::from_secs(20)).await;
        match slow.read(&mut piece).await.unwrap() {
            0 => break,
            read => taken += read,
        }
    }
    assert!(taken > LONG, "{taken}");
    let mut trickling = server.connect(1).await;
    trickling.write_all(GET_LONG.as_bytes()).await.unwrap();
    let begun = Instant::now();
    while !matches!(trickling.read(&mut piece[..100]).await, Ok(0) | Err(_)) {
        tokio::time::sleep(Duration::from_secs(50)).await;
    }
    assert!(begun.elapsed().as_secs() < 3600, "{:?}", begun.elapsed());
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn idle_connections_make_room() {
    let server = Server::start();
    let (mut first, mut second) = (server.connect(1).await, server.connect(1).await);
    ask(&mut first, GET).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ask(&mut second, GET).await;
    let mut probe = server.connect(2).await;
    assert!(ask(&mut probe, GET).await.starts_with("HTTP/1.1 200 "));
    assert!(is_closed(&mut first).await);
    assert!(ask(&mut second, GET).await.starts_with("HTTP/1.1 200 "));
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_meets_the_stop_is_answered_and_is_the_last() {
    let server = Server::start();
    let mut client = server.connect(1).await;
    ask(&mut client, GET).await;
    let mut idle = server.connect(1).await;
    ask(&mut idle, GET).await;
    server.stop.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = ask(&mut client, GET).await;
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(is_closed(&mut client).await);
    assert!(is_closed(&mut idle).await);
    server.end().await;
}
