//! Upstreams that are spoken to by TLS.

use agent_api::{paths::TRAFFIC_PATH, traffic::Traffic};
use anyhow::{Context, Result, ensure};
use e2e::{
    agent, class_like_the_default,
    kubectl::{apply, exec},
    upstream::{self, CERTIFICATE, HTTPS, HTTPS_PORT},
    with_namespace,
};
use reqwest::Method;
use serde_json::{Value, json};

const BROWSERS: [(&str, &str); 2] = [("chrome", "chromium"), ("firefox", "firefox")];
const TITLE: &str = "browser-operator";

/// A class whose pods trust the certificate that the ConfigMap has.
fn trusting() -> Value {
    json!({"podTemplate": {"spec": {
        "volumes": [{"name": "trusted", "configMap": {"name": "trusted"}}],
        "containers": [{
            "name": "browser", "env": [{"name": "SSL_CERT_FILE", "value": "/trusted/certificate"}],
            "volumeMounts": [{"name": "trusted", "mountPath": "/trusted", "readOnly": true}],
        }],
    }}})
}

#[tokio::test]
async fn a_proxy_is_spoken_to_by_tls_where_its_certificate_is_right() -> Result<()> {
    with_namespace(async |namespace| {
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let certificate = exec(&namespace.name, HTTPS, &format!("cat {CERTIFICATE}")).await?;
        apply(&namespace.name, &json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trusted"}, "data": {"certificate": certificate},
        }))
        .await?;
        let client = namespace.client().await?;
        let site = namespace.cluster.page("/");
        let server = format!("https://{}", upstream::address(&namespace, HTTPS, HTTPS_PORT));
        // Its certificate is for another name.
        let other = server.replace(".svc.cluster.local", ".svc");
        for (browser, like) in BROWSERS {
            let like = namespace.cluster.classes().get(like).await.context("the class")?;
            let name = format!("{}-{browser}", namespace.name);
            let class = class_like_the_default(&like, &name, trusting())?;
            let opens = async |class: &str, server: &str, ignore: bool, words: Option<&str>| -> Result<()> {
                let route = json!({"type": "external", "server": server, "ignoreCertificateErrors": ignore});
                let capabilities = json!({"alwaysMatch": {"browserName": browser}});
                let spec = json!({"className": class, "capabilities": capabilities, "proxy": {"default": route}});
                let live = namespace.create_ready("s", spec).await?;
                let path = format!("/session/{}/url", live.id);
                let reply = client.send(Method::POST, &path, Some(&json!({"url": site}))).await?;
                match words {
                    Some(words) => {
                        ensure!(reply.status == 500 && reply.message().contains(words), "{browser}: {reply:?}");
                    }
                    None => {
                        assert_eq!(client.title(&live.id).await?, TITLE, "{browser} {server} {ignore}: {reply:?}");
                        // A tunnel goes by it too; what has no server there is no concern of the proxy's certificate.
                        let (_, body) = agent::get_as_gateway(&namespace, &live, TRAFFIC_PATH).await?;
                        let traffic: Traffic = serde_json::from_str(&body).context("the traffic")?;
                        let bytes = traffic.upstreams.get(server);
                        ensure!(bytes.is_some_and(|bytes| bytes.received > 700), "{browser}: {traffic:?}");
                    }
                }
                let session = namespace.sessions().get("s").await?;
                let capabilities = session.status.and_then(|status| status.capabilities);
                let insecure = capabilities.context("capabilities")?.get("acceptInsecureCerts").cloned();
                assert_eq!(insecure, Some(ignore.into()), "{browser}");
                namespace.delete("s").await
            };
            let known = like.metadata.name.clone().unwrap_or_default();
            opens(&known, &server, false, Some("the proxy's certificate is not accepted")).await?;
            opens(&known, &server, true, None).await?;
            namespace
                .cluster
                .with_class(&class, async || {
                    opens(&name, &server, false, None).await?;
                    opens(&name, &other, false, Some("ignoreCertificateErrors of the route accepts any")).await
                })
                .await?;
        }
        Ok(())
    })
    .await
}
