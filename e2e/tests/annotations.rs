//! The annotations of sessions that are state: who may write which, and what whoever may gains by it.

use anyhow::{Context, Result, ensure};
use crds::{
    BrowserSession, Phase, Reason,
    names::{
        CALLER_ANNOTATION, END_ANNOTATION, FRONT_ANNOTATION, PROTOCOL_ANNOTATION, SHARE_ANNOTATION,
    },
};
use e2e::{
    kubectl::{kubectl, kubectl_with},
    objects::session_json,
    tenant::{Tenant, annotate},
    with_namespace,
};
use kube::{ResourceExt, api::PostParams};
use serde_json::{Value, json};

/// What the gateway alone may write.
const GUARDED: [&str; 4] =
    [CALLER_ANNOTATION, FRONT_ANNOTATION, PROTOCOL_ANNOTATION, SHARE_ANNOTATION];

/// A session that never gets a pod.
fn annotated(name: &str, annotations: Value) -> Result<BrowserSession> {
    let mut session = session_json(name, json!({"className": "nowhere"}));
    session["metadata"]["annotations"] = annotations;
    Ok(serde_json::from_value(session)?)
}

/// Checks that a write was refused, in words that name the annotation and who may write it.
fn refused<T: std::fmt::Debug>(outcome: kube::Result<T>, annotation: &str) -> Result<()> {
    let Err(kube::Error::Api(status)) = outcome else {
        anyhow::bail!("{annotation}: {outcome:?}");
    };
    ensure!(status.code == 403, "{annotation}: {status:?}");
    for words in ["only the gateway (system:serviceaccount:", annotation] {
        ensure!(status.message.contains(words), "{annotation}: {}", status.message);
    }
    Ok(())
}

#[tokio::test]
async fn nobody_but_the_gateway_writes_what_the_gateway_believes() -> Result<()> {
    with_namespace(async |namespace| {
        let tenant = Tenant::of(&namespace).await?;
        // The gateway may: it has said who asked, and how.
        let id = namespace.client().await?.new_session(json!({})).await?.id;
        let made = namespace.cluster.session_with_id(&id).await?;
        let name = made.name_any();
        let caller = format!("system:serviceaccount:{}:runner", namespace.name);
        assert_eq!(made.annotations()[CALLER_ANNOTATION], caller);
        assert_eq!(made.annotations()[PROTOCOL_ANNOTATION], "classic");

        let create = PostParams::default();
        for annotation in GUARDED {
            let forged = json!({annotation: "forged"});
            refused(
                tenant.sessions.create(&create, &annotated("s", forged.clone())?).await,
                annotation,
            )?;
            refused(tenant.annotate(&name, forged.clone()).await, annotation)?;
            // Who may do everything is not the gateway either: a GitOps controller applies what tenants write.
            refused(annotate(&namespace.sessions(), &name, forged).await, annotation)?;
        }
        for annotation in [CALLER_ANNOTATION, PROTOCOL_ANNOTATION] {
            refused(tenant.annotate(&name, json!({annotation: null})).await, annotation)?;
            let mut without = tenant.sessions.get(&name).await?;
            without.annotations_mut().remove(annotation);
            refused(tenant.sessions.replace(&name, &create, &without).await, annotation)?;
        }
        refused(tenant.annotate(&name, Value::Null).await, CALLER_ANNOTATION)?;
        // All of them in one refusal.
        let forged: Value = GUARDED.iter().map(|name| ((*name).to_owned(), json!("x"))).collect();
        for annotation in GUARDED {
            refused(tenant.annotate(&name, forged.clone()).await, annotation)?;
        }
        assert_eq!(tenant.sessions.get(&name).await?.annotations(), made.annotations());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_tenant_applies_unchanged_or_says_besides_is_taken() -> Result<()> {
    with_namespace(async |namespace| {
        let tenant = Tenant::of(&namespace).await?;
        let id = namespace.client().await?.new_session(json!({})).await?.id;
        let made = namespace.cluster.session_with_id(&id).await?;
        let name = made.name_any();
        let (space, user) =
            (format!("--namespace={}", namespace.name), format!("--as={}", tenant.name));
        let run = async |arguments: &[&str], manifest: &str| {
            kubectl_with(&[&[space.as_str(), user.as_str()], arguments].concat(), manifest).await
        };

        // An object of the gateway's, as it is.
        let exported = run(&["get", "browsersession", &name, "-o", "json"], "").await?;
        run(&["apply", "-f", "-"], &exported).await?;
        let mut ours: Value = serde_json::from_str(&exported)?;
        let metadata = ours["metadata"].as_object_mut().context("metadata")?;
        metadata.retain(|field, _| ["name", "annotations"].contains(&field.as_str()));
        run(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &ours.to_string()).await?;
        let labelled = run(&["label", "browsersession", &name, "team=a"], "").await?;
        ensure!(labelled.contains("labeled"), "{labelled}");
        tenant.annotate(&name, json!({"example.com/build": "4711"})).await?;
        let now = tenant.sessions.get(&name).await?;
        for annotation in [CALLER_ANNOTATION, PROTOCOL_ANNOTATION] {
            assert_eq!(now.annotations()[annotation], made.annotations()[annotation]);
        }

        // One of a pipeline's own, again and again, by both ways to apply.
        let own = session_json("own", json!({"className": "nowhere"})).to_string();
        run(&["apply", "-f", "-"], &own).await?;
        let again = run(&["apply", "-f", "-"], &own).await?;
        ensure!(again.contains("own unchanged"), "{again}");
        run(&["apply", "--server-side", "-f", "-"], &own).await?;

        // And it may end what the gateway made.
        kubectl(&[&space, &user, "delete", "browsersession", &name]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_annotation_that_ends_a_session_ends_it_and_no_more() -> Result<()> {
    with_namespace(async |namespace| {
        let tenant = Tenant::of(&namespace).await?;
        let neighbour = namespace.create_ready("neighbour", json!({})).await?;
        let markup = "<script>alert(1)</script>";
        for (session, word, phase, reason) in [
            ("no-reason", "Nonsense", Phase::Completed, Reason::ClientEnded),
            ("no-end", "BrowserReady", Phase::Completed, Reason::ClientEnded),
            ("markup", markup, Phase::Completed, Reason::ClientEnded),
            ("a-reason", "Released", Phase::Completed, Reason::Released),
        ] {
            namespace.create_ready(session, json!({})).await?;
            tenant.annotate(session, json!({END_ANNOTATION: word})).await?;
            let ended = namespace.ended(session, phase, reason).await?;
            let text = serde_json::to_string(&ended.status)?;
            ensure!(reason.as_str() == word || !text.contains(word), "{text}");
            // It is no way back, and the record stays as it is.
            for change in [Value::Null, json!("Deleted")] {
                tenant.annotate(session, json!({END_ANNOTATION: change})).await?;
            }
            namespace.ended(session, phase, reason).await?;
        }
        namespace.cluster.anonymous().title(&neighbour.id).await.map(drop)
    })
    .await
}
