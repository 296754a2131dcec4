//! Objects that the API server takes and no JSON parser here reads: each ends by name, and disturbs no other.

use anyhow::{Context, Result, ensure};
use e2e::{Namespace, kubectl::kubectl, operator, with_namespace};
use serde_json::json;

/// The API server takes 10,000 levels; serde_json reads 128.
const LEVELS: usize = 9_000;
/// Sessions of a megabyte, of which the controller must keep next to nothing.
const LARGE: usize = 30;

fn deep() -> String {
    format!("{}1{}", r#"{"a":"#.repeat(LEVELS), "}".repeat(LEVELS))
}

fn manifest(name: &str, spec: &str) -> String {
    format!(
        r#"{{"apiVersion":"browser-operator.io/v1alpha1","kind":"BrowserSession","metadata":{{"name":"{name}"}},"spec":{spec}}}"#
    )
}

async fn send(
    namespace: &Namespace,
    request: http::request::Builder,
    path: &str,
    body: String,
) -> Result<()> {
    let root = format!("/apis/browser-operator.io/v1alpha1/namespaces/{}", namespace.name);
    let request = request.uri(format!("{root}/browsersessions{path}")).body(body.into_bytes())?;
    namespace.cluster.client.request_text(request).await.map(drop).context("the API server")
}

async fn create(namespace: &Namespace, name: &str, spec: &str) -> Result<()> {
    let request = http::Request::post("/").header("content-type", "application/json");
    send(namespace, request, "", manifest(name, spec)).await.with_context(|| name.to_owned())
}

/// Its Ready condition's reason and message, once it has ended.
async fn end(namespace: &Namespace, name: &str) -> Result<String> {
    let (object, of) = (format!("browsersession/{name}"), ["-n", namespace.name.as_str()]);
    let ended = ["wait", &object, "--for=jsonpath={.status.phase}=Failed", "--timeout=40s"];
    kubectl(&[&ended[..], &of].concat()).await.with_context(|| name.to_owned())?;
    let path = "-o=jsonpath={.status.conditions[0].reason}: {.status.conditions[0].message}";
    kubectl(&[&["get", &object, path][..], &of].concat()).await
}

async fn delete(namespace: &Namespace, name: &str) -> Result<()> {
    kubectl(&["delete", "browsersession", name, "-n", &namespace.name, "--timeout=40s"])
        .await
        .map(drop)
}

#[tokio::test]
async fn an_object_that_cannot_be_read_ends_by_name_and_disturbs_no_other() -> Result<()> {
    with_namespace(async |namespace| {
        let deep = deep();
        let specs = [
            ("capabilities", format!(r#"{{"capabilities":{{"alwaysMatch":{{"x:y":{deep}}}}}}}"#)),
            ("user-metadata", format!(r#"{{"userMetadata":{deep}}}"#)),
            ("parameters", format!(r#"{{"newSessionParameters":{deep}}}"#)),
        ];
        for (name, spec) in &specs {
            create(&namespace, name, spec).await?;
        }
        for (name, _) in &specs {
            let end = end(&namespace, name).await?;
            ensure!(end.starts_with("FieldInvalid: spec."), "{name}: {end}");
            ensure!(end.contains("nested too deep"), "{name}: {end}");
        }
        let events = kubectl(&["get", "events", "-n", &namespace.name]).await?;
        ensure!(events.contains("FieldInvalid"), "no Event says so: {events}");

        // Whoever may write a status can do the same to a session that is driven.
        let live = namespace.create_ready("driven", json!({})).await?;
        let patch = format!(r#"{{"status":{{"capabilities":{{"x:y":{deep}}}}}}}"#);
        let request =
            http::Request::patch("/").header("content-type", "application/merge-patch+json");
        send(&namespace, request, "/driven/status", patch).await?;
        let ended = end(&namespace, "driven").await?;
        ensure!(ended.starts_with("FieldInvalid: status.capabilities"), "{ended}");
        namespace.pod_gone(&live.session).await.context("no pod lives on")?;

        // They are there when everybody lists.
        operator::restart(&namespace.cluster, "controller").await?;
        operator::restart(&namespace.cluster, "gateway").await?;
        namespace.create_ready("neighbour", json!({})).await.context("after a restart")?;
        for name in ["capabilities", "user-metadata", "parameters", "driven"] {
            delete(&namespace, name).await?;
        }
        thirty_large_ones_fill_no_memory(&namespace).await
    })
    .await
}

async fn thirty_large_ones_fill_no_memory(namespace: &Namespace) -> Result<()> {
    let resident = async || {
        operator::metric(&namespace.cluster, "controller", "process_resident_memory_bytes").await
    };
    let before = resident().await.ok();
    let text = "x".repeat(1_000_000);
    let spec = format!(r#"{{"capabilities":{{"alwaysMatch":{{"x:y":"{text}"}}}}}}"#);
    for n in 0..LARGE {
        create(namespace, &format!("large-{n}"), &spec).await?;
    }
    for n in 0..LARGE {
        let end = end(namespace, &format!("large-{n}")).await?;
        ensure!(end.starts_with("FieldInvalid: the object has 1"), "{end}");
        ensure!(end.contains("in spec.capabilities"), "{end}");
    }
    operator::restart(&namespace.cluster, "controller").await?;
    namespace.create_ready("after-large", json!({})).await.context("beside large ones")?;
    println!(
        "controller: {before:?} bytes before, {:?} with {LARGE} MB of records",
        resident().await.ok()
    );
    for n in 0..LARGE {
        delete(namespace, &format!("large-{n}")).await?;
    }
    Ok(())
}
