//! The Secret in the operator's namespace with the credentials that a call brought for the proxies of its session.

use crds::names;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;
use placement::BroughtCredentials;

/// The Secret of a session that has just been made. The controller reads it, and deletes it with the session.
///
/// # Errors
/// The credentials are no JSON.
pub fn brought_secret(
    credentials: &BroughtCredentials,
    session: &ObjectMeta,
    operator_namespace: &str,
) -> Result<Secret, serde_json::Error> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (namespace, name, uid) =
        (text(&session.namespace), text(&session.name), text(&session.uid));
    let labels = [
        (names::MANAGED_BY_LABEL, names::MANAGED_BY),
        (names::USE_LABEL, names::USE_SESSION_PROXY),
    ];
    let json = ByteString(serde_json::to_vec(credentials)?);
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(format!("{}{uid}", names::SESSION_PROXY_PREFIX)),
            namespace: Some(operator_namespace.to_owned()),
            labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            annotations: Some(
                [(names::SESSION_ANNOTATION.to_owned(), format!("{namespace}/{name}"))].into(),
            ),
            ..ObjectMeta::default()
        },
        data: Some([(names::SESSION_PROXY_KEY.to_owned(), json)].into()),
        immutable: Some(true),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use egress::Credentials;
    use placement::Brought;
    use serde_json::json;

    #[test]
    fn a_secret_is_its_sessions_and_has_what_was_brought() {
        let credentials = Credentials::new("u".to_owned(), "p".to_owned()).unwrap();
        let brought = Brought { server: "http://proxy:3128".to_owned(), credentials };
        let brought = BroughtCredentials::from([("0".to_owned(), brought)]);
        let session = ObjectMeta {
            namespace: Some("team-a".to_owned()),
            name: Some("session-x".to_owned()),
            uid: Some("a-uid".to_owned()),
            ..ObjectMeta::default()
        };
        let secret = brought_secret(&brought, &session, "browsers").unwrap();
        assert_eq!(
            serde_json::to_value(&secret.metadata).unwrap(),
            json!({
                "name": "session-proxy-a-uid", "namespace": "browsers",
                "labels": {
                    "app.kubernetes.io/managed-by": "browser-operator",
                    "browser-operator.io/use": "session-proxy",
                },
                "annotations": {"browser-operator.io/session": "team-a/session-x"},
            })
        );
        let ByteString(json) = &secret.data.unwrap()["credentials"];
        assert_eq!(serde_json::from_slice::<BroughtCredentials>(json).unwrap(), brought);
    }
}
