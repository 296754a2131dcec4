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
    client::{Client, Said},
    plan::{Birth, Deed, End},
    random::Random,
    record::Record,
    stage::Stage,
};

/// How long a client tries: until somebody hears it.
const PERSISTENCE: Duration = Duration::from_secs(60);
/// A pause between commands.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a session may take to be over that a client found to be.
const SOON: Duration = Duration::from_secs(1);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Ends a session, or leaves it to its limits.
pub async fn perform(
    stage: &Stage<'_>,
    record: &Record,
    random: &mut Random,
    session: &str,
    client: &mut Client,
    end: End,
) -> Result<()> {
    record.deed(Deed::End(end));
    match end {
        End::Delete => delete(stage, record, random, session, client).await,
        End::SessionEnds => by_command(stage, record, random, session, client, "session.end").await,
        End::BrowserCloses => {
            by_command(stage, record, random, session, client, "browser.close").await
        }
        End::KubectlDelete => {
            let name = name(stage, session)?;
            let deleted = stage.namespace.sessions().delete(&name, &DeleteParams::default()).await;
            deleted.map(drop).context("delete the object")
        }
        End::Annotation(word) => {
            let name = name(stage, session)?;
            let patch = Patch::Merge(json!({"metadata": {"annotations": {END_ANNOTATION: word}}}));
            let sessions = stage.namespace.sessions();
            sessions.patch(&name, &PatchParams::default(), &patch).await.context("annotate")?;
            Ok(())
        }
        End::HardTimeout => {
            while !stage.is_over_within(session, PAUSE).await {
                if client.command(stage, record, random).await? == Said::Broke {
                    // The next one may tell of the same; nothing is lost by waiting for the end.
                    break;
                }
            }
            Ok(())
        }
        End::IdleTimeout | End::NeverConnected => Ok(()),
        End::SocketClosed | End::SocketDropped => {
            // Something has to be there to be lost.
            reopen(stage, record, random, session, client).await?;
            match client.socket.take() {
                Some(socket) if end == End::SocketClosed => {
                    if let Err(error) = socket.close().await {
                        record.tell(format!("no goodbye: {error:#}"));
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
    stage: &Stage<'_>,
    record: &Record,
    random: &mut Random,
    session: &str,
    client: &Client,
) -> Result<()> {
    let (begun, path) = (Instant::now(), format!("/session/{}", client.id));
    while begun.elapsed() < PERSISTENCE {
        let gateway = stage.gateway(random).await?;
        let classic = stage.client(&gateway).await?;
        match timeout(ANSWER, classic.value(Method::DELETE, &path, None)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => record.broke(&format!("{error:#}")),
            Err(_) => record.broke("no answer to DELETE"),
        }
        // The first may have been heard, and its answer lost.
        if stage.is_over_within(session, SOON).await {
            return Ok(());
        }
    }
    anyhow::bail!("nobody takes DELETE")
}

async fn by_command(
    stage: &Stage<'_>,
    record: &Record,
    random: &mut Random,
    session: &str,
    client: &mut Client,
    method: &str,
) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PERSISTENCE {
        reopen(stage, record, random, session, client).await?;
        let Some(socket) = &mut client.socket else { return Ok(()) };
        match timeout(ANSWER, socket.command(method, json!({}))).await {
            Ok(Ok(answer)) => {
                ensure!(answer == json!({}), "{method}: {answer}");
                client.hear(record).await;
                return Ok(());
            }
            Ok(Err(error)) => record.broke(&format!("{error:#}")),
            Err(_) => record.broke(&format!("no answer to {method}")),
        }
        client.socket = None;
        if stage.is_over_within(session, SOON).await {
            return Ok(());
        }
    }
    anyhow::bail!("nobody takes {method}")
}

/// Opens a socket again where it can be: a session that was made on one has no other, and ends.
async fn reopen(
    stage: &Stage<'_>,
    record: &Record,
    random: &mut Random,
    session: &str,
    client: &mut Client,
) -> Result<()> {
    let begun = Instant::now();
    while client.socket.is_none() && record.plan.birth != Birth::Bidi {
        match client.open(stage, record, random).await? {
            Ok(()) => break,
            Err(error) => record.broke(&format!("{error:#}")),
        }
        if stage.is_over_within(session, SOON).await {
            break;
        }
        ensure!(begun.elapsed() < PERSISTENCE, "no socket for a session that goes on");
    }
    Ok(())
}

fn name(stage: &Stage<'_>, session: &str) -> Result<String> {
    let name =
        stage.observer.look(|seen| seen.lives.get(session).map(|life| life.object.name_any()));
    name.context("its object")
}
