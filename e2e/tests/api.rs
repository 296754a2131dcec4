//! What the real API server takes, and with which words it refuses.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Reason, RecordingMode};
use e2e::{
    Namespace, class_like_the_default, namespace::Live, objects::session_json, with_namespace,
};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use reqwest::Method;
use serde_json::{Value, json};

fn words(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => format!("{other:?}"),
    }
}

/// The refusal of a spec; fails if it is taken.
async fn refusal(namespace: &Namespace, spec: &Value) -> Result<String> {
    match namespace.try_out(&session_json("s", spec.clone())).await {
        Ok(_) => anyhow::bail!("taken: {spec}"),
        Err(error) => Ok(words(error)),
    }
}

async fn all_refused(namespace: &Namespace, cases: &[(Value, &str)]) -> Result<()> {
    for (spec, expected) in cases {
        let said = refusal(namespace, spec).await?;
        ensure!(said.contains(expected), "{spec}: {expected:?} is not in {said:?}");
    }
    Ok(())
}

/// A stored session that never gets a pod.
async fn stored(namespace: &Namespace) -> Result<()> {
    let spec = json!({
        "className": "nowhere",
        "capabilities": {"alwaysMatch": {"vendor:deep": {"a": {"b": 1}}}},
    });
    namespace.create("s", spec).await?;
    namespace.reason("s", Reason::ClassNotFound, Duration::from_secs(10)).await.map(drop)
}

