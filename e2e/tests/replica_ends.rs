//! A gateway's replica that ends: whoever still has a connection to it is told to go to another, in the words of its API.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    authority,
    gateway::{Gateway, with_gateway},
    hosted::{BROWSER_USE_KEY, BROWSERBASE_KEY, Key, with_key},
    raw::Connection,
    with_namespace,
};
use http::{Method, Request, Response, header, request};
use serde_json::{Value, json};
use tokio::time::timeout;

/// For a replica to hear that it ends.
const STOP_LIMIT: Duration = Duration::from_secs(20);
const CLOSING: &str = "this replica is shutting down";

struct Client<'a> {
    gateway: &'a Gateway,
    key: &'a Key,
}

impl Client<'_> {
    /// A connection that has brought an answer, and waits for more.
    async fn connection(&self) -> Result<Connection> {
        let mut connection = Connection::open(&authority(&self.gateway.ip, 4444)).await?;
        let (reply, _) = self.ask(&mut connection, Method::GET, "/status", "").await?;
        ensure!(reply.status() == 200 && !says_close(&reply), "before it ends: {reply:?}");
        Ok(connection)
    }

    fn request(&self, method: Method, path: &str) -> request::Builder {
        let request = Request::builder().method(method).uri(path);
        if path.starts_with("/v1/") || path.starts_with("/api/") {
            request.header(BROWSERBASE_KEY, &self.key.text).header(BROWSER_USE_KEY, &self.key.text)
        } else {
            request.header(header::AUTHORIZATION, format!("Bearer {}", self.gateway.token()))
        }
    }

    async fn ask(
        &self,
        connection: &mut Connection,
        method: Method,
        path: &str,
        text: &str,
    ) -> Result<(Response<()>, Value)> {
        let reply = connection.exchange(self.request(method, path), text).await;
        let (head, body) = reply.with_context(|| path.to_owned())?.into_parts();
        let body = serde_json::from_slice(&body).with_context(|| format!("{path}: {body:?}"))?;
        Ok((Response::from_parts(head, ()), body))
    }
}

fn says_close(reply: &Response<()>) -> bool {
    reply.headers().get(header::CONNECTION).is_some_and(|value| value == "close")
}

#[tokio::test]
async fn a_replica_that_ends_refuses_what_is_new_on_open_connections_in_each_apis_shape()
-> Result<()> {
    with_namespace(async |namespace| {
        with_gateway(&namespace, &["--drain-seconds=6"], async |gateway| {
            with_key(&namespace, async |key| {
                let client = Client { gateway, key: &key };
                let live = gateway.client().new_session(json!({})).await?;
                let title = format!("/session/{}/title", live.id);
                let asked = json!({"capabilities": {}}).to_string();
                // With where the body says why.
                let refusals = [
                    (Method::POST, "/session", asked.as_str(), "/value/message"),
                    (Method::POST, "/wd/hub/session", &asked, "/value/message"),
                    (Method::POST, "/v1/sessions", "{}", "/message"),
                    (Method::POST, "/api/v2/browsers", "{}", "/detail"),
                    (Method::POST, "/api/v3/browsers", "{}", "/detail"),
                    (Method::POST, "/api/v2/sessions", "{}", "/detail"),
                    (Method::GET, "/json/version", "", "/error"),
                ];
                let mut connections = Vec::new();
                for _ in &refusals {
                    connections.push(client.connection().await?);
                }
                let mut driving = client.connection().await?;
                let mut watching = client.connection().await?;

                gateway.stop().await?;
                // The answer that says so is the last one on its connection.
                let told = async {
                    loop {
                        let (reply, status) =
                            client.ask(&mut watching, Method::GET, "/status", "").await?;
                        if says_close(&reply) {
                            return Ok::<_, anyhow::Error>(status);
                        }
                    }
                };
                let status = timeout(STOP_LIMIT, told).await.context("it goes on")??;
                ensure!(status["value"]["ready"] == false, "{status}");

                // A live session is driven on.
                let (reply, body) = client.ask(&mut driving, Method::GET, &title, "").await?;
                ensure!(reply.status() == 200 && says_close(&reply), "{reply:?} {body}");
                let mut failed = Vec::new();
                for ((method, path, text, why), mut connection) in
                    refusals.into_iter().zip(connections)
                {
                    let (reply, body) = client.ask(&mut connection, method, path, text).await?;
                    let retry = reply.headers().contains_key(header::RETRY_AFTER);
                    let is_refused =
                        reply.status() == 503 && body.pointer(why) == Some(&json!(CLOSING));
                    if !is_refused || !says_close(&reply) || !retry {
                        failed.push(format!("{path}: {reply:?} {body}"));
                    }
                }
                ensure!(failed.is_empty(), "{}", failed.join("\n"));
                Ok(())
            })
            .await
        })
        .await
    })
    .await
}
