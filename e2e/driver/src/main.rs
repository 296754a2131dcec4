//! A driver without a browser. To the agent it is chromedriver; to a client it is one that answers at once.
//!
//! Classic: `POST .../execute/sync` answers the length and checksum of its body, however long; `GET
//! .../element/{n}/text` answers a text of n characters; other commands answer what is there without a browser. BiDi:
//! `script.evaluate` answers a text of n characters where its expression is a number n, else the length and checksum of
//! the expression; other commands answer `{}`.

mod bidi;
mod commands;

use std::{
    env, io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::commands::Driver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    // chromedriver's flags: others are for its browser, or its log.
    let flags: Vec<String> = env::args().skip(1).collect();
    let flag = |name: &str| flags.iter().find_map(|flag| flag.strip_prefix(name));
    let port = flag("--port=").unwrap_or("9515").parse().map_err(io::Error::other)?;
    let everybody = flag("--allowed-ips=").is_some();
    let address = if everybody { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let listener = TcpListener::bind((IpAddr::V4(address), port)).await?;
    let port = listener.local_addr()?.port();
    println!("EchoDriver was started successfully on port {port}.");
    serve(listener, Arc::new(Driver { port })).await
}

/// Serves until the process exits.
async fn serve(listener: TcpListener, driver: Arc<Driver>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let driver = driver.clone();
        let service = service_fn(move |request| {
            let driver = driver.clone();
            async move { driver.answer(request).await }
        });
        let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = served.with_upgrades().await {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}
