//! What is printed of a namespace whose test failed: its sessions, events, pods and logs.

use std::fmt::Write;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};

use crate::{namespace::Namespace, operator};

const LOG_LINES: i64 = 60;
/// Sessions and pods at most.
const MAX_OBJECTS: usize = 8;
/// The last events, at most.
const MAX_EVENTS: usize = 60;

pub async fn print(namespace: &Namespace, error: &str) {
    let mut text = format!("\n===== namespace {} (kept): {error}\n", namespace.name);
    sessions(namespace, &mut text).await;
    events(namespace, &mut text).await;
    pods(namespace, &mut text).await;
    for component in ["controller", "gateway"] {
        logs_of_operator(namespace, component, &mut text).await;
    }
    let _ = writeln!(text, "===== end of namespace {}", namespace.name);
    eprint!("{text}");
}

async fn sessions(namespace: &Namespace, text: &mut String) {
    match namespace.sessions().list(&ListParams::default()).await {
        Ok(sessions) => {
            for mut session in sessions.items.into_iter().take(MAX_OBJECTS) {
                session.metadata.managed_fields = None;
                let yaml = serde_saphyr::to_string(&session).unwrap_or_default();
                let _ = writeln!(text, "--- session {}\n{yaml}", session.name_any());
            }
        }
        Err(error) => _ = writeln!(text, "--- no sessions to see: {error}"),
    }
}

async fn events(namespace: &Namespace, text: &mut String) {
    let events = Api::<Event>::namespaced(namespace.cluster.client.clone(), &namespace.name);
    match events.list(&ListParams::default()).await {
        Ok(events) => {
            let _ = writeln!(text, "--- events");
            let first = events.items.len().saturating_sub(MAX_EVENTS);
            for event in events.items.into_iter().skip(first) {
                let _ = writeln!(
                    text,
                    "{} {} {}: {}",
                    event.involved_object.kind.unwrap_or_default(),
                    event.involved_object.name.unwrap_or_default(),
                    event.reason.unwrap_or_default(),
                    event.message.unwrap_or_default()
                );
            }
        }
        Err(error) => _ = writeln!(text, "--- no events to see: {error}"),
    }
}

async fn pods(namespace: &Namespace, text: &mut String) {
    match namespace.pods().list(&ListParams::default()).await {
        Ok(pods) => {
            for pod in pods.items.into_iter().take(MAX_OBJECTS) {
                let status = serde_saphyr::to_string(&pod.status).unwrap_or_default();
                let _ = writeln!(text, "--- pod {}\n{status}", pod.name_any());
                logs(&namespace.pods(), &pod.name_any(), text).await;
            }
        }
        Err(error) => _ = writeln!(text, "--- no pods to see: {error}"),
    }
}

async fn logs_of_operator(namespace: &Namespace, component: &str, text: &mut String) {
    match operator::pods(&namespace.cluster, component).await {
        Ok(pods) => {
            for pod in pods {
                let _ = writeln!(text, "--- {component} {}", pod.name_any());
                let own = pod.namespace().unwrap_or_default();
                let pods = Api::<Pod>::namespaced(namespace.cluster.client.clone(), &own);
                logs(&pods, &pod.name_any(), text).await;
            }
        }
        Err(error) => _ = writeln!(text, "--- no {component} to see: {error:#}"),
    }
}

async fn logs(pods: &Api<Pod>, name: &str, text: &mut String) {
    let tail = LogParams { tail_lines: Some(LOG_LINES), ..LogParams::default() };
    match pods.logs(name, &tail).await {
        Ok(log) => _ = writeln!(text, "{log}"),
        Err(error) => _ = writeln!(text, "no log: {error}"),
    }
}
