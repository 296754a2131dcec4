//! One session, from its birth to when nothing is left of it.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result};
use kube::{ResourceExt, api::DeleteParams};
use tokio::time::{Instant, timeout};

use super::{
    birth,
    client::{Client, Said},
    end, harm,
    outage::Component,
    outcome::Outcome,
    plan::{Birth, Deed, End, Harm, Plan},
    random::Random,
    record::Record,
    stage::Stage,
    verdict,
};

/// How long an object may take to be seen whose client has gone.
const SEEN: Duration = Duration::from_secs(5);
/// How long what must end may go on: limits, and an outage of the controller.
const OVER: Duration = Duration::from_secs(150);
/// How long pods and records may take to go.
const GONE: Duration = Duration::from_secs(120);
/// How long an Event may take.
const TOLD: Duration = Duration::from_secs(60);
/// How long a session that was harmed is used on.
const USED_ON: Duration = Duration::from_secs(15);
/// A pause between commands to a session that should be over.
const PAUSE: Duration = Duration::from_millis(100);

pub async fn run(stage: &Stage<'_>, plan: Plan, random: &mut Random) -> Outcome {
    let record = Record::new(plan);
    let mut wrong = Vec::new();
    let mut keep = |error: anyhow::Error| wrong.push(format!("{error:#}"));
    let client = act(stage, &record, random).await.unwrap_or_else(|error| {
        keep(error);
        None
    });
    if let Err(error) = see_it_go(stage, &record, client).await {
        keep(error);
    }
    let kept = record.kept();
    let (reason, fitting) = stage.observer.look(|seen| {
        let life = kept.session.as_ref().and_then(|uid| seen.lives.get(uid));
        let told = kept.session.as_ref().and_then(|uid| seen.told.get(uid));
        let case = verdict::Case { plan: &record.plan, kept: &kept, life, outages: &seen.outages };
        let fitting = case.fitting();
        wrong.extend(case.wrong(&fitting, told));
        (life.and_then(|life| life.reason()), fitting)
    });
    Outcome { record, reason, fitting, wrong }
}

/// Has a session made and used, and does to it what is to be done. Gives its client, while there is one.
async fn act(stage: &Stage<'_>, record: &Record, random: &mut Random) -> Result<Option<Client>> {
    let client = make(stage, record, random).await?;
    let limit = if client.is_some() { OVER } else { SEEN };
    let number = record.plan.number;
    let found = stage
        .observer
        .until("its object", limit, |seen| seen.of_cycle(number).map(|(uid, _)| uid.clone()));
    let session = match (found.await, &client) {
        (Ok(session), _) => session,
        (Err(error), Some(_)) => return Err(error),
        (Err(_), None) => {
            record.tell("there is no object");
            return Ok(None);
        }
    };
    record.keep(|kept| kept.session = Some(session.clone()));
    stage.observer.note(|seen| seen.lives.get_mut(&session).map(|life| life.claimed = true));
    let Some(mut client) = client else { return Ok(None) };
    use_it(stage, record, random, &session, &mut client).await?;
    Ok(Some(client))
}

/// Has a session made, and harmed meanwhile if that is the plan.
async fn make(stage: &Stage<'_>, record: &Record, random: &mut Random) -> Result<Option<Client>> {
    let making = birth::make(stage, record, random);
    let harm = match record.plan.deed {
        Deed::Harm(harm) if record.plan.early => harm,
        _ => return making.await,
    };
    let (mut making, mut harming) = (pin!(making), pin!(harm::early(stage, record, harm)));
    tokio::select! {
        made = &mut making => {
            // Where there is a session there is a pod, or was.
            timeout(SEEN, harming).await.unwrap_or(Ok(()))?;
            made
        }
        harmed = &mut harming => {
            harmed?;
            making.await
        }
    }
}

