//! A cycle's plan, drawn from the seed and the cycle's number alone. Pure.

use std::{fmt, time::Duration};

use serde_json::{Map, Value, json};

use super::random::Random;

/// `connectTimeoutSeconds`. A client whose gateway was killed does not connect.
const CONNECT_SECONDS: u32 = 20;
/// `connectTimeoutSeconds` of sessions created as objects, whose clients may take longer to get through.
const CONNECT_SECONDS_OF_OBJECTS: u32 = 60;
/// Limits that sessions are meant to hit.
const SHORT_SECONDS: u32 = 3;

/// How a session is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An object, as with `kubectl apply`.
    Object,
    /// `POST /session`.
    Classic,
    /// `session.new` on a bare socket.
    Bidi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// The echo driver, without a browser.
    Echo,
    Chromium,
    Firefox,
}

/// How a session ends: by its client, its owner or a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `DELETE /session/{id}`.
    Delete,
    /// `session.end`.
    SessionEnds,
    /// `browser.close`.
    BrowserCloses,
    /// The object is deleted.
    KubectlDelete,
    /// The end annotation with that word.
    Annotation(&'static str),
    /// `timeoutSeconds`.
    HardTimeout,
    /// `idleTimeoutSeconds`.
    IdleTimeout,
    /// `connectTimeoutSeconds`.
    NeverConnected,
    /// The last socket closes with a Close frame.
    SocketClosed,
    /// The last socket drops without a Close frame.
    SocketDropped,
    /// The client leaves before it has its session.
    GaveUp,
}

/// What is killed or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The agent is killed.
    Agent,
    /// The browser is killed.
    Browser,
    /// The driver is killed.
    Driver,
    /// The pod is deleted by hand.
    Pod,
    /// The pod is evicted through the API.
    Eviction,
}

/// What is done to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    End(End),
    Fault(Fault),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End(End::Delete) => "DELETE /session",
            Self::End(End::SessionEnds) => "session.end",
            Self::End(End::BrowserCloses) => "browser.close",
            Self::End(End::KubectlDelete) => "kubectl delete",
            Self::End(End::Annotation(word)) => return write!(f, "annotation {word}"),
            Self::End(End::HardTimeout) => "hard timeout",
            Self::End(End::IdleTimeout) => "idle timeout",
            Self::End(End::NeverConnected) => "never connected",
            Self::End(End::SocketClosed) => "socket closed",
            Self::End(End::SocketDropped) => "socket dropped",
            Self::End(End::GaveUp) => "gave up",
            Self::Fault(Fault::Agent) => "agent killed",
            Self::Fault(Fault::Browser) => "browser killed",
            Self::Fault(Fault::Driver) => "driver killed",
            Self::Fault(Fault::Pod) => "pod deleted",
            Self::Fault(Fault::Eviction) => "pod evicted",
        })
    }
}

/// One cycle: a session from its creation to its end.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cycle's number; the object carries it.
    pub number: u64,
    pub origin: Origin,
    pub browser: Browser,
    /// Whether it speaks BiDi.
    pub bidi: bool,
    pub action: Action,
    /// A fault is injected before it is Ready.
    pub early: bool,
    /// Commands before the action.
    pub commands: u64,
    /// The time before a client leaves or an early fault strikes.
    pub delay: Duration,
    pub expose: bool,
    /// `ttlSecondsAfterFinished`.
    pub ttl: Option<u32>,
    /// Its record is kept, and checked again at the end.
    pub keep: bool,
}

/// Values of the end annotation: two reasons, and one that is none.
const WORDS: [&str; 3] = ["ClientEnded", "Released", "Enough"];

const ENDS: [End; 11] = [
    End::Delete,
    End::SessionEnds,
    End::BrowserCloses,
    End::KubectlDelete,
    End::Annotation("ClientEnded"),
    End::HardTimeout,
    End::IdleTimeout,
    End::NeverConnected,
    End::SocketClosed,
    End::SocketDropped,
    End::GaveUp,
];

const HARMS: [Fault; 5] =
    [Fault::Agent, Fault::Browser, Fault::Driver, Fault::Pod, Fault::Eviction];

