//! The same from a client that drives the browser: what it asks for at the start, and what it does to the browser's settings.

use std::{collections::BTreeSet, net::Ipv4Addr};

use anyhow::{Context, Result, ensure};
use e2e::{Classic, Namespace, kubectl::exec};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    listeners::{self, FIRST_PORT, front_url},
    run::Run,
};

/// The ports of these attacks: behind the table's first half.
pub const FIRST: u16 = FIRST_PORT + 110;
/// Its control.
const CONTROL: u16 = FIRST + 30;

/// Sends every request straight.
const PAC: &str = "data:application/x-ns-proxy-autoconfig,function%20FindProxyForURL()%7Breturn%20%22DIRECT%22%7D";

struct Attack {
    name: &'static str,
    /// The vendor's options; `{at}` is where somebody listens.
    options: Value,
    /// Pages to open, and a script on each.
    pages: &'static [(&'static str, &'static str)],
}

/// What a client may ask of Chrome.
fn of_chrome() -> Vec<Attack> {
    let none: &[(&str, &str)] = &[];
    let attack = |name, options, pages| Attack { name, options, pages };
    vec![
        attack("no proxy", json!({"args": ["--no-proxy-server"]}), none),
        attack(
            "direct proxy",
            json!({"args": ["--proxy-server=direct://", "--proxy-bypass-list=*"]}),
            none,
        ),
        attack("PAC", json!({"args": [format!("--proxy-pac-url={PAC}")]}), none),
        attack("detected proxy", json!({"args": ["--proxy-auto-detect"]}), none),
        attack("proxy in a preference", json!({"prefs": {"proxy": {"mode": "direct"}}}), none),
        attack(
            "DNS over HTTPS",
            json!({"prefs": {"dns_over_https": {"mode": "secure", "templates": "https://{at}/dns"}},
                "localState": {"dns_over_https": {"mode": "secure", "templates": "https://{at}/dns"}},
                "args": ["--enable-features=DnsOverHttps<a", "--force-fieldtrials=a/b", "--force-fieldtrial-params=a.b:Templates/https%3A%2F%2F{at}%2Fdns"]}),
            none,
        ),
        attack("QUIC", json!({"args": ["--enable-quic", "--origin-to-force-quic-on={at}"]}), none),
        attack(
            "resolver's rules",
            json!({"args": ["--host-resolver-rules=MAP * {at}", "--host-rules=MAP * {at}"]}),
            none,
        ),
        attack("an extension of a folder", json!({"args": ["--load-extension=/tmp"]}), none),
        attack(
            "settings' page",
            json!({}),
            &[
                ("chrome://settings/", "chrome.settingsPrivate.setPref('proxy', {mode: 'direct'})"),
                ("chrome://net-internals/#dns", "chrome.send('clearHostResolverCache')"),
                ("chrome://net-internals/#sockets", "chrome.send('closeIdleSockets')"),
            ],
        ),
        attack(
            "service worker",
            json!({"args": ["--unsafely-treat-insecure-origin-as-secure={front}"]}),
            &[(
                "{front}",
                "navigator.serviceWorker.register('/?h=Content-Type:%20text/javascript&b=fetch(%22http://{at}/%22)')",
            )],
        ),
    ]
}

/// What a client may ask of Firefox.
fn of_firefox() -> Vec<Attack> {
    let attack =
        |name, prefs: Value, pages| Attack { name, options: json!({"prefs": prefs}), pages };
    let none: &[(&str, &str)] = &[];
    vec![
        attack("no proxy", json!({"network.proxy.type": 0}), none),
        attack("PAC", json!({"network.proxy.type": 2, "network.proxy.autoconfig_url": PAC}), none),
        attack("detected proxy", json!({"network.proxy.type": 4}), none),
        attack("proxy of the system", json!({"network.proxy.type": 5}), none),
        attack("exceptions", json!({"network.proxy.no_proxies_on": "0.0.0.0/0"}), none),
        attack(
            "TRR",
            json!({"network.trr.mode": 3, "network.trr.uri": "https://{at}/dns", "network.trr.custom_uri": "https://{at}/dns"}),
            none,
        ),
        attack(
            "captive portal",
            json!({"network.captive-portal-service.enabled": true, "captivedetect.canonicalURL": "http://{at}/",
                "network.connectivity-service.enabled": true, "network.connectivity-service.IPv4.url": "http://{at}/"}),
            none,
        ),
        attack(
            "Firefox' own services",
            json!({"browser.safebrowsing.provider.google4.updateURL": "http://{at}/", "browser.safebrowsing.provider.mozilla.updateURL": "http://{at}/",
                "browser.safebrowsing.provider.google4.nextupdatetime": "1", "browser.safebrowsing.provider.mozilla.nextupdatetime": "1",
                "services.settings.server": "http://{at}/v1", "app.update.url": "http://{at}/", "media.gmp-manager.url": "http://{at}/",
                "extensions.update.url": "http://{at}/", "extensions.blocklist.url": "http://{at}/", "browser.region.network.url": "http://{at}/",
                "security.OCSP.enabled": 1, "toolkit.telemetry.server": "http://{at}/"}),
            none,
        ),
        attack(
            "QUIC",
            json!({"network.http.http3.enable": true, "network.http.http3.alt-svc-mapping-for-testing": "{at};h3=:{port}"}),
            none,
        ),
        attack(
            "about:config",
            json!({}),
            &[(
                "about:config",
                "(globalThis.Services ?? Components.classes['@mozilla.org/preferences-service;1'].getService(Components.interfaces.nsIPrefBranch)).prefs.setIntPref('network.proxy.type', 0)",
            )],
        ),
        attack(
            "service worker",
            json!({"dom.serviceWorkers.testing.enabled": true}),
            &[(
                "{front}",
                "navigator.serviceWorker.register('/?h=Content-Type:%20text/javascript&b=fetch(%22http://{at}/%22)')",
            )],
        ),
    ]
}

