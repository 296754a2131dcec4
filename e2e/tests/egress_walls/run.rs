//! One run of the table: in one browser, of one class.

use std::{collections::BTreeSet, net::Ipv4Addr};

use anyhow::{Context, Result, ensure};
use e2e::{Classic, Namespace, namespace::Live};
use reqwest::Method;
use serde_json::json;

use crate::{
    listeners::{ELSEWHERE, PREY, front_url, name_in},
    rows::{How, On, Prey, ROWS, Row},
};

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
pub struct Run<'a> {
    pub client: &'a Classic,
    pub live: &'a Live,
    pub own: &'a Namespace,
    pub other: &'a Namespace,
    /// The prey's address.
    pub ip: Ipv4Addr,
    /// The first port of this run's rows.
    pub base: u16,
}

impl Run<'_> {
    fn port(&self, index: usize) -> Result<u16> {
        Ok(self.base + u16::try_from(index).context("a row's number")?)
    }

    pub fn fill(&self, template: &str, port: u16) -> String {
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
    pub async fn attack(&self, browser: &str) -> Result<()> {
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
    pub fn heard(&self, prey: Prey, heard: &BTreeSet<u16>) -> Result<BTreeSet<&'static str>> {
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
pub fn named(browser: &str, holds: impl Fn(&Row) -> bool) -> BTreeSet<&'static str> {
    ROWS.iter().filter(|row| is_on(row, browser) && holds(row)).map(|row| row.name).collect()
}
