//! Outages of the operator's components. Pure.

use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Controller,
    Gateway,
}

impl Component {
    /// Its label's value, and its container's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Gateway => "gateway",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Outage {
    pub component: Component,
    /// The uid of the pod that was killed.
    pub pod: String,
    /// Just before it was.
    pub from: Instant,
    /// When its replacement worked; `None`: not yet.
    pub to: Option<Instant>,
}

impl Outage {
    #[must_use]
    pub fn overlaps(&self, from: Instant, to: Instant) -> bool {
        self.from <= to && self.to.is_none_or(|end| end >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn outages_overlap_what_lies_in_them_and_around_them() {
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        let outage = |to: Option<u64>| Outage {
            component: Component::Controller,
            pod: String::new(),
            from: at(10),
            to: to.map(at),
        };
        for (to, begin, end, expected) in [
            (Some(20), 0, 9, false),
            (Some(20), 0, 10, true),
            (Some(20), 12, 13, true),
            (Some(20), 5, 30, true),
            (Some(20), 21, 30, false),
            (None, 21, 30, true),
            (None, 5, 9, false),
        ] {
            assert_eq!(outage(to).overlaps(at(begin), at(end)), expected, "{to:?} {begin} {end}");
        }
    }
}
