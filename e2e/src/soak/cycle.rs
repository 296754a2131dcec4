//! One cycle: a session from its creation until nothing is left of it.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result};
use kube::{ResourceExt, api::DeleteParams};
use tokio::time::{Instant, timeout};

use super::{
    client::{Client, CommandOutcome},
    create, end, fault,
    journal::Journal,
    outage::Component,
    outcome::Outcome,
    plan::{Action, End, Fault, Origin, Plan},
    random::Random,
    testbed::Testbed,
    verdict,
};

/// For the object of a session whose client has left to be seen.
const OBJECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a session to end: its limits, and an outage of the controller.
const END_TIMEOUT: Duration = Duration::from_secs(150);
/// For pods and records to be removed.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(120);
/// For an Event to appear.
const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
/// For how long a session is used on after a fault.
const USE_AFTER_FAULT: Duration = Duration::from_secs(15);
/// A pause between commands to a session that should be over.
const COMMAND_PAUSE: Duration = Duration::from_millis(100);

pub async fn run(testbed: &Testbed<'_>, plan: Plan, random: &mut Random) -> Outcome {
    let journal = Journal::new(plan);
    let mut wrong = Vec::new();
    let mut keep = |error: anyhow::Error| wrong.push(format!("{error:#}"));
    let client = act(testbed, &journal, random).await.unwrap_or_else(|error| {
        keep(error);
        None
    });
    if let Err(error) = await_end(testbed, &journal, client).await {
        keep(error);
    }
    let evidence = journal.evidence();
    let (reason, expected) = testbed.observer.read(|seen| {
        let history = evidence.session.as_ref().and_then(|uid| seen.sessions.get(uid));
        let told = evidence.session.as_ref().and_then(|uid| seen.event_reasons.get(uid));
        let case = verdict::Case {
            plan: &journal.plan,
            evidence: &evidence,
            history,
            outages: &seen.outages,
        };
        let expected = case.expected();
        wrong.extend(case.wrong(&expected, told));
        (history.and_then(|history| history.reason()), expected)
    });
    Outcome { journal, reason, expected, wrong }
}

/// Creates and uses a session and performs the plan's action. Returns its client, if there is one.
async fn act(
    testbed: &Testbed<'_>,
    journal: &Journal,
    random: &mut Random,
) -> Result<Option<Client>> {
    let client = make(testbed, journal, random).await?;
    let limit = if client.is_some() { END_TIMEOUT } else { OBJECT_TIMEOUT };
    let number = journal.plan.number;
    let found = testbed
        .observer
        .wait_for("its object", limit, |seen| seen.of_cycle(number).map(|(uid, _)| uid.clone()));
    let session = match (found.await, &client) {
        (Ok(session), _) => session,
        (Err(error), Some(_)) => return Err(error),
        (Err(_), None) => {
            journal.log("there is no object");
            return Ok(None);
        }
    };
    journal.note(|evidence| evidence.session = Some(session.clone()));
    testbed
        .observer
        .update(|seen| seen.sessions.get_mut(&session).map(|history| history.claimed = true));
    let Some(mut client) = client else { return Ok(None) };
    use_session(testbed, journal, random, &session, &mut client).await?;
    Ok(Some(client))
}

/// Creates a session, and injects the fault meanwhile if it is an early one.
async fn make(
    testbed: &Testbed<'_>,
    journal: &Journal,
    random: &mut Random,
) -> Result<Option<Client>> {
    let making = create::create(testbed, journal, random);
    let harm = match journal.plan.action {
        Action::Fault(harm) if journal.plan.early => harm,
        _ => return making.await,
    };
    let (mut making, mut harming) =
        (pin!(making), pin!(fault::inject_early(testbed, journal, harm)));
    tokio::select! {
        made = &mut making => {
            // Where there is a session there is a pod, or was.
            timeout(OBJECT_TIMEOUT, harming).await.unwrap_or(Ok(()))?;
            made
        }
        harmed = &mut harming => {
            harmed?;
            making.await
        }
    }
}

