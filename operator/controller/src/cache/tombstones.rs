//! Why pods ended that are gone, for sessions that have not ended yet: who deletes a pod often says so just before, and
//! both are heard at once.

use std::collections::HashMap;

use agent_api::PodRef;
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;

use crate::{
    pods::{Problem, observe_gone, pod_ref},
    session_key::SessionKey,
};

/// What a pod said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    pub pod: PodRef,
    pub problem: Problem,
}

/// By the session's uid.
#[derive(Default)]
pub struct Tombstones(Mutex<HashMap<String, Tombstone>>);

impl Tombstones {
    pub fn get(&self, uid: &str) -> Option<Tombstone> {
        self.0.lock().get(uid).cloned()
    }

    /// A pod is gone. Its last words are kept if its session `lives`, which is asked under the lock: [`Self::forget`] comes
    /// after the store has the session's end.
    pub fn pod_gone(&self, pod: &Pod, lives: impl FnOnce(&SessionKey) -> bool) {
        let Some(key) = SessionKey::of_pod(pod) else { return };
        let mut tombstones = self.0.lock();
        match observe_gone(pod).filter(|_| lives(&key)) {
            Some(problem) => {
                tombstones.insert(key.uid, Tombstone { pod: pod_ref(pod), problem });
            }
            None => drop(tombstones.remove(&key.uid)),
        }
    }

    /// The session has ended.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}
