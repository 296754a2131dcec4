//! A pod gets an address that was another's before.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use e2e::{
    Namespace,
    echo::with_echo,
    faults::alone,
    finally::finally,
    local::{OPERATOR, Process, process_of_pod},
    neighbours::{forget_those_gone, is_thought_gone, remember_as_gone},
    operator,
};
use serde_json::json;

/// How many of the next addresses are remembered as those of other pods.
const AHEAD: usize = 20;

/// The addresses that are given next: host-local gives the least that follows the last one, in the range of
/// `e2e/cluster/src/addresses.rs`.
fn next(after: Ipv4Addr) -> Vec<Ipv4Addr> {
    let [a, b, c, d] = after.octets();
    let following = (2..=254).cycle().skip(usize::from(d - 1)).take(AHEAD);
    following.map(|d| Ipv4Addr::new(a, b, c, d)).collect()
}

async fn processes(namespace: &Namespace) -> Result<Vec<(&'static str, Process)>> {
    let mut found = Vec::new();
    for component in ["controller", "gateway"] {
        for pod in operator::pods(&namespace.cluster, component).await? {
            let uid = pod.metadata.uid.context("the pod's uid")?;
            let process = process_of_pod(&uid, OPERATOR).context("a process on this machine")?;
            found.push((component, process));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_pod_with_the_address_of_one_that_is_gone_is_reached() -> Result<()> {
    // What the operator's pods are made to believe is wrong for others' pods, too.
    alone(async |_, namespace| {
        with_echo(namespace, json!({}), async |first| {
            let addresses = next(first.ip.parse().context("an address of IPv4")?);
            let processes = processes(namespace).await?;
            let reached = async {
                for &(_, process) in &processes {
                    remember_as_gone(process, &addresses).await?;
                }
                let spec = json!({"className": namespace.name, "capabilities": {}});
                let second = namespace.create_ready("second", spec).await?;
                let there: Ipv4Addr = second.ip.parse().context("an address of IPv4")?;
                ensure!(addresses.contains(&there), "{there} was not to be expected");
                for &(component, process) in &processes {
                    ensure!(!is_thought_gone(process, there), "a {component} was not told of it");
                }
                namespace.cluster.anonymous().title(&second.id).await.map(drop)
            };
            let forget = async {
                for &(_, process) in &processes {
                    forget_those_gone(process, &addresses).await?;
                }
                Ok(())
            };
            finally(reached, forget).await
        })
        .await
    })
    .await
}
