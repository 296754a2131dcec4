//! The installation key: a Secret in the operator's namespace, made once by the controller.

use std::time::Duration;

use agent_api::installation_key::{InstallationKey, KEY_BYTES};
use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client, api::PostParams};

/// The Secret of an operator that is alone in its cluster.
pub const SECRET_NAME: &str = "browser-operator-installation-key";
const SECRET_FIELD: &str = "key";
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer, or refused.
    #[error("Secret {0}")]
    Api(String, #[source] kube::Error),
    /// The Secret is not one of ours.
    #[error(
        "Secret {0} has no field {SECRET_FIELD} of {KEY_BYTES} bytes: delete it, and the controller makes another"
    )]
    Malformed(String),
    /// The machine gives no random numbers.
    #[error("no random numbers")]
    Random(#[source] getrandom::Error),
}

/// The key, created if there is none yet. For the controller.
///
/// # Errors
/// The API server refuses, or the Secret there is not a key.
pub async fn ensure(client: Client, namespace: &str, name: &str) -> Result<InstallationKey, Error> {
    let secrets = Api::<Secret>::namespaced(client, namespace);
    if let Some(secret) =
        secrets.get_opt(name).await.map_err(|error| Error::Api(name.to_owned(), error))?
    {
        return read(&secret, name);
    }
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    let secret = Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        immutable: Some(true),
        data: Some([(SECRET_FIELD.to_owned(), ByteString(bytes.to_vec()))].into()),
        type_: Some("browser-operator.io/installation-key".to_owned()),
        ..Secret::default()
    };
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(secret) => read(&secret, name),
        // Another controller was first: its key is the key.
        Err(kube::Error::Api(status)) if status.code == 409 => read(
            &secrets.get(name).await.map_err(|error| Error::Api(name.to_owned(), error))?,
            name,
        ),
        Err(error) => Err(Error::Api(name.to_owned(), error)),
    }
}

/// Waits for the key that the controller creates. For the gateway.
///
/// # Errors
/// The Secret there is not a key.
pub async fn wait(client: Client, namespace: &str, name: &str) -> Result<InstallationKey, Error> {
    let secrets = Api::<Secret>::namespaced(client, namespace);
    loop {
        // A GET by name needs no right to list or watch Secrets, so this one wait looks again and again.
        match secrets.get_opt(name).await {
            Ok(Some(secret)) => return read(&secret, name),
            Ok(None) => tracing::info!("waiting for the controller to make Secret {name}"),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Secret {name}");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn read(secret: &Secret, name: &str) -> Result<InstallationKey, Error> {
    secret
        .data
        .as_ref()
        .and_then(|data| InstallationKey::new(&data.get(SECRET_FIELD)?.0))
        .ok_or_else(|| Error::Malformed(name.to_owned()))
}
