//! Objects of the version before: they list and apply under the definitions of this one.
//!
//! The definitions of the version before stand in `testdata/crds-before`. A cluster has each once, so the test installs them
//! under a group and names of their own, beside those that other tests use.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use crds::{BrowserClassSpec, BrowserSessionSpec, BrowserSessionStatus, definitions};
use e2e::{
    Namespace,
    finally::finally,
    kubectl::{kubectl, kubectl_with},
    settings::checkout,
    wait::eventually,
    with_namespace,
};
use serde_json::{Value, json};

const GROUP: &str = "upgrade.browser-operator.io";
/// How long the API server may take to serve a definition, and to see a change of it.
const SERVED: Duration = Duration::from_secs(30);

/// A definition under the names of the test's own.
fn renamed(yaml: &str) -> Result<Value> {
    let mut definition: Value = serde_saphyr::from_str(yaml)?;
    let names = definition["spec"]["names"].as_object_mut().context("names")?;
    // Not those of the real ones, which kubectl must find for other tests.
    let kind = names["kind"].as_str().context("kind")?.replace("Browser", "Upgraded");
    let plural = names["plural"].as_str().context("plural")?.replace("browser", "upgraded");
    let renamed = json!({"kind": kind, "plural": plural, "singular": kind.to_lowercase()});
    definition["spec"]["names"] = renamed;
    definition["spec"]["group"] = json!(GROUP);
    definition["metadata"]["name"] = json!(format!("{plural}.{GROUP}"));
    Ok(definition)
}

fn definitions_before() -> Result<Vec<Value>> {
    ["browserclasses.yaml", "browsersessions.yaml"]
        .iter()
        .map(|file| {
            let path = checkout().join("e2e/testdata/crds-before").join(file);
            renamed(&fs::read_to_string(path)?)
        })
        .collect()
}

fn definitions_now() -> Result<Vec<Value>> {
    definitions::files()?.iter().map(|(_, yaml)| renamed(yaml)).collect()
}

async fn install(definitions: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": definitions});
    // Server-side: a definition is too large for an annotation of what was applied last.
    kubectl_with(&["apply", "--server-side", "-f", "-"], &list.to_string()).await?;
    for definition in definitions {
        let name = definition["metadata"]["name"].as_str().context("a name")?;
        kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", name]).await?;
    }
    Ok(())
}

async fn uninstall() -> Result<()> {
    for definition in definitions_now()? {
        let name = definition["metadata"]["name"].as_str().context("a name")?;
        kubectl(&["delete", "crd", name, "--ignore-not-found", "--wait=false"]).await?;
    }
    Ok(())
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1alpha1"), "kind": kind, "metadata": {"name": name}, "spec": spec,
    })
}

/// Sessions as users of the version before wrote them.
fn sessions() -> Vec<Value> {
    [
        ("empty", json!({})),
        ("explicit", json!({"record": false, "blockAds": false, "log": false, "extensions": []})),
        (
            "full",
            json!({
                "className": "chromium",
                "capabilities": {
                    "alwaysMatch": {"browserName": "chrome", "timeouts": {"script": 1}, "vendor:deep": {"a": [1, null]}},
                    "firstMatch": [{"goog:chromeOptions": {"args": ["--lang=de"]}}],
                },
                "newSessionParameters": {"x": {"y": 1}},
                "region": "eu", "timeoutSeconds": 900, "idleTimeoutSeconds": 120, "connectTimeoutSeconds": 300,
                "keepAlive": true, "viewport": {"width": 1280, "height": 720}, "startUrl": "https://example.com",
                "os": "windows", "features": {"solveCaptchas": true}, "ignoreCertificateErrors": true,
                "userMetadata": {"build": "4711"}, "ttlSecondsAfterFinished": 3600, "expose": {"type": "NodePort"},
                "priority": 5,
            }),
        ),
    ]
    .map(|(name, spec)| object("UpgradedSession", name, spec))
    .into()
}

fn classes(namespace: &Namespace) -> Vec<Value> {
    let class = |name: &str, browser: &str, driver: &str| {
        let spec = json!({
            "browserName": browser, "driver": driver, "capacity": 3,
            "versions": [{"version": "150.0", "image": "example/browser:150"}],
            "regions": [{"name": "eu", "nodeSelector": {"a": "b"}}], "defaultRegion": "eu",
        });
        object("UpgradedClass", &format!("{}-{name}", namespace.name), spec)
    };
    vec![class("chrome", "chrome", "chromedriver"), class("firefox", "firefox", "geckodriver")]
}

/// `kubectl apply` of each, as its users do: what it says.
async fn apply(namespace: &Namespace, objects: &[Value], arguments: &[&str]) -> Result<String> {
    let mut said = String::new();
    for object in objects {
        let space = format!("--namespace={}", namespace.name);
        let arguments = [&[space.as_str(), "apply", "-f", "-"], arguments].concat();
        said += &kubectl_with(&arguments, &object.to_string()).await?;
    }
    Ok(said)
}

/// What the API server has of a kind: names, generations, specs and statuses.
async fn stored(namespace: &Namespace, plural: &str) -> Result<Vec<Value>> {
    let space = format!("--namespace={}", namespace.name);
    let resource = format!("{plural}.{GROUP}");
    let list = kubectl(&[&space, "get", &resource, "-o", "json"]).await?;
    let mut list: Value = serde_json::from_str(&list)?;
    let items = list["items"].as_array_mut().context("items")?;
    let shown = items.drain(..).map(|mut item| {
        json!({
            "name": item["metadata"]["name"], "generation": item["metadata"]["generation"],
            "spec": item["spec"].take(), "status": item["status"].take(),
        })
    });
    Ok(shown.collect())
}

