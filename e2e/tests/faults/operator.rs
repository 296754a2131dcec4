//! The operator's own processes are killed with SIGKILL.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{
    Bidi, Namespace, authority,
    faults::alone,
    local::OPERATOR,
    namespace::READY_LIMIT,
    operator::{self, is_ready, restart},
    wait::eventually,
};
use k8s_openapi::api::core::v1::Pod;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::helpers::{both, ended_everywhere, first_pod, while_driven};

/// How often the controller is killed.
const ROUNDS: usize = 2;

/// The controller that holds the Lease.
async fn controller(namespace: &Namespace) -> Result<Pod> {
    eventually(READY_LIMIT, async || {
        let pods = operator::pods(&namespace.cluster, "controller").await?;
        pods.into_iter().find(is_ready).context("a controller that is ready")
    })
    .await
}

#[tokio::test]
async fn a_controller_that_is_killed_loses_no_start_and_no_end() -> Result<()> {
    alone(async |faults, namespace| {
        let client = namespace.client().await?;
        let live = namespace.create_ready("live", both()).await?;
        let mut ending = Vec::new();
        for round in 0..ROUNDS {
            ending.push(namespace.create_ready(&format!("ending-{round}"), json!({})).await?);
        }
        while_driven(namespace, &live.id, async || {
            for (round, ending) in ending.iter().enumerate() {
                let controller = controller(namespace).await?;
                namespace.create(&format!("starting-{round}"), json!({})).await?;
                first_pod(namespace, &format!("starting-{round}")).await?;
                let path = format!("/session/{}", ending.id);
                let (ended, killed) = tokio::join!(client.delete(&path), async {
                    faults.kill(&controller, OPERATOR, Signal::SIGKILL)
                });
                ended?;
                killed?;
                // The controller has not even seen this one.
                namespace.create(&format!("waiting-{round}"), json!({})).await?;
            }
            for round in 0..ROUNDS {
                namespace.ready(&format!("starting-{round}")).await?;
                namespace.ready(&format!("waiting-{round}")).await?;
                // Its Event may have died with the controller that was about to write it.
                let name = format!("ending-{round}");
                namespace.ended(&name, Phase::Completed, Reason::ClientEnded).await?;
            }
            Ok(())
        })
        .await?;
        // Each kill would make the kubelet wait longer before it starts the next.
        restart(&namespace.cluster, "controller").await
    })
    .await
}

fn address(pod: &Pod) -> Result<&str> {
    pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).context("a pod's address")
}

#[tokio::test]
async fn a_gateway_that_is_killed_loses_no_session_and_its_clients_go_on_through_the_other()
-> Result<()> {
    alone(async |faults, namespace| {
        let cluster = &namespace.cluster;
        let live = namespace.create_ready("live", both()).await?;
        let gateways = operator::pods(cluster, "gateway").await?;
        ensure!(gateways.len() >= 2, "there is only one gateway");
        let mut sockets = Vec::new();
        for gateway in &gateways {
            let ip = address(gateway)?;
            let url = format!("ws://{}/session/{}", authority(ip, 4444), live.id);
            let mut socket = Bidi::connect(&url).await?;
            let context = socket.context().await?;
            socket.evaluate(&context, "globalThis.left = 'here'").await?;
            sockets.push((socket, context));
        }
        let (mut broken, _) = sockets.remove(0);

        faults.kill(&gateways[0], OPERATOR, Signal::SIGKILL)?;

        // Killed, it sent no Close frame: its client sees the connection end.
        let end = broken.closed(Duration::from_secs(5)).await;
        ensure!(end.is_err(), "a process that was killed said {end:?}");
        // Clients of the other replica go on.
        for (socket, context) in &mut sockets {
            ensure!(socket.evaluate(context, "left").await? == "here");
        }
        // Through the Service: at once, or when it has forgotten the one that is gone.
        let again = eventually(Duration::from_secs(10), async || {
            let mut socket = cluster.socket(&live.id).await?;
            let context = socket.context().await?;
            socket.evaluate(&context, "left").await
        });
        ensure!(again.await? == "here");
        let other = cluster.anonymous().at(&format!("http://{}:4444", address(&gateways[1])?));
        other.delete(&format!("/session/{}", live.id)).await?;
        ended_everywhere(namespace, "live", Phase::Completed, Reason::ClientEnded).await?;
        restart(cluster, "gateway").await
    })
    .await
}
