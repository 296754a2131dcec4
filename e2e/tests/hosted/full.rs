//! No room: the status that the services' clients know, and nothing that goes on waiting for a client that has left.

use anyhow::{Context, Result, ensure};
use crds::{BrowserSession, Reason};
use e2e::{
    Namespace, Reply, class_like_the_default,
    hosted::{Hosted, id, with_key},
    namespace::END_LIMIT,
    wait::{until, until_all},
    with_namespace,
};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::{
    Api,
    api::{ListParams, PostParams},
    runtime::watcher::Config,
};
use reqwest::Method;
use serde_json::{Value, json};

/// Both clients retry unless the reply forbids it.
fn is_final(reply: &Reply) -> Result<()> {
    ensure!(reply.status == 429, "{} {}", reply.status, reply.body);
    assert_eq!(reply.header("x-should-retry"), "false");
    let seconds: u32 = reply.header("retry-after").parse().context("Retry-After")?;
    ensure!(seconds > 10, "Browser Use's clients wait up to 10 seconds and ask again: {seconds}");
    Ok(())
}

async fn post(client: &Hosted, path: &str, body: &Value) -> Result<Reply> {
    client.send(Method::POST, path, Some(body.to_string())).await
}

/// Nothing else is left in the namespace: no session that waits, and no record.
async fn nothing_waits(namespace: &Namespace, lives: &str) -> Result<()> {
    let of_it = |session: &BrowserSession| {
        session.status.as_ref().and_then(|status| status.session_id.as_deref()) == Some(lives)
    };
    until_all(&namespace.sessions(), Config::default(), "one session", END_LIMIT, |all| {
        all.values().all(of_it)
    })
    .await
    .map(drop)
}

async fn quota(namespace: &Namespace, resource: &str, most: &str) -> Result<()> {
    let quotas =
        Api::<ResourceQuota>::namespaced(namespace.cluster.client.clone(), &namespace.name);
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "few"}, "spec": {"hard": {resource: most}},
    }))?;
    quotas.create(&PostParams::default(), &quota).await?;
    let in_force = |quota: Option<&ResourceQuota>| {
        let hard = quota.and_then(|quota| quota.status.as_ref()?.hard.as_ref());
        hard.is_some_and(|hard| hard.contains_key(resource))
    };
    until(&quotas, "few", "in force", END_LIMIT, in_force).await.map(drop)
}

#[tokio::test]
async fn a_full_class_is_429_and_nothing_waits() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            // The only class of a region of its own.
            let region = namespace.name.clone();
            let fields = json!({"capacity": 1, "regions": [{"name": region}]});
            let class =
                class_like_the_default(&namespace.cluster.default_class().await?, &region, fields)?;
            namespace
                .cluster
                .with_class(&class, async || {
                    let body = json!({"region": region, "keepAlive": true});
                    let made = client.browserbase(body.clone()).await?;
                    assert_eq!(made["region"], *region);
                    let refused = post(&client, "/v1/sessions", &body).await?;
                    is_final(&refused)?;
                    assert_eq!(refused.body["statusCode"], 429);
                    let message = refused.body["message"].as_str().context("a message")?;
                    ensure!(message.contains(Reason::CapacityReached.as_str()), "{message}");
                    nothing_waits(&namespace, &id(&made)?).await?;
                    client.release(&id(&made)?).await?;
                    // There is capacity again.
                    let made = client.browserbase(body).await?;
                    client.release(&id(&made)?).await.map(drop)
                })
                .await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_used_up_quota_is_429_and_nothing_waits() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            quota(&namespace, "pods", "1").await?;
            let made = client.browser_use("browsers", json!({})).await?;
            for path in ["/api/v2/browsers", "/api/v2/sessions", "/v1/sessions"] {
                let refused = post(&client, path, &json!({})).await?;
                is_final(&refused)?;
                let field = if path.starts_with("/v1") { "message" } else { "detail" };
                let message = refused.body[field].as_str().context("a message")?;
                ensure!(message.contains(Reason::QuotaExceeded.as_str()), "{message}");
                nothing_waits(&namespace, &id(&made)?).await?;
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_quota_of_objects_is_429_and_makes_none() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            quota(&namespace, "count/browsersessions.browser-operator.io", "0").await?;
            for path in ["/api/v2/sessions", "/v1/sessions"] {
                is_final(&post(&client, path, &json!({})).await?)?;
            }
            ensure!(namespace.sessions().list(&ListParams::default()).await?.items.is_empty());
            Ok(())
        })
        .await
    })
    .await
}