async fn use_session(
    testbed: &Testbed<'_>,
    journal: &Journal,
    random: &mut Random,
    session: &str,
    client: &mut Client,
) -> Result<()> {
    let plan = &journal.plan;
    let is_unused = matches!(plan.action, Action::End(End::NeverConnected | End::GaveUp));
    let commands = if is_unused { 0 } else { plan.commands };
    for _ in 0..commands {
        if client.command(testbed, journal, random).await? == CommandOutcome::Failed {
            testbed.is_over_within(session, COMMAND_PAUSE).await;
        }
    }
    match plan.action {
        Action::End(end) => {
            // Whatever it was that broke, it has to be used once to be idle.
            while end == End::IdleTimeout
                && client.command(testbed, journal, random).await? == CommandOutcome::Failed
                && !testbed.is_over_within(session, COMMAND_PAUSE).await
            {}
            end::perform(testbed, journal, random, session, client, end).await
        }
        Action::Fault(harm) => {
            if journal.evidence().actions.is_empty() {
                fault::inject(testbed, journal, session, harm).await?;
            }
            let begun = Instant::now();
            while begun.elapsed() < USE_AFTER_FAULT
                && !testbed.is_over_within(session, COMMAND_PAUSE).await
            {
                // A session that was made on a bare socket has no other.
                if plan.origin != Origin::Bidi || client.socket.is_some() {
                    client.command(testbed, journal, random).await?;
                }
            }
            let is_over = testbed.is_over_within(session, Duration::ZERO).await;
            if !is_over && lives_on(testbed, journal) {
                journal.log("it lives on");
                let end = if plan.origin == Origin::Bidi { End::SessionEnds } else { End::Delete };
                end::perform(testbed, journal, random, session, client, end).await?;
            }
            Ok(())
        }
    }
}

/// Whether a session may have outlived what was done to it: nothing was, or no controller saw that its first pod went, before
/// its status had that pod's name.
fn lives_on(testbed: &Testbed<'_>, journal: &Journal) -> bool {
    let evidence = journal.evidence();
    let now = Instant::now();
    let no_controller = |from| {
        testbed.observer.read(|seen| {
            let mut outages = seen.outages.iter();
            outages.any(|o| o.component == Component::Controller && o.overlaps(from, now))
        })
    };
    evidence.actions.iter().all(|(at, action)| {
        let takes_pod = matches!(action, Action::Fault(Fault::Pod | Fault::Eviction));
        takes_pod && evidence.answered.is_some_and(|answered| *at < answered) && no_controller(*at)
    })
}

async fn over(testbed: &Testbed<'_>, session: &str) -> Result<()> {
    testbed.observer.wait_for("over", END_TIMEOUT, |seen| seen.is_over(session).then_some(())).await
}

/// Waits for the end: the status, the client's Close frame, the pod's removal, the Event, and the record's removal.
async fn await_end(testbed: &Testbed<'_>, journal: &Journal, client: Option<Client>) -> Result<()> {
    let Some(session) = journal.evidence().session else { return Ok(()) };
    let ended = over(testbed, &session).await;
    if ended.is_err() {
        remove(testbed, &session).await?;
    }
    ended?;
    if let Some(mut client) = client {
        client.await_close(journal).await;
    }
    let observer = testbed.observer;
    let no_pod = |seen: &super::observer::Seen| seen.pod_of(&session).is_none().then_some(());
    observer.wait_for("gone: its pod", REMOVAL_TIMEOUT, no_pod).await?;
    let told = observer.wait_for("told by an Event", EVENT_TIMEOUT, |seen| {
        let reason = seen.sessions.get(&session)?.ended.as_ref().and_then(|(_, status)| {
            status.conditions.first().map(|condition| condition.reason.clone())
        });
        let told = seen.event_reasons.get(&session);
        reason.is_none_or(|reason| told.is_some_and(|told| told.contains(&reason))).then_some(())
    });
    // The verdict knows whether it had to come.
    let _ = told.await;
    let gone = |seen: &super::observer::Seen| {
        seen.sessions.get(&session).is_none_or(|history| history.gone.is_some()).then_some(())
    };
    match (journal.plan.ttl, journal.plan.keep) {
        (Some(_), _) => observer.wait_for("gone: its record", REMOVAL_TIMEOUT, gone).await,
        (None, true) => Ok(()),
        (None, false) => {
            remove(testbed, &session).await?;
            observer.wait_for("gone: its record", REMOVAL_TIMEOUT, gone).await
        }
    }
}

async fn remove(testbed: &Testbed<'_>, session: &str) -> Result<()> {
    let name = testbed.observer.read(|seen| {
        let history = seen.sessions.get(session).filter(|history| history.gone.is_none());
        history.map(|history| history.object.name_any())
    });
    let Some(name) = name else { return Ok(()) };
    match testbed.namespace.sessions().delete(&name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => outcome.map(drop).context("delete the record"),
    }
}
