//! Services that somebody deletes by hand are made again while there is a session that needs them, and one that is somebody
//! else's is never touched.

use anyhow::{Context, Result, ensure};
use crds::{Reason, names::BROWSERS_SERVICE};
use e2e::{Namespace, faults::beside_others, namespace::END_LIMIT, wait::until};
use k8s_openapi::api::core::v1::Service;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
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

#[tokio::test]
async fn a_service_of_somebody_else_keeps_its_name_and_sessions_say_so() -> Result<()> {
    beside_others(async |_, namespace| {
        let services = namespace.services();
        let theirs: Service = serde_json::from_value(json!({
            "metadata": {"name": BROWSERS_SERVICE, "labels": {"app": "theirs"}},
            "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
        }))?;
        let before = services.create(&PostParams::default(), &theirs).await?;
        namespace.create("s", json!({})).await?;
        let session = namespace.reason("s", Reason::ServiceConflict, END_LIMIT).await?;
        let told = session.telling_condition().context("a condition")?;
        ensure!(told.message.contains(BROWSERS_SERVICE), "{}", told.message);
        assert!(namespace.pods().list(&ListParams::default()).await?.items.is_empty());
        // Nor does it go with the last session.
        namespace.delete("s").await?;
        assert_eq!(services.get(BROWSERS_SERVICE).await?, before);

        namespace.create("t", json!({})).await?;
        namespace.reason("t", Reason::ServiceConflict, END_LIMIT).await?;
        services.delete(BROWSERS_SERVICE, &DeleteParams::default()).await?;
        namespace.ready("t").await.map(drop)
    })
    .await
}
