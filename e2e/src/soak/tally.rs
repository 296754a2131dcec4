//! Counts of cycles, by kind and end, and of kills.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use super::{outcome::Outcome, plan::Action};

#[derive(Default)]
pub struct Tally(RefCell<Counts>);

#[derive(Default)]
struct Counts {
    cycles: u64,
    wrong: u64,
    origins: BTreeMap<String, u64>,
    reasons: BTreeMap<String, u64>,
    ends: BTreeMap<(String, String), u64>,
    kills: BTreeMap<String, u64>,
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    *counts.entry(key).or_default() += 1;
}

impl Tally {
    /// Counts a finished cycle.
    pub fn count(&self, outcome: &Outcome) {
        let mut counts = self.0.borrow_mut();
        let plan = &outcome.journal.plan;
        let has_session = outcome.journal.evidence().session.is_some();
        let none = if has_session { "no end" } else { "no session" };
        let reason = outcome.reason.clone().unwrap_or_else(|| none.to_owned());
        counts.cycles += 1;
        counts.wrong += u64::from(!outcome.wrong.is_empty());
        add(&mut counts.origins, format!("{:?} {:?}", plan.origin, plan.browser));
        let early = if plan.early { ", early" } else { "" };
        add(&mut counts.ends, (format!("{}{early}", plan.action), reason.clone()));
        add(&mut counts.reasons, reason);
        for (_, action) in outcome.journal.evidence().actions {
            if let Action::Fault(_) = action {
                add(&mut counts.kills, action.to_string());
            }
        }
    }

    pub fn killed(&self, what: &str) {
        add(&mut self.0.borrow_mut().kills, what.to_owned());
    }

    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.0.borrow().wrong
    }

    /// The line of progress.
    #[must_use]
    pub fn line(&self) -> String {
        let counts = self.0.borrow();
        format!(
            "{} cycles, {} wrong; asked for: {}; ended: {}; killed: {}",
            counts.cycles,
            counts.wrong,
            list(&counts.origins),
            list(&counts.reasons),
            list(&counts.kills)
        )
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let one = |(what, times): (&String, &u64)| format!("{times} {what}");
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.borrow();
        writeln!(f, "\n{:>6}  cycles\n{:>6}  of them wrong", counts.cycles, counts.wrong)?;
        for (title, counts) in [("asked for", &counts.origins), ("killed", &counts.kills)] {
            writeln!(f, "\n        {title}")?;
            counts.iter().try_for_each(|(what, times)| writeln!(f, "{times:>6}  {what}"))?;
        }
        writeln!(f, "\n        what was done, and the reason")?;
        for ((action, reason), times) in &counts.ends {
            writeln!(f, "{times:>6}  {action:<28} {reason}")?;
        }
        Ok(())
    }
}
