//! Pods that went while no controller was there: the API server still tells of them for some minutes. A session has one pod
//! in its life, also where its status does not say yet that it had one.

use std::{collections::HashSet, sync::Arc};

use agent_api::installation_key::InstallationKey;
use futures::{StreamExt, TryStreamExt, future::join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{WatchEvent, WatchParams},
};
use support::objects::Sent;
use tokio_util::sync::CancellationToken;

use super::{
    class_owners::pod_selector,
    forged::{is_forged, mark},
    stores::Stores,
    tombstones::Tombstones,
};
use crate::settings::Settings;

/// What happened is told at once; after so many seconds the API server ends the telling.
const SECONDS: u32 = 1;

pub struct History {
    /// The uids of sessions that may have had a pod.
    sessions: HashSet<String>,
    /// The version of the one that was written first.
    since: Option<u64>,
    told: CancellationToken,
}

impl History {
    /// Which sessions without a pod there are at the beginning.
    pub fn new(stores: &Stores) -> Self {
        let (mut sessions, mut since) = (HashSet::new(), None::<u64>);
        for session in stores.without_pod() {
            let version = session.metadata.resource_version.as_deref();
            let Some(version) = version.and_then(|version| version.parse().ok()) else { continue };
            since = Some(since.map_or(version, |since| since.min(version)));
            sessions.extend(session.metadata.uid.clone());
        }
        Self { sessions, since, told: CancellationToken::new() }
    }

    /// Waits until it is known whether a session had a pod.
    pub async fn told_of(&self, uid: &str) {
        if self.sessions.contains(uid) {
            self.told.cancelled().await;
        }
    }

    /// Asks the API server which pods have gone, and keeps their last words.
    pub async fn tell(
        self: Arc<Self>,
        client: Client,
        settings: Settings,
        key: InstallationKey,
        tombstones: Arc<Tombstones>,
    ) {
        let _told = self.told.clone().drop_guard();
        let Some(since) = self.since else { return };
        let apis: Vec<Api<Sent<Pod>>> = settings.namespaces.apis(&client);
        let pods = pod_selector(&settings.controller_name);
        let (since, asked) = (since.to_string(), WatchParams::default().labels(&pods));
        let asked = asked.timeout(SECONDS);
        let gone = join_all(apis.iter().map(async |api| {
            let events = api.watch(&asked, &since).await?;
            let deleted = events.try_filter_map(async |event| {
                Ok(match event {
                    WatchEvent::Deleted(Sent::Readable(pod)) => Some(pod),
                    _ => None,
                })
            });
            deleted.boxed().try_collect::<Vec<Pod>>().await
        }));
        for gone in gone.await {
            match gone {
                Ok(pods) => pods.into_iter().for_each(|pod| self.remember(pod, &key, &tombstones)),
                // It is too long ago: whoever still has no pod has waited for one.
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "no history of pods");
                }
            }
        }
    }

    fn remember(&self, mut pod: Pod, key: &InstallationKey, tombstones: &Tombstones) {
        mark(&mut pod, key);
        if !is_forged(&pod) {
            tombstones.pod_gone(&pod, |session| self.sessions.contains(&session.uid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build::token_argument, pods::pod_ref};
    use serde_json::json;

    #[test]
    fn a_pod_that_went_unseen_leaves_its_reason_to_its_session_alone() {
        let key = InstallationKey::new(&[7; 32]).unwrap();
        let pod = |session: &str, is_ours: bool| -> Pod {
            let mut pod: Pod = serde_json::from_value(json!({
                "metadata": {"name": session, "namespace": "n", "uid": session, "ownerReferences": [{
                    "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
                    "name": session, "uid": session,
                }]},
                "spec": {"containers": [{"name": "browser", "args": []}]},
            }))
            .unwrap();
            if is_ours {
                let argument = token_argument(&key.pod_token(&pod_ref(&pod)).hash());
                pod.spec.as_mut().unwrap().containers[0].args = Some(vec![argument]);
            }
            pod
        };
        let sessions = ["lives", "forged"].map(ToOwned::to_owned).into();
        let history = History { sessions, since: None, told: CancellationToken::new() };
        let tombstones = Tombstones::default();
        for (name, is_ours) in [("lives", true), ("ended", true), ("forged", false)] {
            history.remember(pod(name, is_ours), &key, &tombstones);
        }
        let reason = |uid| tombstones.get(uid).map(|tombstone| tombstone.problem.reason);
        assert_eq!(reason("lives"), Some(crds::Reason::PodDeleted));
        assert_eq!((reason("ended"), reason("forged")), (None, None));
    }
}
