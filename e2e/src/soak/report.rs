//! Prints a cycle that went wrong.

use std::fmt::Write;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::LogParams};

use super::{outcome::Outcome, testbed::Testbed};
use crate::operator;

pub async fn print(testbed: &Testbed<'_>, seed: u64, outcome: &Outcome) {
    let (plan, evidence) = (&outcome.journal.plan, outcome.journal.evidence());
    let mut text = format!(
        "\n===== seed {seed}, cycle {}: {}\n{plan:?}\nfitting: {:?}\n{}",
        plan.number,
        outcome.wrong.join("\n      "),
        outcome.expected,
        outcome.journal.text()
    );
    let uid = evidence.session.clone().unwrap_or_default();
    testbed.observer.read(|seen| {
        for outage in &seen.outages {
            let since = outage.from.saturating_duration_since(outcome.journal.begun());
            let until = outage.to.map(|to| to.saturating_duration_since(outcome.journal.begun()));
            if outage.to.is_none_or(|to| to >= outcome.journal.begun()) {
                let _ = writeln!(text, "{:?} away from {since:?} to {until:?}", outage.component);
            }
        }
        if let Some(history) = seen.sessions.get(&uid) {
            let mut object = history.object.clone();
            object.metadata.managed_fields = None;
            let yaml = serde_saphyr::to_string(&object).unwrap_or_default();
            let _ = writeln!(
                text,
                "reasons: {:?}\nEvents: {:?}\n{yaml}",
                history.reasons,
                seen.event_reasons.get(&uid)
            );
        }
    });
    if !uid.is_empty() {
        logs(testbed, &uid, &mut text).await;
    }
    eprintln!("{text}===== end of cycle {}", plan.number);
}

/// The controller's lines of that session, of this process and of the one before it.
async fn logs(testbed: &Testbed<'_>, uid: &str, text: &mut String) {
    let cluster = &testbed.namespace.cluster;
    let pods = match operator::pods(cluster, "controller").await {
        Ok(pods) => pods,
        Err(error) => {
            let _ = writeln!(text, "no controller to ask: {error:#}");
            return;
        }
    };
    for pod in pods {
        let namespace = pod.namespace().unwrap_or_default();
        let api = Api::<Pod>::namespaced(cluster.client.clone(), &namespace);
        for previous in [true, false] {
            let params = LogParams { previous, ..LogParams::default() };
            let log = api.logs(&pod.name_any(), &params).await.unwrap_or_default();
            for line in log.lines().filter(|line| line.contains(uid)) {
                let _ = writeln!(text, "{} {line}", pod.name_any());
            }
        }
    }
}
