//! The preferences by which Firefox sends everything through the agent's proxy, and nothing beside it.

use serde_json::{Map, Value, json};

/// They stand after a client's own.
pub fn preferences(proxy_port: u16) -> Map<String, Value> {
    let host = "127.0.0.1";
    let preferences = [
        // By hand, for every host: what is of this machine is denied there.
        ("network.proxy.type", json!(1)),
        ("network.proxy.http", json!(host)),
        ("network.proxy.http_port", json!(proxy_port)),
        ("network.proxy.ssl", json!(host)),
        ("network.proxy.ssl_port", json!(proxy_port)),
        ("network.proxy.socks", json!("")),
        ("network.proxy.socks_port", json!(0)),
        ("network.proxy.no_proxies_on", json!("")),
        ("network.proxy.allow_hijacking_localhost", json!(true)),
        // A proxy that fails is not gone around.
        ("network.proxy.failover_direct", json!(false)),
        ("network.proxy.allow_bypass", json!(false)),
        // Names are resolved at the proxy, and not before there is a request.
        ("network.dns.disabled", json!(true)),
        ("network.dns.prefetch_via_proxy", json!(false)),
        ("network.dns.disablePrefetch", json!(true)),
        ("network.dns.disablePrefetchFromHTTPS", json!(true)),
        ("network.dns.native_https_query", json!(false)),
        ("network.trr.mode", json!(5)),
        ("network.predictor.enabled", json!(false)),
        ("network.prefetch-next", json!(false)),
        // Checks of Firefox' own that go around proxies.
        ("network.captive-portal-service.enabled", json!(false)),
        ("network.connectivity-service.enabled", json!(false)),
        // No UDP: not of WebRTC, not of QUIC.
        ("media.peerconnection.ice.proxy_only", json!(true)),
        ("media.peerconnection.ice.proxy_only_if_behind_proxy", json!(true)),
        ("network.http.http3.enable", json!(false)),
    ];
    preferences.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
