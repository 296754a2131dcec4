//! The session that a client asks for.

use crds::{
    BrowserSession, BrowserSessionSpec,
    names::{CALLER_ANNOTATION, FRONT_ANNOTATION, PROTOCOL_ANNOTATION, Protocol},
};
use kube::api::ObjectMeta;
use placement::BroughtCredentials;
use serde_json::Value;

use crate::auth::Caller;

const NAME_PREFIX: &str = "session-";

/// What a front reads from a create call.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRequest {
    /// The namespace that the client names.
    pub namespace: Option<String>,
    pub spec: BrowserSessionSpec,
    /// How the session will be reached.
    pub protocol: Protocol,
    /// Kept in an annotation for the front's later answers.
    pub front: Option<Value>,
    /// What the proxies of the spec know it by.
    pub credentials: BroughtCredentials,
}

impl SessionRequest {
    /// The object to create.
    pub fn into_object(self, caller: &Caller) -> BrowserSession {
        let front = self.front.map(|front| (FRONT_ANNOTATION.to_owned(), front.to_string()));
        let annotations = [
            (CALLER_ANNOTATION.to_owned(), caller.name.clone()),
            (PROTOCOL_ANNOTATION.to_owned(), self.protocol.as_str().to_owned()),
        ];
        BrowserSession {
            metadata: ObjectMeta {
                generate_name: Some(NAME_PREFIX.to_owned()),
                annotations: Some(annotations.into_iter().chain(front).collect()),
                ..ObjectMeta::default()
            },
            spec: self.spec,
            status: None,
        }
    }
}
