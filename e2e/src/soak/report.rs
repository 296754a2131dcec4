//! What there is to know of a cycle that went wrong.

use std::fmt::Write;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::LogParams};

use super::{outcome::Outcome, stage::Stage};
use crate::operator;

/// Prints it.
pub async fn tell(stage: &Stage<'_>, seed: u64, ended: &Outcome) {
    let (plan, kept) = (&ended.record.plan, ended.record.kept());
    let mut text = format!(
        "\n===== seed {seed}, cycle {}: {}\n{plan:?}\nfitting: {:?}\n{}",
        plan.number,
        ended.wrong.join("\n      "),
        ended.fitting,
        ended.record.story()
    );
    let uid = kept.session.clone().unwrap_or_default();
    stage.observer.look(|seen| {
        for outage in &seen.outages {
            let since = outage.from.saturating_duration_since(ended.record.begun());
            let until = outage.to.map(|to| to.saturating_duration_since(ended.record.begun()));
            if outage.to.is_none_or(|to| to >= ended.record.begun()) {
                let _ = writeln!(text, "{:?} away from {since:?} to {until:?}", outage.component);
            }
        }
        if let Some(life) = seen.lives.get(&uid) {
            let mut object = life.object.clone();
            object.metadata.managed_fields = None;
            let yaml = serde_saphyr::to_string(&object).unwrap_or_default();
            let _ = writeln!(
                text,
                "reasons: {:?}\nEvents: {:?}\n{yaml}",
                life.reasons,
                seen.told.get(&uid)
            );
        }
    });
    if !uid.is_empty() {
        logs(stage, &uid, &mut text).await;
    }
    eprintln!("{text}===== end of cycle {}", plan.number);
}

/// The controller's lines of that session, of this process and of the one before it.
async fn logs(stage: &Stage<'_>, uid: &str, text: &mut String) {
    let cluster = &stage.namespace.cluster;
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