/// Whether all that was there still is; new fields have their defaults beside it.
fn keeps(now: &[Value], before: &[Value]) -> bool {
    fn holds(now: &Value, before: &Value) -> bool {
        match (now, before) {
            (_, Value::Null) => true,
            (Value::Object(now), Value::Object(before)) => {
                before.iter().all(|(key, value)| now.get(key).is_some_and(|now| holds(now, value)))
            }
            (Value::Array(now), Value::Array(before)) => {
                now.len() == before.len()
                    && now.iter().zip(before).all(|(now, was)| holds(now, was))
            }
            (now, before) => now == before,
        }
    }
    now.len() == before.len() && now.iter().zip(before).all(|(now, was)| holds(now, was))
}

#[tokio::test]
async fn objects_of_the_version_before_list_and_apply() -> Result<()> {
    with_namespace(async |namespace| finally(upgrade(&namespace), uninstall()).await).await
}

async fn upgrade(namespace: &Namespace) -> Result<()> {
    let (sessions, classes) = (sessions(), classes(namespace));
    install(&definitions_before()?).await?;
    eventually(SERVED, async || apply(namespace, &sessions, &[]).await).await?;
    apply(namespace, &classes, &[]).await?;
    let space = format!("--namespace={}", namespace.name);
    let patch_status = async |session: &str, status: Value| {
        let resource = format!("upgradedsession.{GROUP}/{session}");
        let patch = json!({"status": status}).to_string();
        kubectl(&[&space, "patch", &resource, "--subresource=status", "--type=merge", "-p", &patch])
            .await
    };
    let seen = json!({
        "phase": "Ready", "sessionId": "i", "podName": "p", "podIP": "10.0.0.1",
        "webDriverUrl": "http://gateway:4444/session/i", "startedAt": "2026-01-01T00:00:00Z",
    });
    patch_status("full", seen).await?;
    let before =
        (stored(namespace, "upgradedsessions").await?, stored(namespace, "upgradedclasses").await?);
    for session in &before.0 {
        ensure!(session["spec"]["record"] == false, "not as it was stored before: {session}");
    }
    for class in &before.1 {
        ensure!(class["spec"]["driver"].is_string(), "{class}");
    }

    install(&definitions_now()?).await?;
    // The API server sees a new definition a moment later.
    let new = object("UpgradedSession", "new", json!({"recording": {"mode": "never"}}));
    eventually(SERVED, async || {
        apply(namespace, std::slice::from_ref(&new), &["--dry-run=server", "--validate=strict"])
            .await
    })
    .await?;

    // They list, with everything that they had, and these types read them.
    let after =
        (stored(namespace, "upgradedsessions").await?, stored(namespace, "upgradedclasses").await?);
    ensure!(
        keeps(&after.0, &before.0) && keeps(&after.1, &before.1),
        "{before:?} is now {after:?}"
    );
    for session in &after.0 {
        serde_json::from_value::<BrowserSessionSpec>(session["spec"].clone())?;
        serde_json::from_value::<Option<BrowserSessionStatus>>(session["status"].clone())?;
    }
    for class in &after.1 {
        serde_json::from_value::<BrowserClassSpec>(class["spec"].clone())?;
    }

    // The same manifests change nothing, by both ways to apply.
    for object in sessions.iter().chain(&classes) {
        let said = apply(namespace, std::slice::from_ref(object), &["--validate=strict"]).await?;
        ensure!(said.contains("unchanged"), "{said}");
    }
    apply(namespace, &sessions, &["--server-side", "--force-conflicts"]).await?;
    apply(namespace, &classes, &["--server-side", "--force-conflicts"]).await?;
    let again =
        (stored(namespace, "upgradedsessions").await?, stored(namespace, "upgradedclasses").await?);
    assert_eq!(again, after);

    // What the operator and its users write besides is taken, and a spec still never changes.
    let url = "ws://gateway:4444/cdp/i?signingKey=k";
    patch_status("full", json!({"cdpUrl": url})).await?;
    let resource = format!("upgradedsession.{GROUP}/full");
    kubectl(&[&space, "annotate", &resource, "browser-operator.io/end=ClientEnded"]).await?;
    for (name, change) in [
        ("empty", json!({"timeoutSeconds": 7})),
        ("empty", json!({"recording": {"mode": "never"}})),
        ("full", json!({"capabilities": {"alwaysMatch": {"vendor:deep": {"a": [2]}}}})),
    ] {
        let mut changed =
            sessions.iter().find(|one| one["metadata"]["name"] == name).context(name)?.clone();
        changed["spec"]
            .as_object_mut()
            .context("spec")?
            .extend(change.as_object().context("a change")?.clone());
        let refused = apply(namespace, &[changed], &[]).await.err().context("a spec changed")?;
        ensure!(format!("{refused:#}").contains("spec is immutable"), "{refused:#}");
    }

    // `kubectl replace` sends the whole object: without the field that was stored by default it is another spec.
    let empty = sessions.first().context("a session")?.to_string();
    let replaced = kubectl_with(&[&space, "replace", "-f", "-"], &empty).await;
    let refused = replaced.err().context("the stored field went")?;
    ensure!(format!("{refused:#}").contains("spec is immutable"), "{refused:#}");

    // An object of this version has nothing stored of the field that goes.
    apply(namespace, &[object("UpgradedSession", "fresh", json!({}))], &[]).await?;
    let fresh = stored(namespace, "upgradedsessions").await?;
    let fresh = fresh.iter().find(|one| one["name"] == "fresh").context("fresh")?;
    assert_eq!(fresh["spec"].get("record"), None);
    Ok(())
}
