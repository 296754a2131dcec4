//! What a start waits for: who asks an agent that has not answered in time is told.

use std::{sync::Arc, time::Duration};

use agent_api::bind::NewSession;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

/// How many names of capabilities are told, and how many characters of each.
const MAX_NAMES: usize = 8;
const MAX_NAME: usize = 64;
/// Every session asks for these; they hang no browser.
const USUAL: [&str; 2] = ["browserName", "webSocketUrl"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartStep {
    /// The driver's program was started, and does not listen yet.
    Driver,
    /// The driver listens, and has nothing to do.
    Idle,
    /// The driver starts the browser. What it was asked for may hang it.
    Browser { asked: Vec<String> },
    /// The browser gets the spec's viewport and first page.
    Page,
    /// The session's BiDi socket is opened.
    BidiSocket,
}

impl StartStep {
    /// The driver was sent New Session.
    pub fn browser(wanted: &NewSession) -> Self {
        Self::Browser { asked: asked_names(wanted) }
    }

    /// For a person, after so long.
    fn describe(&self, took: Duration) -> String {
        let seconds = took.as_secs();
        match self {
            Self::Driver => {
                format!("its driver was started {seconds} s ago and does not listen yet")
            }
            Self::Idle => format!("its driver has been idle for {seconds} s"),
            Self::Browser { asked } => {
                let waits = format!(
                    "its driver was sent New Session {seconds} s ago, and the browser is not up"
                );
                if asked.is_empty() {
                    waits
                } else {
                    format!("{waits}; one of these may hang it: {}", asked.join(", "))
                }
            }
            Self::Page => format!(
                "its browser is up, and has been given spec.viewport and spec.startUrl {seconds} s ago"
            ),
            Self::BidiSocket => {
                format!("its browser is up, and has not opened its BiDi socket for {seconds} s")
            }
        }
    }
}

/// The names of what is asked for beside the usual; no value, which may be a secret.
fn asked_names(wanted: &NewSession) -> Vec<String> {
    let mut names = Vec::new();
    for (name, value) in &wanted.capabilities {
        match value {
            _ if USUAL.contains(&name.as_str()) => {}
            Value::Object(members) if name.contains(':') => {
                names.extend(members.keys().map(|member| format!("{name}.{member}")));
            }
            _ => names.push(name.clone()),
        }
    }
    names.truncate(MAX_NAMES);
    let printable =
        |name: String| name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    names.into_iter().map(printable).collect()
}

/// The step that a start is at, and since when. Clones share it.
#[derive(Clone, Debug)]
pub struct StartProgress(Arc<Mutex<(StartStep, Instant)>>);

impl StartProgress {
    pub fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new((StartStep::Driver, now))))
    }

    pub fn enter(&self, step: StartStep) {
        *self.0.lock() = (step, Instant::now());
    }

    pub fn describe(&self, now: Instant) -> String {
        let (step, since) = self.0.lock().clone();
        step.describe(now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn a_start_says_what_it_waits_for_and_for_how_long() {
        let progress = StartProgress::new(Instant::now());
        let later = async |step: Option<StartStep>| {
            if let Some(step) = step {
                progress.enter(step);
            }
            tokio::time::advance(Duration::from_secs(58)).await;
            progress.describe(Instant::now())
        };
        assert_eq!(later(None).await, "its driver was started 58 s ago and does not listen yet");
        let wanted = |capabilities: Value| NewSession {
            capabilities: capabilities.as_object().unwrap().clone(),
            ..NewSession::default()
        };
        let plain = wanted(json!({"browserName": "chrome", "webSocketUrl": true}));
        assert_eq!(
            later(Some(StartStep::browser(&plain))).await,
            "its driver was sent New Session 58 s ago, and the browser is not up"
        );
        let asked = wanted(json!({
            "browserName": "chrome", "pageLoadStrategy": "none",
            "goog:chromeOptions": {"args": ["--password=x"], "prefs": {}},
        }));
        let told = later(Some(StartStep::browser(&asked))).await;
        assert!(
            told.ends_with(
                "may hang it: goog:chromeOptions.args, goog:chromeOptions.prefs, pageLoadStrategy"
            ),
            "{told}"
        );
    }

    #[test]
    fn few_names_are_told_and_none_is_long() {
        let capabilities = (0..100).map(|n| (format!("v:{n}\n{}", "x".repeat(200)), json!(1)));
        let wanted = NewSession { capabilities: capabilities.collect(), ..NewSession::default() };
        let names = asked_names(&wanted);
        assert_eq!(names.len(), MAX_NAMES);
        assert!(names.iter().all(|name| name.len() == MAX_NAME && !name.contains('\n')));
    }
}
