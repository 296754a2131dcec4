//! Which of the operator's pods are killed together, and how. Pure.

use super::{outage::Component, random::Random};

/// A pod of the operator that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// The pod's uid.
    pub pod: String,
    /// Whether its process can be killed: it is on this machine, and was not killed before. The kubelet is in no hurry to
    /// start a container for the second time.
    pub by_signal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Process,
    /// Deleted, with its grace period.
    Pod,
    /// Deleted with a grace period of zero.
    PodAtOnce,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    pub component: Component,
    /// The pod's uid.
    pub pod: String,
    pub way: Method,
}

impl Kill {
    /// Its name in the tally.
    #[must_use]
    pub fn name(&self) -> String {
        let way = match self.way {
            Method::Process => "process",
            Method::Pod => "pod",
            Method::PodAtOnce => "pod, at once",
        };
        format!("{} {way}", self.component.as_str())
    }
}

/// Draws the pods of one round: mostly one, sometimes two, each at most once.
pub fn draw(
    random: &mut Random,
    mut controllers: Vec<Victim>,
    mut gateways: Vec<Victim>,
) -> Vec<Kill> {
    use Component::{Controller, Gateway};
    let components: &[Component] = match random.below(10) {
        0..4 => &[Controller],
        4..8 => &[Gateway],
        8 => &[Controller, Gateway],
        _ => &[Gateway, Gateway],
    };
    let mut one = |component: &Component| {
        let victims = match component {
            Controller => &mut controllers,
            Gateway => &mut gateways,
        };
        let victim = random.take(victims)?;
        let way = match (victim.by_signal && random.percent(50), random.percent(50)) {
            (true, _) => Method::Process,
            (false, true) => Method::PodAtOnce,
            (false, false) => Method::Pod,
        };
        Some(Kill { component: *component, pod: victim.pod, way })
    };
    components.iter().filter_map(&mut one).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn victims(names: &[&str], by_signal: bool) -> Vec<Victim> {
        names.iter().map(|name| Victim { pod: (*name).to_owned(), by_signal }).collect()
    }

    #[test]
    fn everything_is_killed_in_every_way_and_nothing_twice() {
        let mut random = Random::of(1, 1);
        let mut counts = BTreeMap::<String, u32>::new();
        let mut together = BTreeSet::new();
        for _ in 0..1000 {
            let kills = draw(&mut random, victims(&["c", "d"], true), victims(&["g", "h"], true));
            let pods: BTreeSet<_> = kills.iter().map(|kill| kill.pod.clone()).collect();
            assert_eq!(pods.len(), kills.len(), "{kills:?}");
            kills.iter().for_each(|kill| *counts.entry(kill.name()).or_default() += 1);
            together.insert(kills.iter().map(|kill| kill.component.as_str()).collect::<Vec<_>>());
        }
        let (c, g) = ("controller", "gateway");
        assert_eq!(together, [vec![c], vec![c, g], vec![g], vec![g, g]].into());
        assert_eq!(counts.len(), 6, "{counts:?}");
        assert!(counts.values().all(|times| *times > 50), "{counts:?}");
    }

    #[test]
    fn what_cannot_be_signalled_is_deleted_and_what_is_not_there_is_left_alone() {
        let mut random = Random::of(2, 1);
        for _ in 0..100 {
            let kills = draw(&mut random, Vec::new(), victims(&["g"], false));
            assert!(kills.len() <= 1, "{kills:?}");
            assert!(kills.iter().all(|kill| kill.way != Method::Process), "{kills:?}");
        }
    }
}
