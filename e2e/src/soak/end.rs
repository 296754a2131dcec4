//! How a session is ended, or left to end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::names::END_ANNOTATION;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{
    client::{Client, CommandOutcome},
    journal::Journal,
    plan::{Action, End, Origin},
    random::Random,
    testbed::Testbed,
};

/// For how long a client retries.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
/// A pause between commands.
const COMMAND_PAUSE: Duration = Duration::from_millis(50);
/// For the end of a session to be seen after its client noticed it.
const END_TIMEOUT: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Ends a session, or leaves it to its limits.
pub async fn perform(
    testbed: &Testbed<'_>,
    journal: &Journal,
    random: &mut Random,
    session: &str,
    client: &mut Client,
    end: End,
) -> Result<()> {
    journal.action(Action::End(end));
    match end {
        End::Delete => delete(testbed, journal, random, session, client).await,
        End::SessionEnds => {
            by_command(testbed, journal, random, session, client, "session.end").await
        }
        End::BrowserCloses => {
            by_command(testbed, journal, random, session, client, "browser.close").await
        }
        End::KubectlDelete => {
            let name = name(testbed, session)?;
            let deleted =
                testbed.namespace.sessions().delete(&name, &DeleteParams::default()).await;
            deleted.map(drop).context("delete the object")
        }
        End::Annotation(word) => {
            let name = name(testbed, session)?;
            let patch = Patch::Merge(json!({"metadata": {"annotations": {END_ANNOTATION: word}}}));
            let sessions = testbed.namespace.sessions();
            sessions.patch(&name, &PatchParams::default(), &patch).await.context("annotate")?;
            Ok(())
        }
        End::HardTimeout => {
            while !testbed.is_over_within(session, COMMAND_PAUSE).await {
                if client.command(testbed, journal, random).await? == CommandOutcome::Failed {
                    // The next one may tell of the same; nothing is lost by waiting for the end.
                    break;
                }
            }
            Ok(())
        }
        End::IdleTimeout | End::NeverConnected => Ok(()),
        End::SocketClosed | End::SocketDropped => {
            // Something has to be there to be lost.
            reopen(testbed, journal, random, session, client).await?;
            match client.socket.take() {
                Some(socket) if end == End::SocketClosed => {
                    if let Err(error) = socket.close().await {
                        journal.log(format!("no goodbye: {error:#}"));
                    }
                }
                socket => drop(socket),
            }
            Ok(())
        }
        // It has: whoever got its session all the same goes.
        End::GaveUp => {
            client.socket = None;
            Ok(())
        }
    }
}

async fn delete(
    testbed: &Testbed<'_>,
    journal: &Journal,
    random: &mut Random,
    session: &str,
    client: &Client,
) -> Result<()> {
    let (begun, path) = (Instant::now(), format!("/session/{}", client.id));
    while begun.elapsed() < RETRY_TIMEOUT {
        let gateway = testbed.gateway(random).await?;
        let classic = testbed.client(&gateway).await?;
        match timeout(ANSWER_TIMEOUT, classic.value(Method::DELETE, &path, None)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => journal.failed(&format!("{error:#}")),
            Err(_) => journal.failed("no answer to DELETE"),
        }
        // The first may have been heard, and its answer lost.
        if testbed.is_over_within(session, END_TIMEOUT).await {
            return Ok(());
        }
    }
    anyhow::bail!("nobody takes DELETE")
}

async fn by_command(
    testbed: &Testbed<'_>,
    journal: &Journal,
    random: &mut Random,
    session: &str,
    client: &mut Client,
    method: &str,
) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < RETRY_TIMEOUT {
        reopen(testbed, journal, random, session, client).await?;
        let Some(socket) = &mut client.socket else { return Ok(()) };
        match timeout(ANSWER_TIMEOUT, socket.command(method, json!({}))).await {
            Ok(Ok(answer)) => {
                ensure!(answer == json!({}), "{method}: {answer}");
                client.await_close(journal).await;
                return Ok(());
            }
            Ok(Err(error)) => journal.failed(&format!("{error:#}")),
            Err(_) => journal.failed(&format!("no answer to {method}")),
        }
        client.socket = None;
        if testbed.is_over_within(session, END_TIMEOUT).await {
            return Ok(());
        }
    }
    anyhow::bail!("nobody takes {method}")
}

/// Opens a socket again where it can be; a session created on a socket has no other, and ends.
async fn reopen(
    testbed: &Testbed<'_>,
    journal: &Journal,
    random: &mut Random,
    session: &str,
    client: &mut Client,
) -> Result<()> {
    let begun = Instant::now();
    while client.socket.is_none() && journal.plan.origin != Origin::Bidi {
        match client.open(testbed, journal, random).await? {
            Ok(()) => break,
            Err(error) => journal.failed(&format!("{error:#}")),
        }
        if testbed.is_over_within(session, END_TIMEOUT).await {
            break;
        }
        ensure!(begun.elapsed() < RETRY_TIMEOUT, "no socket for a session that goes on");
    }
    Ok(())
}

fn name(testbed: &Testbed<'_>, session: &str) -> Result<String> {
    let name = testbed
        .observer
        .read(|seen| seen.sessions.get(session).map(|history| history.object.name_any()));
    name.context("its object")
}
