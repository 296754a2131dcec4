//! What a cycle does: drawn from the seed and the cycle's number alone. Pure.

use std::{fmt, time::Duration};

use serde_json::{Map, Value, json};

use super::random::Random;

/// How long nobody may come for a session; whoever's gateway was killed is nobody.
const CONNECT_SECONDS: u32 = 20;
/// The same for those who make an object: their way through the gateways may be longer.
const CONNECT_SECONDS_OF_OBJECTS: u32 = 60;
/// The limits that sessions are to reach.
const SHORT_SECONDS: u32 = 3;

/// How a session is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birth {
    /// An object, as `kubectl apply` makes it.
    Object,
    /// `POST /session`.
    Classic,
    /// `session.new` on a bare socket.
    Bidi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// None at all: the echo driver.
    Echo,
    Chromium,
    Firefox,
}

/// How a session ends by itself, by its client or by its owner.
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
    /// The last socket is closed, with a Close frame.
    SocketClosed,
    /// The last socket is dropped, without one.
    SocketDropped,
    /// The client leaves before it has its session.
    GaveUp,
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
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
pub enum Deed {
    End(End),
    Harm(Harm),
}

impl fmt::Display for Deed {
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
            Self::Harm(Harm::Agent) => "agent killed",
            Self::Harm(Harm::Browser) => "browser killed",
            Self::Harm(Harm::Driver) => "driver killed",
            Self::Harm(Harm::Pod) => "pod deleted",
            Self::Harm(Harm::Eviction) => "pod evicted",
        })
    }
}

/// A cycle: one session, from its birth to its end.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its number, which its object carries.
    pub number: u64,
    /// How it is asked for.
    pub birth: Birth,
    pub browser: Browser,
    /// Whether it speaks BiDi.
    pub bidi: bool,
    /// What becomes of it.
    pub deed: Deed,
    /// Whether harm comes before it is Ready, if it can.
    pub early: bool,
    /// How many commands it runs before.
    pub commands: u64,
    /// How long whoever gives up waits, and harm.
    pub patience: Duration,
    /// Whether it has a Service of its own.
    pub expose: bool,
    /// How long its record stays.
    pub ttl: Option<u32>,
    /// Whether its record is left to be looked at again at the end.
    pub keep: bool,
}

/// The words of the end annotation: reasons, and one that is none.
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

const HARMS: [Harm; 5] = [Harm::Agent, Harm::Browser, Harm::Driver, Harm::Pod, Harm::Eviction];

impl Plan {
    /// Draws a cycle with one of these browsers, and with harm if there may be any.
    pub fn draw(random: &mut Random, number: u64, browsers: &[Browser], harm: bool) -> Self {
        let has = |browser| browsers.contains(&browser);
        let browser = match random.below(100) {
            0..3 if has(Browser::Firefox) => Browser::Firefox,
            3..20 if has(Browser::Chromium) => Browser::Chromium,
            _ => browsers.first().copied().unwrap_or(Browser::Echo),
        };
        let birth =
            *random.pick(&[Birth::Object, Birth::Classic, Birth::Bidi]).unwrap_or(&Birth::Object);
        let bidi = birth == Birth::Bidi || random.percent(75);
        let deed = if harm && random.percent(40) {
            let harms = HARMS.map(Deed::Harm);
            let possible = harms.into_iter().filter(|deed| fits(*deed, birth, browser, bidi));
            random.pick(&possible.collect::<Vec<_>>()).copied()
        } else {
            let ends = ENDS.map(Deed::End);
            let possible = ends.into_iter().filter(|deed| fits(*deed, birth, browser, bidi));
            random.pick(&possible.collect::<Vec<_>>()).copied()
        };
        let deed = match deed.unwrap_or(Deed::End(End::KubectlDelete)) {
            Deed::End(End::Annotation(_)) => {
                Deed::End(End::Annotation(random.pick(&WORDS).copied().unwrap_or(WORDS[0])))
            }
            other => other,
        };
        let is_harm = matches!(deed, Deed::Harm(_));
        let object = birth == Birth::Object;
        Self {
            number,
            birth,
            browser,
            bidi,
            deed,
            early: random.percent(33) && is_harm && deed != Deed::Harm(Harm::Browser),
            commands: 1 + random.below(6),
            patience: random.between(0, 700),
            expose: random.percent(10) && object,
            ttl: (random.percent(15) && object).then_some(SHORT_SECONDS),
            keep: random.percent(20),
        }
    }

    /// What stands in the object's spec beside its capabilities, as far as every road can say it.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        let connect = match (self.deed, self.birth) {
            (Deed::End(End::NeverConnected | End::GaveUp), _) => SHORT_SECONDS,
            (_, Birth::Object) => CONNECT_SECONDS_OF_OBJECTS,
            _ => CONNECT_SECONDS,
        };
        let mut fields = Map::new();
        fields.insert("userMetadata".to_owned(), json!({NUMBER: self.number}));
        fields.insert("connectTimeoutSeconds".to_owned(), connect.into());
        let limit = match self.deed {
            Deed::End(End::HardTimeout) => Some(("timeoutSeconds", SHORT_SECONDS.into())),
            Deed::End(End::IdleTimeout) => Some(("idleTimeoutSeconds", SHORT_SECONDS.into())),
            Deed::End(End::SocketClosed | End::SocketDropped) => Some(("keepAlive", false.into())),
            _ => None,
        };
        fields.extend(limit.map(|(name, value)| (name.to_owned(), value)));
        fields
    }
}

/// Under which name an object's `userMetadata` has its cycle's number.
pub const NUMBER: &str = "soak";

/// Whether that can be done to such a session.
fn fits(deed: Deed, birth: Birth, browser: Browser, bidi: bool) -> bool {
    match deed {
        Deed::End(End::Delete | End::NeverConnected) => birth != Birth::Bidi,
        Deed::End(
            End::SessionEnds | End::BrowserCloses | End::SocketClosed | End::SocketDropped,
        ) => bidi,
        Deed::End(End::GaveUp) => birth != Birth::Object,
        Deed::End(_) => true,
        Deed::Harm(Harm::Browser) => browser != Browser::Echo,
        Deed::Harm(_) => true,
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
            assert!(fits(plan.deed, plan.birth, plan.browser, plan.bidi), "{plan:?}");
            drawn.insert(plan.deed.to_string());
        }
        // The annotation has several words.
        assert_eq!(drawn.len(), ENDS.len() + HARMS.len() + WORDS.len() - 1, "{drawn:?}");
    }

    #[test]
    fn where_nothing_may_break_nothing_does() {
        for number in 0..300 {
            let plan = Plan::draw(&mut Random::of(1, number), number, &ALL, false);
            assert!(matches!(plan.deed, Deed::End(_)) && !plan.early);
        }
    }
}
