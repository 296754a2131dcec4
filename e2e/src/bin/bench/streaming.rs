//! Long bodies and long messages, straight to the driver and through gateway and agent, and what memory they take there.

use std::time::Duration;

use anyhow::Result;
use e2e::{Namespace, agent, echo, gateway::with_gateway, local::Process};
use serde_json::json;

use crate::{bare, endpoint::Endpoint, figures::Times};

/// Bytes of a body, in each direction.
const BODY: u64 = 512 << 20;
/// Bytes of a message, in each direction: an agent's limit, minus the envelope.
const MESSAGE: u64 = (256 << 20) - 4096;
const ROUNDS: usize = 3;

#[derive(Clone, Copy)]
enum What {
    Body,
    Reply,
    Command,
    Answer,
}

impl What {
    const ALL: [Self; 4] = [Self::Body, Self::Reply, Self::Command, Self::Answer];

    fn name(self) -> &'static str {
        match self {
            Self::Body => "a command's body",
            Self::Reply => "a reply's body",
            Self::Command => "a BiDi command",
            Self::Answer => "a BiDi reply",
        }
    }

    fn length(self) -> u64 {
        match self {
            Self::Body | Self::Reply => BODY,
            Self::Command | Self::Answer => MESSAGE,
        }
    }

    async fn go(self, way: &Endpoint) -> Result<Duration> {
        match self {
            Self::Body => echo::send_body(&way.authority, &way.id, BODY).await,
            Self::Reply => echo::get_body(&way.authority, &way.id, BODY).await,
            Self::Command => echo::send_message(&way.socket(), MESSAGE).await,
            Self::Answer => echo::get_message(&way.socket(), MESSAGE).await,
        }
    }
}

pub async fn run(namespace: &Namespace) -> Result<()> {
    with_gateway(namespace, &[], async |gateway| {
        echo::with_echo(namespace, json!({}), async |live| {
            let Some(processes) = echo::processes(namespace, &gateway.name, live).await? else {
                return Ok(());
            };
            let processes = processes.map(|(_, process)| process);
            let template = bare::template(namespace, &live.pod, bare::ECHO_DRIVER).await?;
            let ip = bare::start(namespace, &template).await?;
            let id = bare::new_session(&ip, json!({"webSocketUrl": true})).await?;
            let straight = Endpoint { authority: agent::address(&ip), id };
            let through = Endpoint { authority: agent::address(&gateway.ip), id: live.id.clone() };
            println!("{ROUNDS} rounds; the medians, and the most that memory grew in one");
            for what in What::ALL {
                measure(what, &straight, &through, processes).await?;
            }
            bare::end(namespace).await
        })
        .await
    })
    .await
}

async fn measure(
    what: What,
    straight: &Endpoint,
    through: &Endpoint,
    processes: [Process; 2],
) -> Result<()> {
    let (mut bare, mut ours, mut growth) = (Vec::new(), Vec::new(), [0; 2]);
    for _ in 0..ROUNDS {
        bare.push(what.go(straight).await?);
        let before = processes.map(|process| process.memory());
        for process in processes {
            process.forget_most_memory()?;
        }
        ours.push(what.go(through).await?);
        for ((growth, process), before) in growth.iter_mut().zip(processes).zip(before) {
            *growth = process.most_memory()?.saturating_sub(before?).max(*growth);
        }
    }
    let mib = (what.length() >> 20) as f64;
    let [bare, ours] = [bare, ours].map(|times| mib / Times::new(times).median().as_secs_f64());
    let [gateway, agent] = growth.map(|bytes| bytes as f64 / f64::from(1 << 20));
    println!(
        "{:<16} {mib:.0} MiB: straight {bare:>5.0} MiB/s, through {ours:>5.0} MiB/s; \
         the gateway grew by {gateway:.1} MiB, the agent by {agent:.1} MiB",
        what.name()
    );
    Ok(())
}
