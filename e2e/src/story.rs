//! What happened in a namespace whose test failed.

use std::fmt::Write;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};

use crate::{namespace::Namespace, operator};

/// How many lines of a log are told.
const LINES: i64 = 60;
/// How many sessions and pods.
const MOST: usize = 8;
/// How many events, the last.
const MOST_EVENTS: usize = 60;

/// Prints it.
pub async fn tell(namespace: &Namespace, error: &str) {
    let mut story = format!("\n===== namespace {} (kept): {error}\n", namespace.name);
    sessions(namespace, &mut story).await;
    events(namespace, &mut story).await;
    pods(namespace, &mut story).await;
    for component in ["controller", "gateway"] {
        logs_of_operator(namespace, component, &mut story).await;
    }
    let _ = writeln!(story, "===== end of the story of {}", namespace.name);
    eprint!("{story}");
}

async fn sessions(namespace: &Namespace, story: &mut String) {
    match namespace.sessions().list(&ListParams::default()).await {
        Ok(sessions) => {
            for mut session in sessions.items.into_iter().take(MOST) {
                session.metadata.managed_fields = None;
                let yaml = serde_saphyr::to_string(&session).unwrap_or_default();
                let _ = writeln!(story, "--- session {}\n{yaml}", session.name_any());
            }
        }
        Err(error) => _ = writeln!(story, "--- no sessions to see: {error}"),
    }
}

async fn events(namespace: &Namespace, story: &mut String) {
    let events = Api::<Event>::namespaced(namespace.cluster.client.clone(), &namespace.name);
    match events.list(&ListParams::default()).await {
        Ok(events) => {
            let _ = writeln!(story, "--- events");
            let first = events.items.len().saturating_sub(MOST_EVENTS);
            for event in events.items.into_iter().skip(first) {
                let _ = writeln!(
                    story,
                    "{} {} {}: {}",
                    event.involved_object.kind.unwrap_or_default(),
                    event.involved_object.name.unwrap_or_default(),
                    event.reason.unwrap_or_default(),
                    event.message.unwrap_or_default()
                );
            }
        }
        Err(error) => _ = writeln!(story, "--- no events to see: {error}"),
    }
}

async fn pods(namespace: &Namespace, story: &mut String) {
    match namespace.pods().list(&ListParams::default()).await {
        Ok(pods) => {
            for pod in pods.items.into_iter().take(MOST) {
                let status = serde_saphyr::to_string(&pod.status).unwrap_or_default();
                let _ = writeln!(story, "--- pod {}\n{status}", pod.name_any());
                logs(&namespace.pods(), &pod.name_any(), story).await;
            }
        }
        Err(error) => _ = writeln!(story, "--- no pods to see: {error}"),
    }
}

async fn logs_of_operator(namespace: &Namespace, component: &str, story: &mut String) {
    match operator::pods(&namespace.cluster, component).await {
        Ok(pods) => {
            for pod in pods {
                let _ = writeln!(story, "--- {component} {}", pod.name_any());
                let own = pod.namespace().unwrap_or_default();
                let pods = Api::<Pod>::namespaced(namespace.cluster.client.clone(), &own);
                logs(&pods, &pod.name_any(), story).await;
            }
        }
        Err(error) => _ = writeln!(story, "--- no {component} to see: {error:#}"),
    }
}

async fn logs(pods: &Api<Pod>, name: &str, story: &mut String) {
    let tail = LogParams { tail_lines: Some(LINES), ..LogParams::default() };
    match pods.logs(name, &tail).await {
        Ok(text) => _ = writeln!(story, "{text}"),
        Err(error) => _ = writeln!(story, "no log: {error}"),
    }
}
