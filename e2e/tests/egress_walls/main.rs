//! Tried as an attacker would: every row of the table in a real browser, with somebody who would hear it.

mod listeners;
mod rows;

use std::{
    collections::BTreeSet,
    io::{Cursor, Write},
    net::Ipv4Addr,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{Classic, Namespace, class_like_the_default, namespace::Live, with_namespace};
use kube::ResourceExt;
use reqwest::Method;
use serde_json::json;
use zip::{ZipWriter, write::SimpleFileOptions};

use listeners::{ELSEWHERE, FIRST_PORT, PORTS, PREY, front_url, name_in};
use rows::{How, On, Prey, ROWS, Row};

/// Runs each script of the page on its own, and waits for all, but for none too long.
const RUN: &str = r#"
    const [scripts, done] = arguments;
    const later = milliseconds => new Promise(over => setTimeout(over, milliseconds));
    const Async = (async () => {}).constructor;
    const run = script => Promise.race([
        new Async("later", script)(later).then(() => "done", error => `${error}`), later(4000).then(() => "late"),
    ]);
    Promise.all(scripts.map(run)).then(said => later(2000).then(() => done(said)));
"#;

/// A table's run in one browser of one class.
struct Run<'a> {
    client: &'a Classic,
    live: &'a Live,
    own: &'a Namespace,
    other: &'a Namespace,
    /// The prey's address.
    ip: Ipv4Addr,
    /// The first port of this run's rows.
    base: u16,
}

impl Run<'_> {
    fn port(&self, index: usize) -> Result<u16> {
        Ok(self.base + u16::try_from(index).context("a row's number")?)
    }

    fn fill(&self, template: &str, port: u16) -> String {
        let [a, b, c, d] = self.ip.octets();
        let wide = |text: String| -> String {
            let wide =
                |c: char| c.to_digit(10).and_then(|n| char::from_u32(0xff10 + n)).unwrap_or(c);
            text.chars().map(wide).collect()
        };
        let name = name_in(self.other, PREY);
        template
            .replace("{ip}", &self.ip.to_string())
            .replace("{decimal}", &u32::from(self.ip).to_string())
            .replace("{hexadecimal}", &format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"))
            .replace("{octal}", &format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"))
            .replace("{wide}", &wide(self.ip.to_string()))
            .replace("{name}", &name)
            .replace("{NAME}", &name.to_uppercase())
            .replace("{elsewhere}", &name_in(self.own, ELSEWHERE))
            .replace("{own}", &self.live.ip)
            .replace("{front}", &front_url(self.own))
            .replace("{port}", &port.to_string())
    }

    /// Tries all rows of that browser.
    async fn attack(&self, browser: &str) -> Result<()> {
        let rows = ROWS.iter().enumerate().filter(|(_, row)| is_on(row, browser));
        let mut scripts = Vec::new();
        for (index, row) in rows {
            let port = self.port(index)?;
            match row.how {
                How::Script(script) => scripts.push(self.fill(script, port)),
                How::Open(url) => {
                    let url = json!({"url": self.fill(url, port)});
                    // It may load its error or not at all.
                    let path = format!("/session/{}/url", self.live.id);
                    self.client.send(Method::POST, &path, Some(&url)).await?;
                }
            }
        }
        self.client.open(&self.live.id, &front_url(self.own)).await?;
        ensure!(self.client.title(&self.live.id).await? == "front", "the front is not reached");
        let path = format!("/session/{}/execute/async", self.live.id);
        let said = self.client.post(&path, json!({"script": RUN, "args": [scripts]})).await?;
        println!("{browser}: {said}");
        Ok(())
    }

    /// The rows that were heard.
    fn heard(&self, prey: Prey, heard: &BTreeSet<u16>) -> Result<BTreeSet<&'static str>> {
        let mut names = BTreeSet::new();
        for (index, row) in ROWS.iter().enumerate() {
            if row.prey == prey && heard.contains(&self.port(index)?) {
                names.insert(row.name);
            }
        }
        Ok(names)
    }
}

fn is_on(row: &Row, browser: &str) -> bool {
    match row.on {
        On::Both => true,
        On::Chrome => browser == "chrome",
    }
}

/// The rows for which that holds.
fn named(browser: &str, holds: impl Fn(&Row) -> bool) -> BTreeSet<&'static str> {
    ROWS.iter().filter(|row| is_on(row, browser) && holds(row)).map(|row| row.name).collect()
}

