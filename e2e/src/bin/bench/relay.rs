//! The least that two processes on a way can add: programs that only carry bytes.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

/// A relay in a process of its own, killed on drop.
pub struct Relay {
    pub authority: String,
    _process: Child,
}

impl Relay {
    pub async fn start(target: &str) -> Result<Self> {
        let program = std::env::current_exe().context("this program")?;
        let mut process = Command::new(program)
            .args(["--relay", target])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start a relay")?;
        let output = process.stdout.take().context("its output")?;
        let authority = BufReader::new(output).lines().next_line().await?.context("its address")?;
        Ok(Self { authority, _process: process })
    }
}

/// Relays every connection to `target`, for ever.
pub async fn run(target: &str) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (mut client, _) = listener.accept().await?;
        let mut server = TcpStream::connect(target).await.context("connect to the server")?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        tokio::spawn(async move {
            // Whoever measures sees a connection that breaks.
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