impl Plan {
    /// Draws a cycle with one of these browsers, and with a fault if `harm` allows it.
    pub fn draw(random: &mut Random, number: u64, browsers: &[Browser], harm: bool) -> Self {
        let has = |browser| browsers.contains(&browser);
        let browser = match random.below(100) {
            0..3 if has(Browser::Firefox) => Browser::Firefox,
            3..20 if has(Browser::Chromium) => Browser::Chromium,
            _ => browsers.first().copied().unwrap_or(Browser::Echo),
        };
        let origin = *random
            .pick(&[Origin::Object, Origin::Classic, Origin::Bidi])
            .unwrap_or(&Origin::Object);
        let bidi = origin == Origin::Bidi || random.percent(75);
        let action = if harm && random.percent(40) {
            let harms = HARMS.map(Action::Fault);
            let possible = harms.into_iter().filter(|action| fits(*action, origin, browser, bidi));
            random.pick(&possible.collect::<Vec<_>>()).copied()
        } else {
            let ends = ENDS.map(Action::End);
            let possible = ends.into_iter().filter(|action| fits(*action, origin, browser, bidi));
            random.pick(&possible.collect::<Vec<_>>()).copied()
        };
        let action = match action.unwrap_or(Action::End(End::KubectlDelete)) {
            Action::End(End::Annotation(_)) => {
                Action::End(End::Annotation(random.pick(&WORDS).copied().unwrap_or(WORDS[0])))
            }
            other => other,
        };
        let is_harm = matches!(action, Action::Fault(_));
        let object = origin == Origin::Object;
        Self {
            number,
            origin,
            browser,
            bidi,
            action,
            early: random.percent(33) && is_harm && action != Action::Fault(Fault::Browser),
            commands: 1 + random.below(6),
            delay: random.between(0, 700),
            expose: random.percent(10) && object,
            ttl: (random.percent(15) && object).then_some(SHORT_SECONDS),
            keep: random.percent(20),
        }
    }

    /// The fields of the spec beside its capabilities, as far as every API has them.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        let connect = match (self.action, self.origin) {
            (Action::End(End::NeverConnected | End::GaveUp), _) => SHORT_SECONDS,
            (_, Origin::Object) => CONNECT_SECONDS_OF_OBJECTS,
            _ => CONNECT_SECONDS,
        };
        let mut fields = Map::new();
        fields.insert("userMetadata".to_owned(), json!({NUMBER: self.number}));
        fields.insert("connectTimeoutSeconds".to_owned(), connect.into());
        let limit = match self.action {
            Action::End(End::HardTimeout) => Some(("timeoutSeconds", SHORT_SECONDS.into())),
            Action::End(End::IdleTimeout) => Some(("idleTimeoutSeconds", SHORT_SECONDS.into())),
            Action::End(End::SocketClosed | End::SocketDropped) => {
                Some(("keepAlive", false.into()))
            }
            _ => None,
        };
        fields.extend(limit.map(|(name, value)| (name.to_owned(), value)));
        fields
    }
}

/// The key of the cycle's number in `userMetadata`.
pub const NUMBER: &str = "soak";

/// Whether the action is possible for such a session.
fn fits(action: Action, origin: Origin, browser: Browser, bidi: bool) -> bool {
    match action {
        Action::End(End::Delete | End::NeverConnected) => origin != Origin::Bidi,
        Action::End(
            End::SessionEnds | End::BrowserCloses | End::SocketClosed | End::SocketDropped,
        ) => bidi,
        Action::End(End::GaveUp) => origin != Origin::Object,
        Action::End(_) => true,
        Action::Fault(Fault::Browser) => browser != Browser::Echo,
        Action::Fault(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Browser; 3] = [Browser::Echo, Browser::Chromium, Browser::Firefox];

    #[test]
    fn a_cycle_is_drawn_again_from_its_seed_and_number() {
        let draw =
            |number| format!("{:?}", Plan::draw(&mut Random::of(1, number), number, &ALL, true));
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn every_deed_is_drawn_and_can_be_done() {
        let mut drawn = std::collections::BTreeSet::new();
        for number in 0..3000 {
            let plan = Plan::draw(&mut Random::of(1, number), number, &ALL, true);
            assert!(fits(plan.action, plan.origin, plan.browser, plan.bidi), "{plan:?}");
            drawn.insert(plan.action.to_string());
        }
        // The annotation has several words.
        assert_eq!(drawn.len(), ENDS.len() + HARMS.len() + WORDS.len() - 1, "{drawn:?}");
    }

    #[test]
    fn where_nothing_may_break_nothing_does() {
        for number in 0..300 {
            let plan = Plan::draw(&mut Random::of(1, number), number, &ALL, false);
            assert!(matches!(plan.action, Action::End(_)) && !plan.early);
        }
    }
}