async fn use_it(
    stage: &Stage<'_>,
    record: &Record,
    random: &mut Random,
    session: &str,
    client: &mut Client,
) -> Result<()> {
    let plan = &record.plan;
    let is_unused = matches!(plan.deed, Deed::End(End::NeverConnected | End::GaveUp));
    let commands = if is_unused { 0 } else { plan.commands };
    for _ in 0..commands {
        if client.command(stage, record, random).await? == Said::Broke {
            stage.is_over_within(session, PAUSE).await;
        }
    }
    match plan.deed {
        Deed::End(end) => {
            // Whatever it was that broke, it has to be used once to be idle.
            while end == End::IdleTimeout
                && client.command(stage, record, random).await? == Said::Broke
                && !stage.is_over_within(session, PAUSE).await
            {}
            end::perform(stage, record, random, session, client, end).await
        }
        Deed::Harm(harm) => {
            if record.kept().deeds.is_empty() {
                harm::inflict(stage, record, session, harm).await?;
            }
            let begun = Instant::now();
            while begun.elapsed() < USED_ON && !stage.is_over_within(session, PAUSE).await {
                // A session that was made on a bare socket has no other.
                if plan.birth != Birth::Bidi || client.socket.is_some() {
                    client.command(stage, record, random).await?;
                }
            }
            let is_over = stage.is_over_within(session, Duration::ZERO).await;
            if !is_over && lives_on(stage, record) {
                record.tell("it lives on");
                let end = if plan.birth == Birth::Bidi { End::SessionEnds } else { End::Delete };
                end::perform(stage, record, random, session, client, end).await?;
            }
            Ok(())
        }
    }
}

/// Whether a session may have outlived what was done to it: nothing was, or no controller saw that its first pod went, before
/// its status had that pod's name.
fn lives_on(stage: &Stage<'_>, record: &Record) -> bool {
    let kept = record.kept();
    let now = Instant::now();
    let no_controller = |from| {
        stage.observer.look(|seen| {
            let mut outages = seen.outages.iter();
            outages.any(|o| o.component == Component::Controller && o.overlaps(from, now))
        })
    };
    kept.deeds.iter().all(|(at, deed)| {
        let takes_pod = matches!(deed, Deed::Harm(Harm::Pod | Harm::Eviction));
        takes_pod && kept.answered.is_some_and(|answered| *at < answered) && no_controller(*at)
    })
}

async fn over(stage: &Stage<'_>, session: &str) -> Result<()> {
    stage.observer.until("over", OVER, |seen| seen.is_over(session).then_some(())).await
}

/// Its end, what its client is told, its pod, its Event, and its record where that does not stay.
async fn see_it_go(stage: &Stage<'_>, record: &Record, client: Option<Client>) -> Result<()> {
    let Some(session) = record.kept().session else { return Ok(()) };
    let ended = over(stage, &session).await;
    if ended.is_err() {
        remove(stage, &session).await?;
    }
    ended?;
    if let Some(mut client) = client {
        client.hear(record).await;
    }
    let observer = stage.observer;
    let no_pod = |seen: &super::observer::Seen| seen.pod_of(&session).is_none().then_some(());
    observer.until("gone: its pod", GONE, no_pod).await?;
    let told = observer.until("told by an Event", TOLD, |seen| {
        let reason = seen.lives.get(&session)?.ended.as_ref().and_then(|(_, status)| {
            status.conditions.first().map(|condition| condition.reason.clone())
        });
        let told = seen.told.get(&session);
        reason.is_none_or(|reason| told.is_some_and(|told| told.contains(&reason))).then_some(())
    });
    // The verdict knows whether it had to come.
    let _ = told.await;
    let gone = |seen: &super::observer::Seen| {
        seen.lives.get(&session).is_none_or(|life| life.gone.is_some()).then_some(())
    };
    match (record.plan.ttl, record.plan.keep) {
        (Some(_), _) => observer.until("gone: its record", GONE, gone).await,
        (None, true) => Ok(()),
        (None, false) => {
            remove(stage, &session).await?;
            observer.until("gone: its record", GONE, gone).await
        }
    }
}

async fn remove(stage: &Stage<'_>, session: &str) -> Result<()> {
    let name = stage.observer.look(|seen| {
        let life = seen.lives.get(session).filter(|life| life.gone.is_none());
        life.map(|life| life.object.name_any())
    });
    let Some(name) = name else { return Ok(()) };
    match stage.namespace.sessions().delete(&name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => outcome.map(drop).context("delete the record"),
    }
}
