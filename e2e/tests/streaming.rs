//! Long bodies go through without being held; long messages go through.

use anyhow::{Result, ensure};
use e2e::{echo, gateway::with_gateway, local::Process, with_namespace};
use serde_json::json;

/// Bytes of a body, in each direction.
const BODY: u64 = 512 << 20;
/// How much memory of gateway and agent it may take.
const MAX_GROWTH: u64 = 32 << 20;
/// Bytes of a message, in each direction: an agent's limit, minus the envelope.
const MESSAGE: u64 = (256 << 20) - 4096;

/// Checks that something makes neither process grow; those that are on another machine have been remarked.
async fn holding_little(
    processes: &[(&str, Option<Process>)],
    what: &str,
    work: impl Future<Output = Result<std::time::Duration>>,
) -> Result<()> {
    let mut before = Vec::new();
    for (name, process) in processes {
        let Some(process) = process else {
            println!("the memory of the {name} is not watched: its node is another machine");
            continue;
        };
        process.forget_most_memory()?;
        before.push((name, process, process.memory()?));
    }
    println!("{what}: {:?}", work.await?);
    for (name, process, before) in before {
        let growth = process.most_memory()?.saturating_sub(before);
        println!("{what}: the {name} grew by {} KiB", growth >> 10);
        ensure!(growth < MAX_GROWTH, "{what}: the {name} grew by {growth} bytes");
    }
    Ok(())
}

#[tokio::test]
async fn long_bodies_arrive_whole_and_are_held_by_nobody() -> Result<()> {
    with_namespace(async |namespace| {
        with_gateway(&namespace, &[], async |gateway| {
            echo::with_echo(&namespace, json!({}), async |live| {
                let processes = [
                    ("gateway", echo::gateway_process(&namespace, &gateway.name).await?),
                    ("agent", echo::agent_process(&namespace, live).await?),
                ];
                let authority = gateway.url().replace("http://", "");
                // Connections and buffers are made once.
                echo::send_body(&authority, &live.id, 1 << 20).await?;
                echo::get_body(&authority, &live.id, 1 << 20).await?;
                let sending = echo::send_body(&authority, &live.id, BODY);
                holding_little(&processes, "a body of 512 MiB", sending).await?;
                let getting = echo::get_body(&authority, &live.id, BODY);
                holding_little(&processes, "a reply of 512 MiB", getting).await
            })
            .await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn long_messages_arrive_whole() -> Result<()> {
    with_namespace(async |namespace| {
        echo::with_echo(&namespace, json!({}), async |live| {
            let url = namespace.cluster.socket_url(&live.id);
            println!("a message of 256 MiB: {:?}", echo::send_message(&url, MESSAGE).await?);
            println!("a reply of 256 MiB: {:?}", echo::get_message(&url, MESSAGE).await?);
            Ok(())
        })
        .await
    })
    .await
}