#[tokio::test]
async fn a_session_may_ask_for_everything_that_webdriver_and_the_spec_allow() -> Result<()> {
    with_namespace(async |namespace| {
        for spec in [
            json!({}),
            json!({"capabilities": {}}),
            // An empty key of a manifest is as if it were absent.
            json!({"capabilities": {"alwaysMatch": null}}),
            json!({"capabilities": {"alwaysMatch": {}, "firstMatch": [{}]}}),
            json!({"capabilities": {"firstMatch": [{"browserName": "chrome"}, {"browserName": "firefox"}]}}),
            json!({"capabilities": {"alwaysMatch": {
                "acceptInsecureCerts": true, "browserName": "chrome", "browserVersion": ">100",
                "pageLoadStrategy": "eager", "platformName": "linux", "proxy": {"proxyType": "direct"},
                "strictFileInteractability": false, "timeouts": {"script": null, "pageLoad": 1, "implicit": 0},
                "unhandledPromptBehavior": {"alert": "accept"}, "webSocketUrl": true,
                "goog:chromeOptions": {"args": ["--lang=de"], "prefs": {"a": {"b": [1, 2.5, null]}}},
            }}}),
            json!({"capabilities": {"alwaysMatch": {"pageLoadStrategy": null, "browserName": null}}}),
            json!({"timeoutSeconds": 1, "idleTimeoutSeconds": 0, "connectTimeoutSeconds": 86400}),
            json!({"viewport": {"width": 7680, "height": 240}, "keepAlive": false, "startUrl": "about:blank"}),
            json!({"userMetadata": {"build": "4711", "nested": {"list": [1, null]}}, "expose": {}}),
            json!({"blockAds": false, "record": false, "log": false, "priority": 0, "extensions": []}),
            json!({"recording": {"mode": "never"}}),
        ] {
            namespace
                .try_out(&session_json("s", spec.clone()))
                .await
                .map_err(|error| anyhow::anyhow!("{spec}: {}", words(error)))?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_unknown_field_is_refused_by_name() -> Result<()> {
    with_namespace(async |namespace| {
        all_refused(
            &namespace,
            &[
                (json!({"timeoutSecond": 5}), "unknown field \"spec.timeoutSecond\""),
                (
                    json!({"viewport": {"width": 800, "height": 600, "depth": 24}}),
                    "unknown field \"spec.viewport.depth\"",
                ),
                (
                    json!({"capabilities": {"desired": {}}}),
                    "unknown field \"spec.capabilities.desired\"",
                ),
            ],
        )
        .await
    })
    .await
}

#[tokio::test]
async fn a_field_that_is_not_available_yet_is_refused_by_name() -> Result<()> {
    with_namespace(async |namespace| {
        all_refused(
            &namespace,
            &[
                (json!({"context": {"name": "c"}}), "spec.context is not available"),
                (json!({"extensions": ["e"]}), "spec.extensions is not available"),
                (json!({"blockAds": true}), "spec.blockAds: true is not available"),
                (json!({"record": true}), "spec.record: true is not available"),
                (
                    json!({"recording": {"mode": "onFailure"}}),
                    "spec.recording.mode: only never is available",
                ),
                (
                    json!({"recording": {"mode": "always"}}),
                    "spec.recording.mode: only never is available",
                ),
                (json!({"log": true}), "spec.log: true is not available"),
            ],
        )
        .await
    })
    .await
}

#[tokio::test]
async fn the_capability_of_such_a_field_is_refused_by_the_fields_name() -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        for (capability, value, expected) in [
            ("proxy", json!({"default": {"type": "managed"}}), "type managed is not available"),
            ("context", json!({"name": "c"}), "spec.context is not available"),
            ("extensions", json!(["e"]), "spec.extensions is not available"),
            ("blockAds", json!(true), "spec.blockAds: true is not available"),
            (
                "recording",
                json!({"mode": "always"}),
                "spec.recording.mode: only never is available",
            ),
            ("log", json!(true), "spec.log: true is not available"),
        ] {
            let name = format!("browser-operator:{capability}");
            let body = json!({"capabilities": {"alwaysMatch": {name: value}}});
            let reply = client.send(Method::POST, "/session", Some(&body)).await?;
            assert_eq!((reply.status, reply.error()), (400, "invalid argument"), "{capability}");
            ensure!(reply.message().contains(expected), "{}", reply.body);
        }
        ensure!(namespace.sessions().list(&ListParams::default()).await?.items.is_empty());

        // What is available, or harmless, makes a session with that field.
        let made = client
            .new_session(json!({
                "browser-operator:className": "chromium",
                "browser-operator:ignoreCertificateErrors": true,
                "browser-operator:recording": {"mode": "never"},
                "browser-operator:blockAds": false,
            }))
            .await?;
        let spec = namespace.cluster.session_with_id(&made.id).await?.spec;
        assert_eq!(spec.class_name.as_deref(), Some("chromium"));
        assert_eq!(spec.recording.map(|recording| recording.mode), Some(RecordingMode::Never));
        ensure!(spec.ignore_certificate_errors && !spec.block_ads);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_value_out_of_its_range_is_refused_with_the_range() -> Result<()> {
    with_namespace(async |namespace| {
        all_refused(
            &namespace,
            &[
                (
                    json!({"timeoutSeconds": 0}),
                    "spec.timeoutSeconds in body should be greater than or equal to 1",
                ),
                (
                    json!({"timeoutSeconds": 86401}),
                    "spec.timeoutSeconds in body should be less than or equal to 86400",
                ),
                (
                    json!({"idleTimeoutSeconds": -1}),
                    "spec.idleTimeoutSeconds in body should be greater than or equal to 0",
                ),
                (json!({"connectTimeoutSeconds": 86401}), "spec.connectTimeoutSeconds"),
                (json!({"ttlSecondsAfterFinished": -1}), "spec.ttlSecondsAfterFinished"),
                (
                    json!({"viewport": {"width": 319, "height": 600}}),
                    "spec.viewport.width in body should be greater than or equal to 320",
                ),
                (
                    json!({"viewport": {"width": 800, "height": 4321}}),
                    "spec.viewport.height in body should be less than or equal to 4320",
                ),
                (json!({"viewport": {"width": 800}}), "spec.viewport.height: Required value"),
                (json!({"className": ""}), "spec.className"),
                (
                    json!({"startUrl": "file:///etc/passwd"}),
                    "startUrl must be about:blank or begin with http:// or https://",
                ),
                (json!({"startUrl": "javascript:alert(1)"}), "startUrl must be about:blank"),
                (json!({"startUrl": "http://a.example/\r\nhost: b"}), "without spaces and control"),
                (json!({"startUrl": "http://a.example/\u{202e}"}), "without spaces and control"),
                (json!({"className": "a\nb"}), "spec.className"),
                (json!({"region": "eu\u{0}"}), "spec.region"),
                (json!({"context": {"name": "a b"}}), "spec.context.name"),
                (json!({"extensions": ["a\tb"]}), "spec.extensions[0]"),
                (json!({"allowedDomains": ["a.example\n"]}), "spec.allowedDomains[0]"),
                (json!({"privateHosts": ["10.0.0.0 /8"]}), "spec.privateHosts[0]"),
                (
                    json!({"capabilities": {"alwaysMatch": {"browserName": "chrome\n"}}}),
                    "spec.capabilities.alwaysMatch.browserName",
                ),
                (
                    json!({"proxy": {"rules": [{"type": "external", "server": "http://a\r\n"}]}}),
                    "spec.proxy.rules[0].server",
                ),
                (
                    json!({"proxy": {"rules": [{"type": "direct", "requestHeaders": [
                        {"name": "x:\n", "secretKeyRef": {"name": "s", "key": "k"}}]}]}}),
                    "spec.proxy.rules[0].requestHeaders[0].name",
                ),
                (
                    json!({"expose": {"type": "Ingress"}}),
                    "supported values: \"ClusterIP\", \"NodePort\", \"LoadBalancer\"",
                ),
                (json!({"userMetadata": "text"}), "spec.userMetadata"),
                (json!({"timeoutSeconds": "60"}), "spec.timeoutSeconds"),
            ],
        )
        .await?;
        let long = session_json(&"n".repeat(201), json!({}));
        let said =
            namespace.try_out(&long).await.map_err(words).err().context("a long name is taken")?;
        ensure!(said.contains("metadata.name must have at most 200 characters"), "{said}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn malformed_capabilities_are_refused_with_their_path() -> Result<()> {
    with_namespace(async |namespace| {
        let always = |set: Value| json!({"capabilities": {"alwaysMatch": set}});
        all_refused(
            &namespace,
            &[
                (always(json!({"pageLoadStrategy": "lazy"})), "spec.capabilities.alwaysMatch.pageLoadStrategy in body should match '^(none|eager|normal)$'"),
                (always(json!({"acceptInsecureCerts": "yes"})), "spec.capabilities.alwaysMatch.acceptInsecureCerts"),
                (always(json!({"browserName": 5})), "spec.capabilities.alwaysMatch.browserName"),
                (always(json!({"timeouts": {"script": -1}})), "spec.capabilities.alwaysMatch.timeouts.script"),
                (always(json!({"timeouts": {"script": 1.5}})), "spec.capabilities.alwaysMatch.timeouts.script"),
                (always(json!({"proxy": "direct"})), "spec.capabilities.alwaysMatch.proxy"),
                (always(json!([])), "spec.capabilities.alwaysMatch"),
                (json!({"capabilities": {"firstMatch": []}}), "spec.capabilities.firstMatch"),
                (json!({"capabilities": {"firstMatch": {}}}), "spec.capabilities.firstMatch"),
                (json!({"capabilities": {"firstMatch": [{"webSocketUrl": 1}]}}), "spec.capabilities.firstMatch[0].webSocketUrl"),
                (json!({"capabilities": []}), "spec.capabilities"),
            ],
        )
        .await
    })
    .await
}

#[tokio::test]
async fn a_spec_never_changes_not_even_deep_inside_its_capabilities() -> Result<()> {
    with_namespace(async |namespace| {
        stored(&namespace).await?;
        for change in [
            json!({"spec": {"timeoutSeconds": 60}}),
            json!({"spec": {"startUrl": "http://a.example"}}),
            json!({"spec": {"className": null}}),
            json!({"spec": {"capabilities": {"alwaysMatch": {"vendor:deep": {"a": {"b": 2}}}}}}),
            json!({"spec": {"capabilities": {"alwaysMatch": {"vendor:other": true}}}}),
        ] {
            let outcome = namespace
                .sessions()
                .patch("s", &PatchParams::default(), &Patch::Merge(&change))
                .await;
            let said = outcome.map_err(words).err().with_context(|| format!("taken: {change}"))?;
            ensure!(
                said.contains("spec is immutable: create another BrowserSession"),
                "{change}: {said}"
            );
        }
        let label = json!({"metadata": {"labels": {"team": "a"}}});
        let labelled =
            namespace.sessions().patch("s", &PatchParams::default(), &Patch::Merge(&label)).await?;
        assert_eq!(labelled.metadata.labels.unwrap()["team"], "a");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_client_was_told_in_status_never_changes() -> Result<()> {
    with_namespace(async |namespace| {
        stored(&namespace).await?;
        let patch = async |status: Value| {
            let change = json!({"status": status});
            let params = PatchParams::default();
            namespace.sessions().patch_status("s", &params, &Patch::Merge(&change)).await
        };
        patch(json!({"sessionId": "a", "podName": "p", "podIP": "10.0.0.1"})).await?;
        for (status, expected) in [
            (json!({"sessionId": "b"}), "sessionId cannot change"),
            (json!({"podName": "q"}), "podName cannot change"),
            (json!({"podIP": "10.0.0.2"}), "podIP cannot change"),
            (json!({"sessionId": null}), "sessionId is kept once it is set"),
            (json!({"podName": null}), "podName is kept once it is set"),
            (json!({"podIP": null}), "podIP is kept once it is set"),
            (json!({"phase": "Dozing"}), "Unsupported value"),
        ] {
            let said = patch(status.clone())
                .await
                .map_err(words)
                .err()
                .with_context(|| format!("taken: {status}"))?;
            ensure!(said.contains(expected), "{status}: {said}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_empty_spec_gets_the_documented_defaults() -> Result<()> {
    with_namespace(async |namespace| {
        let made = namespace.try_out(&session_json("s", json!({}))).await?;
        assert_eq!(
            made["spec"],
            json!({
                "blockAds": false,
                "capabilities": {"alwaysMatch": {"webSocketUrl": true}},
                "connectTimeoutSeconds": 0,
                "idleTimeoutSeconds": 300,
                "ignoreCertificateErrors": false,
                "log": false,
                "priority": 0,
            })
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_knows_the_short_names_and_shows_the_columns() -> Result<()> {
    with_namespace(async |namespace| {
        let client = &namespace.cluster.client;
        let group = client.list_api_group_resources("browser-operator.io/v1alpha1").await?;
        for (plural, short) in [("browsersessions", "bs"), ("browserclasses", "bc")] {
            let resource = group.resources.iter().find(|resource| resource.name == plural);
            let resource = resource.with_context(|| format!("{plural} are not served"))?;
            assert_eq!(resource.short_names.as_deref(), Some(&[short.to_owned()][..]), "{plural}");
            assert_eq!(
                resource.categories.as_deref(),
                Some(&["browsers".to_owned()][..]),
                "{plural}"
            );
        }

        stored(&namespace).await?;
        let request = http::Request::get(format!(
            "/apis/browser-operator.io/v1alpha1/namespaces/{}/browsersessions",
            namespace.name
        ))
        .header(http::header::ACCEPT, "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())?;
        let table: Value = client.request(request).await?;
        let columns = table["columnDefinitions"].as_array().context("columns")?;
        let names: Vec<&str> =
            columns.iter().filter_map(|column| column["name"].as_str()).collect();
        assert_eq!(
            names,
            [
                "Name", "Phase", "Reason", "Class", "Age", "Region", "Node", "Queue", "Expires",
                "Message"
            ]
        );
        let cells = &table["rows"][0]["cells"];
        assert_eq!(
            (&cells[0], &cells[1], &cells[2]),
            (&json!("s"), &json!("Failed"), &json!("ClassNotFound"))
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_class_that_contradicts_itself_is_refused() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let classes = namespace.cluster.classes();
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let name = format!("{}-class", namespace.name);
        let class = |fields| class_like_the_default(&default, &name, fields);
        for (fields, expected) in [
            (json!({"defaultRegion": "eu"}), "defaultRegion must be the name of one of regions"),
            (json!({"defaultRegion": "eu", "regions": [{"name": "us"}]}), "defaultRegion must be the name of one of regions"),
            (json!({"seccompProfile": "/etc/passwd"}), "seccompProfile must be a path below the kubelet's seccomp folder"),
            (json!({"seccompProfile": "../x.json"}), "seccompProfile must be a path below"),
            (json!({"versions": []}), "spec.versions"),
            (json!({"versions": [{"version": "newest", "image": "i"}]}), "spec.versions[0].version"),
            (json!({"versions": [{"version": "1", "image": "i"}, {"version": "1", "image": "j"}]}), "Duplicate value"),
            (json!({"regions": [{"name": "Mars"}]}), "spec.regions[0].name"),
            (json!({"capacity": -1}), "spec.capacity"),
            (json!({"startTimeoutSeconds": 0}), "spec.startTimeoutSeconds"),
            (json!({"sharedMemory": "much"}), "spec.sharedMemory"),
        ] {
            let outcome = classes.create(&dry_run, &class(fields.clone())?).await;
            let said = outcome.map_err(words).err().with_context(|| format!("taken: {fields}"))?;
            ensure!(said.contains(expected), "{fields}: {said}");
        }
        let good = json!({"defaultRegion": "eu", "regions": [{"name": "eu"}], "capacity": 0});
        classes.create(&dry_run, &class(good)?).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn sessions_are_found_by_class_and_phase() -> Result<()> {
    with_namespace(async |namespace| {
        stored(&namespace).await?;
        let Live { session, .. } = namespace.create_ready("live", json!({})).await?;
        let named = async |selector: &str| -> Result<Vec<String>> {
            let params = ListParams::default().fields(selector);
            let found = namespace.sessions().list(&params).await?;
            Ok(found.items.into_iter().filter_map(|found| found.metadata.name).collect())
        };
        assert_eq!(named("spec.className=nowhere").await?, ["s"]);
        assert_eq!(named("status.phase=Failed").await?, ["s"]);
        assert_eq!(named("status.phase=Ready").await?, [session.metadata.name.unwrap()]);
        Ok(())
    })
    .await
}
