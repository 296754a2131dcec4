//! A browser pod's port, for whoever goes there without the gateway.

use agent_api::{PodRef, installation_key::InstallationKey, paths::AUTHENTICATE_PATH};
use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use reqwest::Method;
use tokio::net::TcpStream;

use crate::{authority, namespace::Live, namespace::Namespace, operator};

/// The Secret with the key that every pod's token is derived from, and its field.
const KEY_SECRET: &str = "browser-operator-installation-key";
const KEY_FIELD: &str = "key";

/// The status of a request that goes straight to a pod.
pub async fn status(ip: &str, method: Method, path: &str, token: Option<&str>) -> Result<u16> {
    let client = reqwest::Client::builder().no_proxy().build().context("an HTTP client")?;
    let mut request = client.request(method, format!("http://{}{path}", address(ip))).body("{}");
    if let Some(token) = token {
        request = request.bearer_auth(token).header("browser-operator-challenge", "00112233");
    }
    Ok(request.send().await.with_context(|| format!("ask {path}"))?.status().as_u16())
}

/// Status and body of a GET without a token.
pub async fn get(ip: &str, path: &str) -> Result<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().build().context("an HTTP client")?;
    let reply = client.get(format!("http://{}{path}", address(ip))).send().await;
    let reply = reply.with_context(|| format!("ask {path}"))?;
    let status = reply.status().as_u16();
    Ok((status, reply.text().await.with_context(|| format!("the reply to {path}"))?))
}

/// Status and body of a GET as the gateway sends it: with the pod's token at the start of the connection.
pub async fn get_as_gateway(
    namespace: &Namespace,
    live: &Live,
    path: &str,
) -> Result<(u16, String)> {
    let token =
        installation_key(namespace).await?.pod_token(&PodRef::new(&namespace.name, &live.pod));
    let stream = TcpStream::connect(address(&live.ip)).await.context("connect to the pod")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut ask = async |path: &str| {
        let request = http::Request::get(path)
            .header(http::header::HOST, "agent")
            .header(http::header::AUTHORIZATION, format!("Bearer {}", token.reveal()))
            .body(Empty::<Bytes>::new())?;
        let reply = sender.send_request(request).await.with_context(|| format!("ask {path}"))?;
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, String::from_utf8(body.into())?))
    };
    let (proven, _) = ask(AUTHENTICATE_PATH).await?;
    ensure!(proven == 204, "the pod does not accept its token: {proven}");
    let answer = ask(path).await?;
    connection.abort();
    Ok(answer)
}

async fn installation_key(namespace: &Namespace) -> Result<InstallationKey> {
    let own = operator::pods(&namespace.cluster, "gateway").await?;
    let operator = own.first().and_then(ResourceExt::namespace).context("the operator")?;
    let secrets = Api::<Secret>::namespaced(namespace.cluster.client.clone(), &operator);
    let secret = secrets.get(KEY_SECRET).await.context("the installation key")?;
    let bytes = secret.data.as_ref().and_then(|data| data.get(KEY_FIELD)).context(KEY_FIELD)?;
    InstallationKey::new(&bytes.0).context("an installation key")
}

#[must_use]
pub fn address(ip: &str) -> String {
    authority(ip, 4444)
}
