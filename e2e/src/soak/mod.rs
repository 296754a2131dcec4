//! The soak: random sessions, asked for, used and ended by every road, while what runs them is killed at random. Each must
//! end, once, for a reason that fits what was done to it, and leave nothing.
//!
//! `plan` draws a cycle, `cycle` runs it, `observer` sees what comes of it, `fits` says which reasons are right, `verdict`
//! whether all is well, and `chaos` kills the operator meanwhile.

mod chaos;
mod classes;
mod client;
mod create;
mod cycle;
mod end;
mod expected_reasons;
mod fault;
mod history;
mod journal;
mod kill;
pub mod leftovers;
mod observer;
mod outage;
mod outcome;
mod plan;
mod process;
mod random;
mod report;
mod tally;
mod testbed;
mod verdict;

use std::{cell::Cell, time::Duration};

use anyhow::{Context, Result, ensure};
use crds::Reason;
use futures::future::join_all;
use tokio::{
    signal::ctrl_c,
    time::{Instant, interval},
};

use observer::Observer;
use plan::Plan;
use random::Random;
use tally::Tally;
use testbed::Testbed;

use crate::{Namespace, with_namespace};

/// Between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// Failed cycles that are printed in full, at most.
const MAX_REPORTS: u64 = 20;
/// For sessions to end that no cycle knows of.
const END_TIMEOUT: Duration = Duration::from_secs(60);
/// The random stream of the chaos; cycles use their own number.
const CHAOS_STREAM: u64 = u64::MAX;

#[derive(Clone, Debug)]
pub struct Settings {
    /// The seed of all random numbers.
    pub seed: u64,
    /// No new cycle begins after this time.
    pub length: Duration,
    /// Cycles in all, at most.
    pub cycles: u64,
    /// Cycles at a time.
    pub workers: u64,
    /// Kill the operator's pods meanwhile.
    pub chaos: bool,
    /// Inject faults into sessions.
    pub harm: bool,
}

/// Runs the soak in a namespace of its own.
pub async fn run(settings: &Settings) -> Result<()> {
    println!("{settings:?}");
    with_namespace(async |namespace| {
        classes::with_classes(&namespace, async |browsers| {
            let observer = Observer::default();
            let testbed = Testbed::new(&namespace, &observer, browsers).await?;
            tokio::select! {
                outcome = soak(&testbed, settings) => outcome,
                () = observer.watch(&namespace) => anyhow::bail!("the watches ended"),
            }
        })
        .await
    })
    .await
}

async fn soak(testbed: &Testbed<'_>, settings: &Settings) -> Result<()> {
    let tally = Tally::default();
    let (begun, next, stopped) = (Instant::now(), Cell::new(0), Cell::new(false));
    let is_over =
        || stopped.get() || begun.elapsed() >= settings.length || next.get() >= settings.cycles;
    let worker = async || {
        while !is_over() {
            let number = next.replace(next.get() + 1);
            let mut random = Random::of(settings.seed, number);
            let plan = Plan::draw(&mut random, number, &testbed.browsers, settings.harm);
            let outcome = cycle::run(testbed, plan, &mut random).await;
            if !outcome.wrong.is_empty() && tally.wrong() < MAX_REPORTS {
                report::print(testbed, settings.seed, &outcome).await;
            }
            tally.count(&outcome);
            testbed.forget(&outcome);
        }
    };
    let working = async {
        let workers = join_all((0..settings.workers).map(|_| worker()));
        let mut chaos = Random::of(settings.seed, CHAOS_STREAM);
        if settings.chaos {
            let killing = chaos::run(testbed, &tally, &mut chaos, is_over);
            tokio::join!(workers, killing).1
        } else {
            workers.await;
            Ok(())
        }
    };
    let telling = async {
        let mut pace = interval(PROGRESS_INTERVAL);
        loop {
            pace.tick().await;
            println!("{:4} s  {}", begun.elapsed().as_secs(), tally.line());
        }
    };
    let stopping = async {
        ctrl_c().await.context("listen for Ctrl-C")?;
        println!("no new cycles; again to leave everything as it is");
        stopped.set(true);
        ctrl_c().await.context("listen for Ctrl-C")
    };
    let killed = tokio::select! {
        killed = working => killed,
        () = telling => Ok(()),
        left = stopping => left.and(Err(anyhow::anyhow!("stopped"))),
    };
    println!("{tally}");
    killed?;
    let wrong = check_leftovers(testbed).await?;
    ensure!(
        wrong.is_empty() && tally.wrong() == 0,
        "{} cycles went wrong; {wrong:#?}",
        tally.wrong()
    );
    Ok(())
}

/// Checks that can be made only at the end: of records that were kept, and of leftovers.
async fn check_leftovers(testbed: &Testbed<'_>) -> Result<Vec<String>> {
    let all_over = |seen: &observer::Seen| {
        let mut sessions = seen.sessions.values();
        sessions.all(|history| history.is_over()).then_some(())
    };
    let mut wrong = Vec::new();
    if let Err(error) = testbed.observer.wait_for("all over", END_TIMEOUT, all_over).await {
        wrong.push(format!("{error:#}"));
    }
    testbed.observer.read(|seen| {
        for (uid, history) in &seen.sessions {
            // A gateway may still have had it in hand when its client and its cycle had left.
            let is_late = history.reason().as_deref() == Some(Reason::ClientGaveUp.as_str());
            if !history.claimed && !is_late {
                wrong.push(format!("{uid}: nobody asked for it: {:?}", history.object));
            }
            wrong.extend(history.wrong.iter().map(|wrong| format!("{uid}: {wrong}")));
        }
    });
    let namespace: &Namespace = testbed.namespace;
    if let Err(error) = namespace.nothing_left().await {
        wrong.push(format!("{error:#}"));
    }
    let pods = testbed.observer.read(|seen| seen.gone.clone());
    if let Err(error) = leftovers::none(&namespace.cluster, &pods).await {
        wrong.push(format!("{error:#}"));
    }
    Ok(wrong)
}