async fn holds(browser: &'static str, class: &'static str) -> Result<()> {
    with_namespace(async |other| {
        with_namespace(async |own| {
            if own.cluster.settings.proxies_image.is_empty() {
                println!("left out: PROXIES_IMAGE is empty");
                return Ok(());
            }
            let ip = listeners::make(&own, &other).await?.parse().context("an IPv4 cluster")?;
            let client = own.client().await?;
            for access in ["namespace", "all"] {
                let like = own.cluster.classes().get(class).await.context("the browser's class")?;
                let name = format!("{}-{access}", own.name);
                let class = class_like_the_default(&like, &name, json!({"clusterAccess": access}))?;
                let cluster = &own.cluster;
                cluster
                    .with_class(&class, async || {
                        let spec = json!({"className": class.name_any(), "capabilities": {
                            "alwaysMatch": {"browserName": browser, "timeouts": {"pageLoad": 8000, "script": 60000}},
                        }});
                        let live = own.create_ready(access, spec).await?;
                        listeners::listen_inside(&own, &live.pod).await?;
                        let base = if access == "all" { FIRST_PORT + PORTS / 2 } else { FIRST_PORT };
                        let run = Run { client: &client, live: &live, own: &own, other: &other, ip, base };
                        check(&run, browser, access).await?;
                        if browser == "firefox" && access == "namespace" {
                            around(&run).await?;
                        }
                        own.delete(access).await
                    })
                    .await?;
            }
            Ok(())
        })
        .await
    })
    .await
}

async fn check(run: &Run<'_>, browser: &str, access: &str) -> Result<()> {
    run.attack(browser).await?;
    // The last port of each half is no row's.
    let control = run.base + PORTS / 2 - 1;
    let inside = listeners::heard_inside(run.own, &run.live.pod, control).await?;
    let inside = run.heard(Prey::Inside, &inside)?;
    ensure!(inside.is_empty(), "{browser} reaches its own pod: {inside:?}");
    let outside = listeners::heard(run.own, run.other, &run.ip.to_string(), control).await?;
    let outside = run.heard(Prey::Pod, &outside)?;
    if access == "all" {
        let real = named(browser, |row| row.heard_if_open);
        let unheard: Vec<_> = real.difference(&outside).collect();
        ensure!(unheard.is_empty(), "{browser}: no attacks at all: {unheard:?}");
        let never = named(browser, |row| row.prey == Prey::Pod && !row.heard_if_open);
        let left: Vec<_> = never.intersection(&outside).collect();
        println!("{browser}: heard where all is open, though they need not be: {left:?}");
        return Ok(());
    }
    let enforced = run.own.cluster.settings.enforces_network_policy;
    let expected = named(browser, |row| row.policy_alone && !enforced);
    ensure!(outside == expected, "{browser} reaches another namespace: {outside:?}");
    Ok(())
}

/// An extension with the permission `proxy`, which sends everything straight: the NetworkPolicy alone stops it.
fn extension() -> Result<String> {
    let manifest = json!({
        "manifest_version": 2, "name": "around", "version": "1.0",
        "browser_specific_settings": {"gecko": {"id": "around@example.com"}},
        "permissions": ["proxy", "<all_urls>"], "background": {"scripts": ["around.js"]},
    });
    let script =
        "browser.proxy.onRequest.addListener(() => ({type: 'direct'}), {urls: ['<all_urls>']});";
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [("manifest.json", manifest.to_string()), ("around.js", script.to_owned())]
    {
        archive.start_file(name, SimpleFileOptions::default())?;
        archive.write_all(text.as_bytes())?;
    }
    Ok(BASE64_STANDARD.encode(archive.finish()?.into_inner()))
}

async fn around(run: &Run<'_>) -> Result<()> {
    let (client, session) = (run.client, &run.live.id);
    let install = json!({"addon": extension()?, "temporary": true});
    client.post(&format!("/session/{session}/moz/addon/install"), install).await?;
    let [control, port] = [2, 3].map(|before| run.base + PORTS / 2 - before);
    let url = json!({"url": run.fill("http://{ip}:{port}/", port)});
    client.send(Method::POST, &format!("/session/{session}/url"), Some(&url)).await?;
    let heard = listeners::heard(run.own, run.other, &run.ip.to_string(), control).await?;
    let enforced = run.own.cluster.settings.enforces_network_policy;
    ensure!(heard.contains(&port) != enforced, "an extension: policies are enforced: {enforced}");
    Ok(())
}

#[tokio::test]
async fn nothing_that_a_page_in_chrome_does_reaches_what_it_may_not() -> Result<()> {
    holds("chrome", "chromium").await
}

#[tokio::test]
async fn nothing_that_a_page_in_firefox_does_reaches_what_it_may_not() -> Result<()> {
    holds("firefox", "firefox").await
}

#[test]
fn the_table_is_one() {
    let names: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), ROWS.len());
    assert!(ROWS.len() < usize::from(PORTS / 2), "a row without a port: {}", ROWS.len());
}
