//! Who may do what: tokens and rights at the gateway, policies of classes, and what a tenant may not do with kubectl.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::names::{
    CLASS_LABEL, MANAGED_BY, MANAGED_BY_LABEL, PROVIDERS_ANNOTATION, SESSION_UID_LABEL,
};
use e2e::{
    Classic,
    gateway::with_gateway,
    hosted::{Hosted, with_key},
    kubectl::kubectl,
    namespace::END_LIMIT,
    objects::{class_like_the_default, session, session_json},
    tenant::Tenant,
    wait::eventually,
    with_namespace,
};
use futures::future::join_all;
use k8s_openapi::api::{core::v1::Pod, rbac::v1::RoleBinding};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use reqwest::Method;
use serde_json::{Value, json};

/// More than the seconds for which a gateway believes an answer.
const BELIEVED: Duration = Duration::from_secs(20);

fn new_session() -> Value {
    json!({"capabilities": {}})
}

/// What New Session says.
async fn message(client: &Classic, body: &Value) -> Result<(u16, String)> {
    let reply = client.send(Method::POST, "/session", Some(body)).await?;
    let message = reply.body["value"]["message"].as_str().unwrap_or_default().to_owned();
    Ok((reply.status, message))
}

#[tokio::test]
async fn garbage_is_throttled_and_whoever_is_known_is_not() -> Result<()> {
    with_namespace(async |namespace| {
        // A replica of its own: the tests of one machine share an address.
        with_gateway(&namespace, &[], async |gateway| {
            let known = gateway.client().new_session(json!({})).await?;
            let wrong = async |number: u32| {
                let client = Classic::new(&gateway.url(), Some(format!("wrong-{number}")));
                client.send(Method::POST, "/session", Some(&new_session())).await
            };
            let replies = join_all((0..200).map(wrong)).await;
            let replies: Vec<_> = replies.into_iter().collect::<Result<_>>()?;
            let (refused, throttled): (Vec<_>, Vec<_>) =
                replies.into_iter().partition(|reply| reply.status == 401);
            ensure!((50..150).contains(&refused.len()), "{} were asked for", refused.len());
            for reply in throttled {
                ensure!(reply.status == 429, "{reply:?}");
                assert_eq!(reply.body["value"]["error"], "session not created");
                let wait: u32 = reply.headers["retry-after"].to_str()?.parse()?;
                ensure!((1..10).contains(&wait), "{wait}");
            }
            // The same address, with a token that is known.
            let created = gateway.client().new_session(json!({})).await?;
            for session in [known, created] {
                gateway.client().delete(&format!("/session/{}", session.id)).await?;
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_gone_in_seconds() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let created = client.new_session(json!({})).await?;
        client.delete(&format!("/session/{}", created.id)).await?;
        Api::<RoleBinding>::namespaced(namespace.cluster.client.clone(), &namespace.name)
            .delete("runner", &DeleteParams::default())
            .await?;
        eventually(BELIEVED, async || {
            // What no class can give makes nothing, and comes after the right.
            let nothing = json!({"capabilities": {"alwaysMatch": {"browserName": "mosaic"}}});
            let (status, message) = message(&client, &nothing).await?;
            ensure!(status == 403, "{status} {message}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_session_names_its_class_and_a_gateway_knows_its_own_controllers() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.cluster.anonymous();
        let created = client.new_session(json!({})).await?;
        let object = namespace.cluster.session_with_id(&created.id).await?;
        let default = namespace.cluster.default_class().await?.name_any();
        assert_eq!(object.spec.class_name, Some(default));
        client.delete(&format!("/session/{}", created.id)).await?;

        let other = "--controller-name=example.com/another";
        with_gateway(&namespace, &[other], async |gateway| {
            let (status, message) = message(&gateway.client(), &new_session()).await?;
            ensure!(status == 500, "{status} {message}");
            let words = "no BrowserClass of controller example.com/another";
            ensure!(message.contains(words), "{message}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_class_serves_the_namespaces_that_it_selects_and_no_more_than_it_allows() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let policy = json!({
            "allowedNamespaces": {"matchLabels": {"kubernetes.io/metadata.name": "nowhere"}},
            "ceilings": {"timeoutSeconds": 600, "priority": 5},
        });
        let default = cluster.default_class().await?;
        let class = class_like_the_default(&default, &namespace.name, policy)?;
        cluster
            .with_class(&class, async || {
                let client = namespace.client().await?;
                let asked = |more: Value| {
                    let mut set = json!({"browser-operator:class": namespace.name});
                    set.as_object_mut()
                        .into_iter()
                        .zip(more.as_object().cloned())
                        .for_each(|(set, more)| set.extend(more));
                    json!({"capabilities": {"alwaysMatch": set}})
                };
                // Classes come by a watch.
                eventually(END_LIMIT, async || {
                    let (status, message) = message(&client, &asked(json!({}))).await?;
                    let words = "allowedNamespaces do not select it";
                    ensure!(status == 500 && message.contains(words), "{status} {message}");
                    Ok(())
                })
                .await?;
                let here = json!({"kubernetes.io/metadata.name": namespace.name});
                let change = json!({"spec": {"allowedNamespaces": {"matchLabels": here}}});
                cluster
                    .classes()
                    .patch(&namespace.name, &PatchParams::default(), &Patch::Merge(change))
                    .await?;
                for (more, field) in [
                    (json!({"browser-operator:timeoutSeconds": 601}), "spec.timeoutSeconds"),
                    (json!({"browser-operator:priority": 6}), "spec.priority"),
                ] {
                    eventually(BELIEVED, async || {
                        let (status, message) = message(&client, &asked(more.clone())).await?;
                        ensure!(status == 500 && message.contains(field), "{status} {message}");
                        Ok(())
                    })
                    .await?;
                }
                ensure!(namespace.sessions().list(&ListParams::default()).await?.items.is_empty());
                let value = client.post("/session", asked(json!({}))).await?;
                let id = value["sessionId"].as_str().context("sessionId")?;
                client.delete(&format!("/session/{id}")).await.map(drop)
            })
            .await
    })
    .await
}

#[tokio::test]
async fn whoever_may_not_create_services_may_expose_no_session() -> Result<()> {
    with_namespace(async |namespace| {
        let sessions_only = json!([{
            "apiGroups": ["browser-operator.io"], "resources": ["browsersessions"], "verbs": ["*"],
        }]);
        let poor = Tenant::with_rules(&namespace, "poor", sessions_only).await?;
        let editor = Tenant::of(&namespace).await?;
        let (create, exposed) =
            (PostParams::default(), json!({"className": "nowhere", "expose": {}}));
        let refused = poor.sessions.create(&create, &session("s", exposed.clone())).await;
        let Err(kube::Error::Api(status)) = refused else { anyhow::bail!("{refused:?}") };
        let words =
            format!("{} may not create Services in namespace {}", poor.name, namespace.name);
        ensure!(status.code == 403 && status.message.contains(&words), "{status:?}");
        let plain = json!({"className": "nowhere"});
        poor.sessions.create(&create, &session("plain", plain)).await?;
        editor.sessions.create(&create, &session("exposed", exposed)).await?;
        // A session of somebody else's is his to label.
        let label = Patch::Merge(json!({"metadata": {"labels": {"team": "a"}}}));
        poor.sessions.patch("exposed", &PatchParams::default(), &label).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn nobody_makes_a_pod_that_passes_for_a_browser_or_changes_what_one_is() -> Result<()> {
    with_namespace(async |namespace| {
        let tenant = Tenant::of(&namespace).await?;
        let theirs = Api::<Pod>::namespaced(tenant.client.clone(), &namespace.name);
        let live = namespace.create_ready("s", json!({})).await?;
        let refused = |outcome: kube::Result<Pod>, word: &str| {
            let Err(kube::Error::Api(status)) = outcome else {
                anyhow::bail!("{word}: {outcome:?}")
            };
            let words = "only the controller (system:serviceaccount:";
            let says = status.message.contains(words) && status.message.contains(word);
            ensure!(status.code == 403 && says, "{word}: {status:?}");
            Ok(())
        };
        let forged = |labels: Value| -> Result<Pod> {
            Ok(serde_json::from_value(json!({
                "metadata": {"generateName": "forged-", "labels": labels},
                "spec": {"containers": [{"name": "c", "image": "nowhere"}]},
            }))?)
        };
        let ours = forged(json!({MANAGED_BY_LABEL: MANAGED_BY, SESSION_UID_LABEL: "u"}))?;
        let create = PostParams::default();
        // Nor does who may do everything.
        for pods in [&theirs, &namespace.pods()] {
            refused(pods.create(&create, &ours).await, MANAGED_BY_LABEL)?;
            for (kind, key) in [
                ("labels", SESSION_UID_LABEL),
                ("labels", CLASS_LABEL),
                ("labels", MANAGED_BY_LABEL),
                ("annotations", "browser-operator.io/matched"),
                ("annotations", PROVIDERS_ANNOTATION),
            ] {
                let change = Patch::Merge(json!({"metadata": {kind: {key: "forged"}}}));
                refused(pods.patch(&live.pod, &PatchParams::default(), &change).await, key)?;
            }
            let later = forged(json!({"app": "mine"}))?;
            let later = pods.create(&create, &later).await?.name_any();
            let change =
                Patch::Merge(json!({"metadata": {"labels": {MANAGED_BY_LABEL: MANAGED_BY}}}));
            refused(pods.patch(&later, &PatchParams::default(), &change).await, MANAGED_BY_LABEL)?;
            pods.delete(&later, &DeleteParams::default().grace_period(0)).await?;
        }
        // What says nothing to us is anybody's.
        let change =
            json!({"metadata": {"labels": {"team": "a"}, "annotations": {"example.com/a": "b"}}});
        theirs.patch(&live.pod, &PatchParams::default(), &Patch::Merge(change)).await?;
        namespace.cluster.anonymous().title(&live.id).await.map(drop)
    })
    .await
}

/// JSON that is nested deeper than anybody reads.
fn deep() -> String {
    format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000))
}

#[tokio::test]
async fn a_session_that_cannot_be_read_hides_no_other() -> Result<()> {
    with_namespace(async |namespace| {
        let uri = format!(
            "/apis/browser-operator.io/v1alpha1/namespaces/{}/browsersessions",
            namespace.name
        );
        let template = session_json("deep", json!({"userMetadata": "HERE"})).to_string();
        let body = template.replace("\"HERE\"", &deep());
        let request = http::Request::post(uri)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.into_bytes())?;
        namespace.cluster.client.request_text(request).await?;
        let outcome = with_key(&namespace, async |key| {
            // One that starts now lists it first.
            with_gateway(&namespace, &[], async |gateway| {
                let hosted = Hosted::new(&gateway.url(), Some(&key.text));
                let made = hosted.browserbase(json!({})).await?;
                let listed = hosted.get("/v1/sessions").await?;
                let listed = listed.as_array().context("a list")?;
                ensure!(listed.iter().any(|one| one["id"] == made["id"]), "{listed:?}");
                Ok(())
            })
            .await
        })
        .await;
        // A client of this language cannot read what it deletes.
        kubectl(&["delete", "browsersession", "deep", "-n", &namespace.name, "--timeout=40s"])
            .await?;
        outcome
    })
    .await
}

#[tokio::test]
async fn a_gateway_of_some_namespaces_serves_no_other() -> Result<()> {
    with_namespace(async |here| {
        with_namespace(async |elsewhere| {
            let flag = format!("--watch-namespaces={}", here.name);
            with_gateway(&here, &[&flag], async |gateway| {
                let created = gateway.client().new_session(json!({})).await?;
                gateway.client().delete(&format!("/session/{}", created.id)).await?;
                let stranger = Classic::new(&gateway.url(), Some(elsewhere.runner().await?));
                let (status, message) = message(&stranger, &new_session()).await?;
                let words = format!("serves no namespace {}", elsewhere.name);
                ensure!(status == 403 && message.contains(&words), "{status} {message}");
                let live = elsewhere.create_ready("s", json!({})).await?;
                let path = format!("/session/{}/title", live.id);
                let reply = gateway.client().send(Method::GET, &path, None).await?;
                assert_eq!(reply.body["value"]["error"], "invalid session id");
                Ok(())
            })
            .await
        })
        .await
    })
    .await
}
