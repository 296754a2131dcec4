//! What this process has written and its watch has not told of yet.

use std::{collections::HashMap, sync::Arc};

use kube::api::ObjectMeta;
use parking_lot::Mutex;

/// Namespace and name.
type Key = (String, String);

/// Objects of one kind as the API server has answered their writes, until the watch tells of them or of what came after.
#[derive(Debug)]
pub struct Writes<T>(Mutex<HashMap<Key, Write<T>>>);

#[derive(Debug)]
enum Write<T> {
    /// Not answered; the watch may tell of the write, or of a later one, before the answer is read.
    InFlight {
        told: u64,
    },
    Answered {
        version: u64,
        object: Arc<T>,
    },
}

impl<T> Default for Writes<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Writes<T> {
    /// To be called before the request is sent.
    pub fn begin(&self, namespace: &str, name: &str) -> Writing<'_, T> {
        let key = (namespace.to_owned(), name.to_owned());
        self.0.lock().entry(key.clone()).or_insert(Write::InFlight { told: 0 });
        Writing { writes: self, key }
    }

    /// The watch has told of an object of that name, which came, changed or went with that version.
    pub fn told(&self, meta: &ObjectMeta) {
        let key =
            (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
        let seen = version(meta);
        let mut writes = self.0.lock();
        match writes.get_mut(&key) {
            Some(Write::InFlight { told }) => *told = seen.max(*told),
            Some(Write::Answered { version, .. }) if *version <= seen => {
                writes.remove(&key);
            }
            Some(Write::Answered { .. }) | None => {}
        }
    }

    /// The watch has listed anew: what came and went in between it never tells of.
    pub fn listed(&self) {
        self.0.lock().clear();
    }

    /// What was written last, if the watch does not know it yet.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        match self.0.lock().get(&(namespace.to_owned(), name.to_owned()))? {
            Write::Answered { object, .. } => Some(object.clone()),
            Write::InFlight { .. } => None,
        }
    }

    /// This process deletes it.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.0.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }
}

/// A write whose answer is awaited. Dropped: it failed, or its outcome is not known.
pub struct Writing<'a, T> {
    writes: &'a Writes<T>,
    key: Key,
}

impl<T> Writing<'_, T> {
    /// The API server has answered: `meta` and `object` are as it stored them.
    pub fn answered(self, meta: &ObjectMeta, object: T) {
        let version = version(meta);
        let mut writes = self.writes.0.lock();
        let Some(write) = writes.get_mut(&self.key) else { return };
        let is_newest = match write {
            Write::InFlight { told } => *told < version,
            Write::Answered { version: before, .. } => *before < version,
        };
        if is_newest {
            *write = Write::Answered { version, object: Arc::new(object) };
        }
    }
}

impl<T> Drop for Writing<'_, T> {
    fn drop(&mut self) {
        let mut writes = self.writes.0.lock();
        if matches!(writes.get(&self.key), Some(Write::InFlight { .. })) {
            writes.remove(&self.key);
        }
    }
}

/// Which write an object is of: Kubernetes' resource versions can be compared as numbers (API concepts, "Resource
/// versions").
pub(super) fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(version: u64) -> ObjectMeta {
        ObjectMeta {
            namespace: Some("team-a".to_owned()),
            name: Some("all".to_owned()),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        }
    }

    fn begin<'a>(writes: &'a Writes<&'static str>) -> Writing<'a, &'static str> {
        writes.begin("team-a", "all")
    }

    fn known(writes: &Writes<&'static str>) -> Option<&'static str> {
        writes.get("team-a", "all").as_deref().copied()
    }

    #[test]
    fn a_write_is_known_from_its_answer_until_the_watch_tells_of_it_or_of_a_later_one() {
        for told in [7, 8] {
            let writes = Writes::default();
            let writing = begin(&writes);
            assert_eq!(known(&writes), None, "not answered");
            writing.answered(&meta(7), "ours");
            writes.told(&meta(6));
            assert_eq!(known(&writes), Some("ours"), "the watch is behind");
            writes.told(&meta(told));
            assert_eq!(known(&writes), None, "told of {told}");
        }
    }

    #[test]
    fn a_watch_that_is_faster_than_the_answer_is_believed() {
        for (told, is_known) in [(6, true), (7, false), (8, false)] {
            let writes = Writes::default();
            let writing = begin(&writes);
            writes.told(&meta(told));
            writing.answered(&meta(7), "ours");
            assert_eq!(known(&writes).is_some(), is_known, "told of {told}");
        }
    }

    #[test]
    fn of_two_writes_the_later_stays_in_whatever_order_they_are_answered() {
        for order in [[7, 8], [8, 7]] {
            let writes = Writes::default();
            let writings = [begin(&writes), begin(&writes)];
            for (writing, version) in writings.into_iter().zip(order) {
                writing.answered(&meta(version), if version == 8 { "later" } else { "earlier" });
            }
            assert_eq!(known(&writes), Some("later"));
        }
        // The watch told of the first and of the second before the second's answer.
        let writes = Writes::default();
        let writings = [begin(&writes), begin(&writes)];
        for (writing, version) in writings.into_iter().zip([7, 8]) {
            writes.told(&meta(version));
            writing.answered(&meta(version), "told of");
        }
        assert_eq!(known(&writes), None);
    }

    #[test]
    fn a_failure_a_new_list_and_a_delete_leave_nothing() {
        let writes = Writes::default();
        drop(begin(&writes));
        assert!(writes.0.lock().is_empty());
        let writing = begin(&writes);
        writes.listed();
        writing.answered(&meta(7), "ours");
        assert!(writes.0.lock().is_empty());
        begin(&writes).answered(&meta(7), "ours");
        writes.forget("team-a", "all");
        assert!(writes.0.lock().is_empty());
    }
}
