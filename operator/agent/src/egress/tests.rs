//! The proxy as a browser speaks to it. Nothing of this machine can be reached through it, so what is carried is the end-to-end
//! tests' to see.

use agent_api::bind::Egress;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{EgressProxy, of_bind};

async fn ask(proxy: &EgressProxy, head: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    let request = format!("{head}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn set(proxy: &EgressProxy, routes: serde_json::Value) {
    let routes = serde_json::from_value(routes).unwrap();
    let egress = Egress { routes, ..Egress::of_before() };
    let (routes, guard) = of_bind(None, Some(egress)).unwrap();
    proxy.set_routes(routes, guard);
}

#[tokio::test]
async fn a_request_is_answered_by_the_routes_that_there_are_now() {
    let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
    let proxy = EgressProxy::start(end.clone(), &tasks).await.unwrap();
    let get = "GET http://a.example/ HTTP/1.1\r\nHost: a.example";
    let answer = ask(&proxy, get).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("no session yet"), "{answer}");

    set(&proxy, json!({"default": {"type": "block"}}));
    for head in [get, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443"] {
        let answer = ask(&proxy, head).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("it is blocked (by spec.proxy.default)"), "{answer}");
    }

    set(&proxy, json!({}));
    for host in ["127.0.0.1", "0x7f.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
        for head in [
            format!("GET http://{host}:{}/ HTTP/1.1\r\nHost: a.example", proxy.port()),
            format!("CONNECT {host}:{} HTTP/1.1\r\nHost: a.example", proxy.port()),
        ] {
            let answer = ask(&proxy, &head).await;
            assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("loopback"), "{answer}");
            assert!(answer.contains("error=destination_ip_prohibited"), "{answer}");
        }
    }
    for head in [
        "GET / HTTP/1.1\r\nHost: a.example",
        "GET https://a.example/ HTTP/1.1\r\nHost: a.example",
        "CONNECT a.example HTTP/1.1\r\nHost: a.example",
        "CONNECT a.example:0 HTTP/1.1\r\nHost: a.example",
    ] {
        let answer = ask(&proxy, head).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
    }
    let traffic = proxy.traffic();
    assert!(traffic.upstreams.is_empty());
    let failures = Vec::from_iter(traffic.failures.iter().map(|(cause, n)| (cause.as_str(), *n)));
    let expected = [
        ("destination_ip_prohibited", 10),
        ("http_request_denied", 2),
        ("http_request_error", 4),
        ("proxy_configuration_error", 1),
    ];
    assert_eq!(failures, expected);
    end.cancel();
    tasks.close();
    tasks.wait().await;
}

#[test]
fn a_bind_with_rules_that_mean_nothing_is_refused() {
    let routes = serde_json::from_value(
        json!({"rules": [{"domainPattern": "a..b", "route": {"type": "block"}}]}),
    );
    let egress = Egress { routes: routes.unwrap(), ..Egress::of_before() };
    let error = of_bind(None, Some(egress)).unwrap_err().to_string();
    assert!(error.starts_with("spec.proxy: rules[0].domainPattern names no host"), "{error}");
    let error = of_bind(Some(&json!({"proxyType": "pac"})), None).unwrap_err().to_string();
    assert!(error.starts_with("spec.capabilities: proxy.proxyType pac"), "{error}");
}
