//! A session's client: it uses what it got, over whichever gateway is there.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::{
    journal::Journal,
    plan::{Browser, Origin},
    random::Random,
    testbed::Testbed,
};
use crate::Bidi;

/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    Done,
    /// The connection broke, or the session has ended.
    Failed,
}

pub struct Client {
    /// The WebDriver session id.
    pub id: String,
    /// Its BiDi socket, while one is open.
    pub socket: Option<Bidi>,
}

impl Client {
    /// Sends a random command over a protocol that the session has.
    pub async fn command(
        &mut self,
        testbed: &Testbed<'_>,
        journal: &Journal,
        random: &mut Random,
    ) -> Result<CommandOutcome> {
        let plan = &journal.plan;
        let over_bidi = plan.bidi && (plan.origin == Origin::Bidi || random.percent(50));
        let outcome = if over_bidi {
            self.over_bidi(testbed, journal, random).await?
        } else {
            self.over_classic(testbed, journal, random).await?
        };
        Ok(match outcome {
            Ok(()) => CommandOutcome::Done,
            Err(error) => {
                journal.failed(&format!("{error:#}"));
                CommandOutcome::Failed
            }
        })
    }

    async fn over_classic(
        &self,
        testbed: &Testbed<'_>,
        journal: &Journal,
        random: &mut Random,
    ) -> Result<Result<()>> {
        let gateway = testbed.gateway(random).await?;
        let classic = testbed.client(&gateway).await?;
        let path = format!("/session/{}", self.id);
        let opens = journal.plan.browser != Browser::Echo && random.percent(30);
        let (method, path, body) = match random.below(2) {
            _ if opens => {
                let page = json!({"url": testbed.namespace.cluster.page("/")});
                (Method::POST, format!("{path}/url"), Some(page))
            }
            0 => (Method::GET, format!("{path}/title"), None),
            _ => {
                let script = json!({"script": "return 1", "args": []});
                (Method::POST, format!("{path}/execute/sync"), Some(script))
            }
        };
        let sent = timeout(COMMAND_TIMEOUT, classic.value(method, &path, body.as_ref())).await;
        Ok(sent.context("no answer to a command").flatten().map(drop))
    }

    async fn over_bidi(
        &mut self,
        testbed: &Testbed<'_>,
        journal: &Journal,
        random: &mut Random,
    ) -> Result<Result<()>> {
        if let Err(error) = self.open(testbed, journal, random).await? {
            return Ok(Err(error));
        }
        let Some(socket) = &mut self.socket else { return Ok(Ok(())) };
        let asked =
            timeout(COMMAND_TIMEOUT, socket.command("browsingContext.getTree", json!({}))).await;
        let outcome = asked.context("no answer to a BiDi command").flatten().map(drop);
        if outcome.is_err() {
            self.await_close(journal).await;
        }
        Ok(outcome)
    }

    /// Opens a socket if there is none. A session created on a bare socket cannot open another.
    pub async fn open(
        &mut self,
        testbed: &Testbed<'_>,
        journal: &Journal,
        random: &mut Random,
    ) -> Result<Result<()>> {
        if self.socket.is_some() {
            return Ok(Ok(()));
        }
        if journal.plan.origin == Origin::Bidi {
            return Ok(Err(anyhow::anyhow!("its only socket is gone")));
        }
        let gateway = testbed.gateway(random).await?;
        let url = format!("ws://{}/session/{}", gateway.authority, self.id);
        let opened = timeout(COMMAND_TIMEOUT, Bidi::connect(&url)).await;
        match opened.context("no answer to a handshake").flatten() {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(()))
    }

    /// Waits for the Close frame and notes its reason; the socket is gone afterwards.
    pub async fn await_close(&mut self, journal: &Journal) {
        let Some(mut socket) = self.socket.take() else { return };
        match socket.closed(COMMAND_TIMEOUT).await {
            Ok(Some(frame)) => {
                journal.log(format!("the socket was closed: {frame:?}"));
                if crds::Reason::parse(&frame.reason).is_some() {
                    journal.told(&frame.reason);
                }
            }
            Ok(None) => journal.log("the socket was closed"),
            Err(error) => journal.log(format!("the socket: {error:#}")),
        }
    }
}
