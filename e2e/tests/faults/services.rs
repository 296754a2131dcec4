//! Services that somebody deletes by hand are made again while there is a session that needs them.

use anyhow::{Context, Result};
use crds::names::BROWSERS_SERVICE;
use e2e::{Namespace, faults::beside_others, namespace::END_LIMIT, wait::until};
use k8s_openapi::api::core::v1::Service;
use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;

use crate::helpers::Rows;

async fn made_again(namespace: &Namespace, name: &str) -> Result<()> {
    let services = namespace.services();
    let uid = services.get(name).await.context("it was there")?.uid();
    services.delete(name, &DeleteParams::default()).await?;
    let is_new = |service: Option<&Service>| service.is_some_and(|service| service.uid() != uid);
    until(&services, name, "made again", END_LIMIT, is_new).await.map(drop)
}

#[tokio::test]
async fn a_service_that_is_deleted_by_hand_is_made_again() -> Result<()> {
    beside_others(async |_, namespace| {
        let spec = json!({"expose": {"type": "ClusterIP"}});
        let live = namespace.create_ready("s", spec).await?;
        let own = live.status.service_name.as_deref().context("serviceName")?;
        let mut rows = Rows::default();
        rows.row("the session's own", made_again(namespace, own).await);
        rows.row("the namespace's", made_again(namespace, BROWSERS_SERVICE).await);
        rows.all()?;
        namespace.cluster.anonymous().title(&live.id).await.map(drop)
    })
    .await
}