/// Each in a session of its own, which then asks for what is denied.
pub async fn ask_for_no_way_around(
    client: &Classic,
    own: &Namespace,
    other: &Namespace,
    class: &str,
    browser: &str,
    ip: Ipv4Addr,
) -> Result<()> {
    let front = front_url(own);
    let (key, attacks) = match browser {
        "chrome" => ("goog:chromeOptions", of_chrome()),
        _ => ("moz:firefoxOptions", of_firefox()),
    };
    let mut names = Vec::new();
    for (port, Attack { name, options, pages }) in (FIRST..CONTROL).zip(attacks) {
        let at = format!("{ip}:{port}");
        let fill = |text: &str| {
            text.replace("{at}", &at)
                .replace("{front}", front.trim_end_matches('/'))
                .replace("{port}", &port.to_string())
        };
        names.push((port, name));
        let options: Value = serde_json::from_str(&fill(&options.to_string()))?;
        let capabilities = json!({"browserName": browser, "timeouts": {"pageLoad": 8000, "script": 8000},
            "browser-operator:class": class, key: options});
        let body = json!({"capabilities": {"alwaysMatch": capabilities}});
        let reply = client.send(Method::POST, "/session", Some(&body)).await?;
        let Some(session) = reply.body["value"]["sessionId"].as_str() else {
            println!("{browser}, {name}: {}", reply.message());
            continue;
        };
        let path = format!("/session/{session}");
        let run = async |call: &str, body: Value| {
            client.send(Method::POST, &format!("{path}/{call}"), Some(&body)).await
        };
        for (page, script) in pages {
            let opened = run("url", json!({"url": fill(page)})).await?;
            let done = run(
                "execute/sync",
                json!({"script": format!("return {}", fill(script)), "args": []}),
            )
            .await?;
            println!("{browser}, {name}: {} {}", opened.status, done.body["value"]);
        }
        if browser == "firefox" && name == "about:config" {
            let chrome = run("moz/context", json!({"context": "chrome"})).await?;
            let script = "Services.prefs.setIntPref('network.proxy.type', 0)";
            let done = run("execute/sync", json!({"script": script, "args": []})).await?;
            println!("{browser}, {name}: {} {}", chrome.status, done.body["value"]);
            run("moz/context", json!({"context": "content"})).await?;
        }
        client
            .open(session, &front)
            .await
            .with_context(|| format!("{browser}, {name}: the front"))?;
        let fetch = "const [url, done] = arguments; fetch(url, {mode: 'no-cors'}).then(() => done('answered'), done)";
        run("execute/async", json!({"script": fetch, "args": [format!("http://{at}/")]})).await?;
        run("url", json!({"url": format!("http://{at}/")})).await?;
        client.delete(&path).await?;
    }
    let heard = listeners::heard(own, other, &ip.to_string(), CONTROL).await?;
    let found: BTreeSet<_> =
        names.into_iter().filter(|(port, _)| heard.contains(port)).map(|(_, name)| name).collect();
    ensure!(found.is_empty(), "{browser}: a client has a way around: {found:?}");
    Ok(())
}

/// The agent's port, the driver's, DevTools', and whatever else is open there.
pub async fn reach_no_port_of_the_pod(run: &Run<'_>, browser: &str) -> Result<()> {
    let table = exec(&run.own.name, &run.live.pod, "cat /proc/net/tcp /proc/net/tcp6").await?;
    let listening = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        // The rest is the table's own listener.
        (state == "0A" && !(FIRST_PORT..FIRST_PORT + listeners::PORTS).contains(&port))
            .then_some(port)
    };
    let ports: BTreeSet<u16> = table.lines().filter_map(listening).collect();
    ensure!(ports.contains(&4444) && ports.len() > 2, "{browser}: {ports:?}");
    let own = run.live.ip.as_str();
    for port in &ports {
        for host in ["127.0.0.1", "localhost", own] {
            let url = json!({"url": format!("http://{host}:{port}/")});
            let path = format!("/session/{}/url", run.live.id);
            let reply = run.client.send(Method::POST, &path, Some(&url)).await?;
            // Chrome's own page for a port that it never opens is no error of the navigation.
            let said = if reply.status == 500 {
                reply.message().to_owned()
            } else {
                let text = "return document.documentElement.textContent";
                run.client.script(&run.live.id, text, json!([])).await?.to_string()
            };
            let refusals = ["loopback", "own pod", "deniedPortAccess", "ERR_UNSAFE_PORT"];
            ensure!(
                refusals.iter().any(|words| said.contains(words)),
                "{browser} {host}:{port}: {said}"
            );
        }
    }
    run.client.open(&run.live.id, &front_url(run.own)).await?;
    let script = r"
        const [addresses, done] = arguments;
        Promise.all(addresses.map(address => new Promise(said => {
            const socket = new WebSocket(`ws://${address}/session`);
            socket.onopen = () => said(address);
            socket.onerror = () => said(null);
        }))).then(said => done(said.filter(address => address)));
    ";
    let addresses: Vec<String> = ports
        .iter()
        .flat_map(|port| ["127.0.0.1", own].map(|host| format!("{host}:{port}")))
        .collect();
    let path = format!("/session/{}/execute/async", run.live.id);
    let open = run.client.post(&path, json!({"script": script, "args": [addresses]})).await?;
    ensure!(open == json!([]), "{browser}: sockets to {open}");
    Ok(())
}
