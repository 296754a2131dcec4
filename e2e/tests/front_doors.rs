//! The gateway's doors: which base URLs, hosts, pages and credentials lead in, and what a request may hold.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    Bidi, Namespace, Reply, class_like_the_default,
    gateway::with_gateway,
    hosted::{Hosted, id, with_key},
    local, operator,
    wait::eventually,
    with_namespace,
};
use kube::{ResourceExt, api::ListParams};
use reqwest::Method;
use serde_json::{Value, json};

/// A client of the operator's own gateway that has no key.
fn anonymous(namespace: &Namespace) -> Hosted {
    Hosted::new(&namespace.cluster.settings.gateway_url, None)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn a_base_url_may_end_with_a_slash() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let token = bearer(&key.text);
            let authorized = [("authorization", token.as_str())];
            for (base, session) in [("/", "//session"), ("/wd/hub/", "/wd/hub//session")] {
                let body = Some(json!({"capabilities": {}}).to_string());
                let made = client.send_with(Method::POST, session, body, &authorized).await?;
                ensure!(made.status == 200, "{base}: {} {}", made.status, made.body);
                let id = made.body["value"]["sessionId"].as_str().context("sessionId")?;
                let title = client.get(&format!("{session}/{id}/title")).await?;
                ensure!(title["value"].is_string(), "{title}");
                client.expect(200, Method::DELETE, &format!("{session}/{id}"), None).await?;
            }
            client.get("//status").await?;
            client.get("//v1/sessions").await?;
            client.get("/api/v2//sessions").await?;
            for path in ["/nothing/here", "/session//url"] {
                let error = client.expect(404, Method::POST, path, None).await?;
                ensure!(error["value"]["message"].to_string().contains(path), "{error}");
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn whoever_looks_at_the_base_url_is_told_where_to_go() -> Result<()> {
    with_namespace(async |namespace| {
        let client = anonymous(&namespace);
        for (accept, kind) in [
            ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
            ("application/json", "application/json"),
            ("*/*", "text/plain; charset=utf-8"),
        ] {
            let page = client.send_with(Method::GET, "/", None, &[("accept", accept)]).await?;
            assert_eq!((page.status, page.header("content-type")), (200, kind));
            ensure!(page.body.to_string().contains("/v1/sessions"), "{}", page.body);
        }
        for (path, status) in [
            ("/status", 200),
            ("/wd/hub/status", 200),
            ("/", 200),
            ("/openapi.json", 200),
            ("/nothing", 404),
            ("/session", 405),
            ("/v1/sessions", 405),
            ("/json/version", 405),
        ] {
            let reply = client.send(Method::HEAD, path, None).await?;
            assert_eq!((reply.status, &reply.body), (status, &Value::Null), "HEAD {path}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_gets_nothing_on_any_path() -> Result<()> {
    with_namespace(async |namespace| {
        let client = anonymous(&namespace);
        let live = namespace.create_ready("live", json!({})).await?;
        let title = format!("/session/{}/title", live.id);
        let own = format!("/session/{}", live.id);
        for host in
            ["evil.example", "x.svc.evil.example:4444", "gateway.svc.cluster.local.evil.example"]
        {
            for (method, path) in [
                (Method::GET, "/status"),
                (Method::GET, "/"),
                (Method::POST, "/session"),
                (Method::GET, title.as_str()),
                (Method::DELETE, own.as_str()),
                (Method::GET, "/v1/sessions"),
                (Method::POST, "/v1/sessions"),
                (Method::GET, "/api/v2/browsers"),
                (Method::GET, "/json/version"),
                (Method::OPTIONS, "/session"),
            ] {
                let reply = client.send_with(method.clone(), path, None, &[("host", host)]).await?;
                ensure!(reply.status == 403, "{method} {path} of {host}: {}", reply.status);
                ensure!(reply.message().contains("allowedHosts"), "{}", reply.body);
            }
        }
        for host in [
            "localhost:4444",
            "browser-operator-gateway.browser-operator:4444",
            "browser-operator-gateway.browser-operator.svc",
            "browser-operator-gateway.browser-operator.svc.cluster.local:4444",
            "[::1]:4444",
        ] {
            let reply = client.send_with(Method::GET, &title, None, &[("host", host)]).await?;
            ensure!(reply.status == 200, "{host}: {} {}", reply.status, reply.body);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read_on_every_face() -> Result<()> {
    with_namespace(async |namespace| {
        let flags = ["--allowed-origins=https://tools.example"];
        with_gateway(&namespace, &flags, async |gateway| {
            let client = Hosted::new(&gateway.url(), None);
            let ours = ("origin", "https://tools.example");
            for (method, path) in [
                ("POST", "/session"),
                ("POST", "/v1/sessions"),
                ("PATCH", "/api/v2/browsers/0"),
                ("GET", "/json/version"),
            ] {
                let headers = [
                    ours,
                    ("access-control-request-method", method),
                    ("access-control-request-headers", "x-bb-api-key,content-type"),
                ];
                let reply = client.send_with(Method::OPTIONS, path, None, &headers).await?;
                assert_eq!(reply.status, 204, "{path}");
                assert_eq!(reply.header("access-control-allow-origin"), ours.1, "{path}");
                ensure!(reply.header("access-control-allow-methods").contains(method), "{path}");
                let allowed = reply.header("access-control-allow-headers");
                ensure!(allowed.contains("x-bb-api-key"), "{path}: {allowed}");
                let foreign = [("origin", "https://evil.example"), headers[1]];
                let reply = client.send_with(Method::OPTIONS, path, None, &foreign).await?;
                assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, ""));
            }
            for path in ["/status", "/nothing", "/v1/sessions", "/api/v2/sessions", "/json/version"]
            {
                let reply = client.send_with(Method::GET, path, None, &[ours]).await?;
                assert_eq!(reply.header("access-control-allow-origin"), ours.1, "{path}");
                assert_eq!(reply.header("access-control-allow-credentials"), "", "{path}");
                let vary: Vec<_> = reply.headers.get_all("vary").iter().collect();
                ensure!(vary.iter().any(|vary| *vary == "Origin"), "{path}: {vary:?}");
            }
            Ok(())
        })
        .await
    })
    .await
}

/// The names of the namespace's sessions.
async fn names(namespace: &Namespace) -> Result<Vec<String>> {
    let sessions = namespace.sessions().list(&ListParams::default()).await?;
    Ok(sessions.iter().map(ResourceExt::name_any).collect())
}

#[tokio::test]
async fn a_signing_key_at_the_root_means_its_own_session() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let made = client.browserbase(json!({"keepAlive": true})).await?;
            let (id, key) = (id(&made)?, made["signingKey"].as_str().context("signingKey")?);
            let before = names(&namespace).await?;
            for path in ["/json/version", "/json/version/", "//json/version", "/json/list", "/json"]
            {
                let seen = client.get(&format!("{path}?signingKey={key}")).await?.to_string();
                ensure!(seen.contains(&format!("/cdp/{id}/devtools/")), "{path}: {seen}");
            }
            for path in ["/json/version", "/json/list"] {
                let path = format!("{path}?signingKey=a");
                let refused = client.expect(401, Method::GET, &path, None).await?;
                ensure!(refused.to_string().contains("signingKey"), "{path}: {refused}");
            }
            assert_eq!(names(&namespace).await?, before);
            let url = namespace.cluster.settings.gateway_url.replacen("http", "ws", 1);
            let mut socket = Bidi::connect(&format!("{url}/?signingKey={key}")).await?;
            let version = socket.send_command("Browser.getVersion", json!({})).await?;
            ensure!(version["result"]["product"].is_string(), "{version}");
            assert_eq!(Bidi::refusal(&format!("{url}/?signingKey=a")).await?, 401);
            assert_eq!(Bidi::refusal(&format!("{url}/")).await?, 404);
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_key_that_is_wrong_or_not_sent_makes_nobody_anonymous_in_silence() -> Result<()> {
    with_namespace(async |namespace| {
        // There are keys, and clients that need none.
        with_key(&namespace, async |_| {
            let client = anonymous(&namespace);
            let new_session = async |set: Value, headers: &[(&str, &str)]| -> Result<Reply> {
                let body = json!({"capabilities": {"alwaysMatch": set}}).to_string();
                client.send_with(Method::POST, "/session", Some(body), headers).await
            };
            // What http://wrong@gateway and http://any:wrong@gateway become.
            for basic in ["Basic d3Jvbmc6", "Basic YW55Ondyb25n"] {
                let refused = new_session(json!({}), &[("authorization", basic)]).await?;
                assert_eq!(refused.status, 401, "{basic}: {}", refused.body);
            }
            // Java's client sends its URL's user only to whoever asks for it.
            let unsent = json!({"se:remoteUrl": "http://any:wrong@gateway:4444/wd/hub"});
            let asked = new_session(unsent, &[]).await?;
            assert_eq!(asked.status, 401, "{}", asked.body);
            ensure!(asked.header("www-authenticate").contains("Basic"), "{:?}", asked.headers);

            let made = new_session(json!({}), &[]).await?;
            assert_eq!(made.status, 200, "{}", made.body);
            let seen = &made.body["value"]["capabilities"]["browser-operator:caller"];
            assert_eq!(*seen, "system:anonymous");
            let id = made.body["value"]["sessionId"].as_str().context("sessionId")?;
            client.expect(200, Method::DELETE, &format!("/session/{id}"), None).await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn what_nests_too_deep_is_refused_by_name_before_there_is_an_object() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let client = Hosted::of(&namespace, &key);
            let token = bearer(&key.text);
            let authorized = [("authorization", token.as_str())];
            for depth in [33, 130, 9_900] {
                let deep = format!("{}{}", r#"{"a":"#.repeat(depth), "1".to_owned() + &"}".repeat(depth));
                for (path, body, status, name) in [
                    ("/session", format!(r#"{{"capabilities": {{"alwaysMatch": {{"browser-operator:userMetadata": {deep}}}}}}}"#), 400, "capabilities.alwaysMatch.browser-operator:userMetadata"),
                    ("/session", format!(r#"{{"capabilities": {{}}, "vendor": {deep}}}"#), 400, "vendor.a.a.a"),
                    ("/v1/sessions", format!(r#"{{"userMetadata": {deep}}}"#), 400, "userMetadata.a.a.a"),
                    ("/api/v2/browsers", format!(r#"{{"metadata": {deep}}}"#), 422, "metadata.a.a.a"),
                ] {
                    let reply = client.send_with(Method::POST, path, Some(body), &authorized).await?;
                    ensure!(reply.status == status, "{path} {depth}: {} {}", reply.status, reply.body);
                    let text = reply.body.to_string();
                    ensure!(text.contains(name) && text.contains("32 levels"), "{path}: {text}");
                }
            }
            ensure!(names(&namespace).await?.is_empty());
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn many_alternatives_cost_a_gateway_nothing() -> Result<()> {
    with_namespace(async |namespace| {
        let always = json!({"a:b": "x".repeat(50 << 10)});
        let first = vec![json!({}); 30_000];
        let capabilities = json!({"alwaysMatch": always, "firstMatch": first});
        let gateways = operator::pods(&namespace.cluster, "gateway").await?;
        let processes: Vec<_> = gateways
            .iter()
            .filter_map(|pod| local::process_of_pod(&pod.uid()?, local::OPERATOR))
            .collect();
        for process in &processes {
            process.forget_most_memory()?;
        }
        let before: Vec<u64> =
            processes.iter().map(|process| process.memory()).collect::<Result<_>>()?;
        let body = json!({"capabilities": capabilities});
        for _ in 0..8 {
            let reply = anonymous(&namespace)
                .send(Method::POST, "/session", Some(body.to_string()))
                .await?;
            assert_eq!((reply.status, reply.error()), (400, "invalid argument"), "{}", reply.body);
            let mut socket = Bidi::connect(&namespace.cluster.bare_socket_url()).await?;
            let error = socket.failure("session.new", body.clone()).await?;
            assert_eq!(error, "invalid argument");
        }
        for (process, before) in processes.iter().zip(before) {
            let grown = process.most_memory()?.saturating_sub(before);
            println!("a gateway of {before} bytes grew by {grown}");
            ensure!(grown < 32 << 20, "a gateway grew by {grown} bytes");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_services_project_and_region_are_ours_where_the_chart_says_so() -> Result<()> {
    with_namespace(async |namespace| {
        with_key(&namespace, async |key| {
            let project = "0f4a9c3e-7d1b-4d42-9f35-2f1f6a5f9d10";
            let plain = Hosted::of(&namespace, &key);
            plain.expect(404, Method::GET, &format!("/v1/projects/{project}"), None).await?;
            // The region that replies show is one that may be asked for.
            let shown = plain.browserbase(json!({"region": "us-west-2"})).await?;
            assert_eq!(shown["region"], "us-west-2");
            plain.release(&id(&shown)?).await?;

            let flags = ["--unknown-projects=own-namespace", "--regions=us-east-1=nowhere"];
            with_gateway(&namespace, &flags, async |gateway| {
                let client = Hosted::new(&gateway.url(), Some(&key.text));
                client.until_status(&format!("/v1/projects/{project}"), 200).await?;
                let made = client.browserbase(json!({"projectId": project})).await?;
                assert_eq!(made["projectId"], namespace.name);
                let elsewhere = Some(json!({"region": "us-east-1"}));
                let refused = client.expect(400, Method::POST, "/v1/sessions", elsewhere).await?;
                ensure!(refused.to_string().contains("nowhere"), "{refused}");
                let body = Some(json!({"status": "REQUEST_RELEASE", "projectId": project}));
                let path = format!("/v1/sessions/{}", id(&made)?);
                client.expect(200, Method::POST, &path, body).await.map(drop)
            })
            .await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_replica_that_ends_says_503_and_a_pending_session_new_holds_nothing_up() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let class = class_like_the_default(&default, &namespace.name, json!({"capacity": 0}))?;
        let test = async || {
            with_gateway(&namespace, &["--drain-seconds=1"], async |gateway| {
                let own = json!({"browser-operator:class": namespace.name});
                let body = json!({"capabilities": {"alwaysMatch": own}});
                // No place is free: this one waits.
                let url = gateway.socket_url("/session");
                let mut socket = Bidi::connect_as(&url, Some(gateway.token())).await?;
                let new = json!({"id": 100, "method": "session.new", "params": body}).to_string();
                socket.send_text(new).await?;
                let status = socket.command("session.status", json!({})).await?;
                ensure!(status["ready"].is_boolean(), "{status}");
                for (method, error) in [
                    ("session.new", "session not created"),
                    ("session.end", "invalid session id"),
                    ("browsingContext.getTree", "invalid session id"),
                    ("foo.bar", "unknown command"),
                ] {
                    let params = if method == "session.new" { body.clone() } else { json!({}) };
                    assert_eq!(socket.failure(method, params).await?, error, "{method}");
                }
                let client = gateway.client();
                let waiting = client.send(Method::POST, "/session", Some(&body));
                let (reply, stopped) = tokio::join!(waiting, async {
                    let both = async || {
                        let names = names(&namespace).await?;
                        ensure!(names.len() == 2, "{names:?}");
                        Ok(())
                    };
                    eventually(Duration::from_secs(10), both).await?;
                    gateway.stop().await
                });
                stopped?;
                let reply = reply?;
                assert_eq!((reply.status, reply.error()), (503, "session not created"));
                ensure!(!reply.header("retry-after").is_empty(), "{:?}", reply.headers);
                Ok(())
            })
            .await
        };
        namespace.cluster.with_class(&class, test).await
    })
    .await
}
