//! Several watches of one kind as if they were one: one list at the beginning, then changes. Pure.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, runtime::watcher::Event};

use crate::objects::{Sent, Unreadable};

/// The objects of one watch, by name: what it takes to tell that one is gone.
type Known = HashMap<String, ObjectMeta>;

#[derive(Default)]
struct Place {
    known: Known,
    /// What the list that is under way has had so far.
    listing: Known,
    is_listed: bool,
}

pub(super) struct Merge<K> {
    places: Vec<Place>,
    has_begun: bool,
    /// What went before every place was listed.
    gone: Vec<Sent<K>>,
}

impl<K: Resource<DynamicType = ()>> Merge<K> {
    pub fn new(places: usize) -> Self {
        let places = (0..places).map(|_| Place::default()).collect();
        Self { places, has_begun: false, gone: Vec::new() }
    }

    /// What an event of one of the watches is to whoever sees them as one.
    pub fn handle(&mut self, place: usize, event: Event<Sent<K>>) -> Vec<Event<Sent<K>>> {
        // A single watch says it all itself.
        if self.places.len() == 1 {
            return vec![event];
        }
        let all_listed = self.places.iter().all(|place| place.is_listed);
        let Some(here) = self.places.get_mut(place) else { return Vec::new() };
        match event {
            Event::Init => {
                here.listing.clear();
                let first = !std::mem::replace(&mut self.has_begun, true);
                if first { vec![Event::Init] } else { Vec::new() }
            }
            Event::InitApply(object) | Event::Apply(object) => {
                let known = slim(object.meta());
                let name = known.name.clone().unwrap_or_default();
                here.listing.insert(name.clone(), known.clone());
                let uid = known.uid.clone();
                let before = here.known.insert(name, known);
                let replaced = before.filter(|before| before.uid != uid).map(stub);
                if all_listed {
                    let replaced = replaced.into_iter().map(Event::Delete);
                    replaced.chain([Event::Apply(object)]).collect()
                } else {
                    vec![Event::InitApply(object)]
                }
            }
            Event::Delete(object) => {
                here.known.remove(object.meta().name.as_deref().unwrap_or_default());
                self.go(all_listed, vec![object])
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut here.listing);
                let before = std::mem::replace(&mut here.known, listed);
                let unlisted =
                    before.into_iter().filter(|(name, _)| !here.known.contains_key(name));
                let unlisted = unlisted.map(|(_, metadata)| stub(metadata)).collect();
                here.is_listed = true;
                let mut events = self.go(all_listed, unlisted);
                if !all_listed && self.places.iter().all(|place| place.is_listed) {
                    events.push(Event::InitDone);
                    events.extend(std::mem::take(&mut self.gone).into_iter().map(Event::Delete));
                }
                events
            }
        }
    }

    fn go(&mut self, all_listed: bool, gone: Vec<Sent<K>>) -> Vec<Event<Sent<K>>> {
        if all_listed {
            return gone.into_iter().map(Event::Delete).collect();
        }
        self.gone.extend(gone);
        Vec::new()
    }
}

fn slim(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        owner_references: metadata.owner_references.clone(),
        ..ObjectMeta::default()
    }
}

/// An object that went unseen.
fn stub<K>(metadata: ObjectMeta) -> Sent<K> {
    Sent::Unreadable(Box::new(Unreadable { metadata, ..Unreadable::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    fn pod(name: &str, uid: &str) -> Sent<Pod> {
        let pod = json!({"metadata": {"name": name, "namespace": "n", "uid": uid}});
        Sent::Readable(serde_json::from_value(pod).unwrap())
    }

    fn told(merge: &mut Merge<Pod>, place: usize, event: Event<Sent<Pod>>) -> Vec<String> {
        let of = |sent: &Sent<Pod>| {
            let meta = sent.meta();
            format!("{}/{}", meta.name.as_deref().unwrap(), meta.uid.as_deref().unwrap())
        };
        let events = merge.handle(place, event);
        let texts = events.iter().map(|event| match event {
            Event::Init => "init".to_owned(),
            Event::InitDone => "done".to_owned(),
            Event::InitApply(sent) => format!("init {}", of(sent)),
            Event::Apply(sent) => format!("apply {}", of(sent)),
            Event::Delete(sent) => format!("delete {}", of(sent)),
        });
        texts.collect()
    }

    #[test]
    fn watches_are_one_list_and_then_changes() {
        let mut merge = Merge::new(2);
        let nothing = [""; 0];
        assert_eq!(told(&mut merge, 0, Event::Init), ["init"]);
        assert_eq!(told(&mut merge, 1, Event::Init), nothing);
        assert_eq!(told(&mut merge, 0, Event::InitApply(pod("a", "1"))), ["init a/1"]);
        assert_eq!(told(&mut merge, 0, Event::InitDone), nothing);
        // While the other lists.
        assert_eq!(told(&mut merge, 0, Event::Apply(pod("c", "3"))), ["init c/3"]);
        assert_eq!(told(&mut merge, 0, Event::Delete(pod("a", "1"))), nothing);
        assert_eq!(told(&mut merge, 1, Event::InitApply(pod("b", "2"))), ["init b/2"]);
        assert_eq!(told(&mut merge, 1, Event::InitDone), ["done", "delete a/1"]);
        // From now on every list is changes.
        assert_eq!(told(&mut merge, 1, Event::Init), nothing);
        assert_eq!(told(&mut merge, 1, Event::InitApply(pod("d", "4"))), ["apply d/4"]);
        assert_eq!(told(&mut merge, 1, Event::InitDone), ["delete b/2"]);
        assert_eq!(told(&mut merge, 0, Event::Apply(pod("c", "9"))), ["delete c/3", "apply c/9"]);
        assert_eq!(told(&mut merge, 0, Event::Delete(pod("c", "9"))), ["delete c/9"]);
    }

    #[test]
    fn a_single_watch_is_left_as_it_is() {
        let mut merge = Merge::new(1);
        assert_eq!(told(&mut merge, 0, Event::Init), ["init"]);
        assert_eq!(told(&mut merge, 0, Event::InitApply(pod("a", "1"))), ["init a/1"]);
        assert_eq!(told(&mut merge, 0, Event::InitDone), ["done"]);
        assert_eq!(told(&mut merge, 0, Event::Init), ["init"]);
    }
}
