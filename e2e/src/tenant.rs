//! Somebody who may do only so much in a namespace.

use anyhow::Result;
use crds::BrowserSession;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    namespace::{END_LIMIT, Namespace},
    objects::session,
    wait::eventually,
};

/// A ServiceAccount, as whom the cluster's own client asks.
pub struct Tenant {
    pub name: String,
    pub client: Client,
    pub sessions: Api<BrowserSession>,
}

impl Tenant {
    /// Somebody who may edit whatever is in a namespace.
    pub async fn of(namespace: &Namespace) -> Result<Self> {
        let role =
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"});
        Self::bound(namespace, "tenant", role).await
    }

    /// Somebody who may do what these rules say.
    pub async fn with_rules(namespace: &Namespace, name: &str, rules: Value) -> Result<Self> {
        let role: Role =
            serde_json::from_value(json!({"metadata": {"name": name}, "rules": rules}))?;
        Api::<Role>::namespaced(namespace.cluster.client.clone(), &namespace.name)
            .create(&PostParams::default(), &role)
            .await?;
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name});
        Self::bound(namespace, name, role).await
    }

    async fn bound(namespace: &Namespace, name: &str, role: Value) -> Result<Self> {
        namespace.service_account(name).await?;
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": name},
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace.name}],
        }))?;
        Api::<RoleBinding>::namespaced(namespace.cluster.client.clone(), &namespace.name)
            .create(&PostParams::default(), &binding)
            .await?;
        let name = format!("system:serviceaccount:{}:{name}", namespace.name);
        let client = impersonating(&name).await?;
        let sessions = Api::namespaced(client.clone(), &namespace.name);
        let tenant = Self { name, client, sessions };
        // The API server's authorizer learns of it a moment later.
        eventually(END_LIMIT, async || {
            let dry_run = PostParams { dry_run: true, ..PostParams::default() };
            tenant.sessions.create(&dry_run, &session("probe", json!({}))).await?;
            Ok(())
        })
        .await?;
        Ok(tenant)
    }

    pub async fn annotate(
        &self,
        session: &str,
        annotations: Value,
    ) -> kube::Result<BrowserSession> {
        annotate(&self.sessions, session, annotations).await
    }
}

/// A client of the cluster that asks as somebody else.
pub async fn impersonating(name: &str) -> Result<Client> {
    let mut config = Config::infer().await?;
    config.auth_info.impersonate = Some(name.to_owned());
    Ok(Client::try_from(config)?)
}

pub async fn annotate(
    sessions: &Api<BrowserSession>,
    session: &str,
    annotations: Value,
) -> kube::Result<BrowserSession> {
    let change = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    sessions.patch(session, &PatchParams::default(), &change).await
}
