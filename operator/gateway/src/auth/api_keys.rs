//! API keys: Secrets of the operator's own namespace, from one watch. Each acts as a ServiceAccount of one namespace, and may do
//! what the API server allows that.

use std::collections::HashMap;

use agent_api::api_key::ApiKey;
use crds::names;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Client, ResourceExt,
    runtime::watcher::{Config, Event},
};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    pub namespace: String,
    /// The user name of the ServiceAccount that it acts as.
    pub user: String,
    hash: String,
}

#[derive(Default)]
pub struct ApiKeys {
    by_id: RwLock<HashMap<String, KeyHolder>>,
}

impl ApiKeys {
    /// Whose key this is; `None` where there is no such key.
    pub fn holder(&self, key: &ApiKey) -> Option<KeyHolder> {
        let holder = self.by_id.read().get(key.id()).cloned()?;
        key.has_hash(&holder.hash).then_some(holder)
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.by_id.read().is_empty()
    }

    /// Follows the watch until `stop`. `synced` is cancelled once every key has been listed.
    pub async fn watch(
        &self,
        client: Client,
        namespace: &str,
        synced: CancellationToken,
        stop: CancellationToken,
    ) {
        let config = Config::default().labels(&format!("{}=true", names::API_KEY_LABEL));
        let events = support::watch::events_in::<Secret>(&client, namespace, config, stop);
        let mut events = std::pin::pin!(events);
        let mut listed = HashMap::new();
        while let Some(event) = events.next().await {
            match event {
                Event::Init => listed.clear(),
                Event::InitApply(secret) => listed.extend(parse(&secret)),
                Event::InitDone => {
                    *self.by_id.write() = std::mem::take(&mut listed);
                    synced.cancel();
                }
                Event::Apply(secret) => {
                    // A Secret that cannot be read any more is no key.
                    let mut by_id = self.by_id.write();
                    by_id.remove(id_of(&secret.name_any()));
                    by_id.extend(parse(&secret));
                }
                Event::Delete(secret) => {
                    self.by_id.write().remove(id_of(&secret.name_any()));
                }
            }
        }
    }
}

fn id_of(name: &str) -> &str {
    name.strip_prefix(names::API_KEY_PREFIX).unwrap_or(name)
}

fn parse(secret: &Secret) -> Option<(String, KeyHolder)> {
    let field = |name: &str| {
        let bytes = &secret.data.as_ref()?.get(name)?.0;
        String::from_utf8(bytes.clone()).ok().filter(|text| !text.is_empty())
    };
    let name = secret.name_any();
    let holder = || {
        let (namespace, user) = (field("namespace")?, field("user")?);
        // Only a ServiceAccount of the same namespace.
        user.strip_prefix("system:serviceaccount:")?.strip_prefix(&namespace)?.strip_prefix(':')?;
        Some(KeyHolder { namespace, user, hash: field("hash")? })
    };
    let Some(holder) = holder() else {
        tracing::warn!(name, "a Secret that is labelled as an API key has not its fields");
        return None;
    };
    Some((id_of(&name).to_owned(), holder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_api::api_key::{ID_BYTES, SECRET_BYTES};
    use serde_json::json;

    #[test]
    fn a_key_is_its_holders_and_another_secret_of_its_name_is_none() {
        let key = ApiKey::new([1; ID_BYTES], [2; SECRET_BYTES]);
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": format!("api-key-{}", key.id())},
            "data": {
                "namespace": k8s_openapi::ByteString(b"team-a".to_vec()),
                "user": k8s_openapi::ByteString(b"system:serviceaccount:team-a:ci".to_vec()),
                "hash": k8s_openapi::ByteString(key.hash().into_bytes()),
            },
        }))
        .unwrap();
        let keys = ApiKeys::default();
        keys.by_id.write().extend(parse(&secret));
        assert_eq!(keys.holder(&key).unwrap().namespace, "team-a");
        assert_eq!(keys.holder(&ApiKey::new([1; ID_BYTES], [3; SECRET_BYTES])), None);
        assert_eq!(keys.holder(&ApiKey::new([2; ID_BYTES], [2; SECRET_BYTES])), None);
        assert!(parse(&Secret::default()).is_none());
    }
}
