//! What an idle WebSocket costs: many on one session, through one gateway.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Namespace, echo, gateway::with_gateway, local::Process, raw::Socket};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::time::sleep;

/// How many are opened at a time.
const CONCURRENT_HANDSHAKES: usize = 32;
/// For the processes to come to rest.
const REST_TIME: Duration = Duration::from_secs(1);

pub async fn run(namespace: &Namespace, count: usize) -> Result<()> {
    with_gateway(namespace, &[], async |gateway| {
        echo::with_echo(namespace, json!({}), async |live| {
            let Some(processes) = echo::processes(namespace, &gateway.name, live).await? else {
                return Ok(());
            };
            let url = gateway.socket_url(&format!("/session/{}", live.id));
            // What the first one needs, the process needs.
            let mut first = Socket::open(&url).await?;
            use_it(&mut first).await?;
            sleep(REST_TIME).await;
            let before = memory(&processes)?;

            let mut sockets: Vec<Socket> = stream::iter(0..count)
                .map(|_| Socket::open(&url))
                .buffer_unordered(CONCURRENT_HANDSHAKES)
                .try_collect()
                .await
                .context("open the sockets")?;
            sleep(REST_TIME).await;
            print("opened", &processes, &before, count)?;
            for socket in &mut sockets {
                use_it(socket).await?;
            }
            sleep(REST_TIME).await;
            print("used once", &processes, &before, count)
        })
        .await
    })
    .await
}

async fn use_it(socket: &mut Socket) -> Result<()> {
    let command = r#"{"id":1,"method":"browsingContext.getTree","params":{}}"#;
    let reply = socket.ask(command).await?;
    ensure!(reply.contains("success"), "{reply}");
    Ok(())
}

fn memory(processes: &[(&str, Process)]) -> Result<Vec<u64>> {
    processes.iter().map(|(_, process)| process.memory()).collect()
}

fn print(what: &str, processes: &[(&str, Process)], before: &[u64], count: usize) -> Result<()> {
    for (((name, _), before), after) in processes.iter().zip(before).zip(memory(processes)?) {
        // Whole bytes are exact enough.
        let each = after.saturating_sub(*before) as f64 / count as f64 / 1024.0;
        println!(
            "{count} sockets, {what}: the {name} {} KiB before, {} KiB after: {each:.1} KiB each",
            before >> 10,
            after >> 10
        );
    }
    Ok(())
}
