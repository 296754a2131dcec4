//! Tried as an attacker would: every row of the table in a real browser, with somebody who would hear it.

mod clients;
mod listeners;
mod rows;
mod run;

use std::{
    collections::BTreeSet,
    io::{Cursor, Write},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{class_like_the_default, with_namespace};
use kube::ResourceExt;
use reqwest::Method;
use serde_json::json;
use zip::{ZipWriter, write::SimpleFileOptions};

use listeners::{FIRST_PORT, PORTS};
use rows::{Prey, ROWS};
use run::{Run, named};

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
                        if access == "namespace" {
                            clients::reach_no_port_of_the_pod(&run, browser).await?;
                            if browser == "firefox" {
                                around(&run).await?;
                            }
                        }
                        own.delete(access).await?;
                        if access == "namespace" {
                            clients::ask_for_no_way_around(&client, &own, &other, &class.name_any(), browser, ip).await?;
                        }
                        Ok(())
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
    assert!(
        ROWS.len() < usize::from(clients::FIRST - FIRST_PORT),
        "a row without a port: {}",
        ROWS.len()
    );
}
