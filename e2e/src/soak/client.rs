//! A session's client: it uses what it got, over whichever gateway is there.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::{
    plan::{Birth, Browser},
    random::Random,
    record::Record,
    stage::Stage,
};
use crate::Bidi;

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(30);

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Done,
    /// It was not, for the connection or for the session.
    Broke,
}

/// A client with its session.
pub struct Client {
    /// WebDriver's id.
    pub id: String,
    /// Its socket, while there is one.
    pub socket: Option<Bidi>,
}

impl Client {
    /// Sends some command, over whichever protocol there is.
    pub async fn command(
        &mut self,
        stage: &Stage<'_>,
        record: &Record,
        random: &mut Random,
    ) -> Result<Said> {
        let plan = &record.plan;
        let over_bidi = plan.bidi && (plan.birth == Birth::Bidi || random.percent(50));
        let outcome = if over_bidi {
            self.over_bidi(stage, record, random).await?
        } else {
            self.over_classic(stage, record, random).await?
        };
        Ok(match outcome {
            Ok(()) => Said::Done,
            Err(error) => {
                record.broke(&format!("{error:#}"));
                Said::Broke
            }
        })
    }

    async fn over_classic(
        &self,
        stage: &Stage<'_>,
        record: &Record,
        random: &mut Random,
    ) -> Result<Result<()>> {
        let gateway = stage.gateway(random).await?;
        let classic = stage.client(&gateway).await?;
        let path = format!("/session/{}", self.id);
        let opens = record.plan.browser != Browser::Echo && random.percent(30);
        let (method, path, body) = match random.below(2) {
            _ if opens => {
                let page = json!({"url": stage.namespace.cluster.page("/")});
                (Method::POST, format!("{path}/url"), Some(page))
            }
            0 => (Method::GET, format!("{path}/title"), None),
            _ => {
                let script = json!({"script": "return 1", "args": []});
                (Method::POST, format!("{path}/execute/sync"), Some(script))
            }
        };
        let sent = timeout(COMMAND, classic.value(method, &path, body.as_ref())).await;
        Ok(sent.context("no answer to a command").flatten().map(drop))
    }

    async fn over_bidi(
        &mut self,
        stage: &Stage<'_>,
        record: &Record,
        random: &mut Random,
    ) -> Result<Result<()>> {
        if let Err(error) = self.open(stage, record, random).await? {
            return Ok(Err(error));
        }
        let Some(socket) = &mut self.socket else { return Ok(Ok(())) };
        let asked = timeout(COMMAND, socket.command("browsingContext.getTree", json!({}))).await;
        let outcome = asked.context("no answer to a BiDi command").flatten().map(drop);
        if outcome.is_err() {
            self.hear(record).await;
        }
        Ok(outcome)
    }

    /// Opens a socket, if there is none. A session that was made on a bare socket has that one and no other.
    pub async fn open(
        &mut self,
        stage: &Stage<'_>,
        record: &Record,
        random: &mut Random,
    ) -> Result<Result<()>> {
        if self.socket.is_some() {
            return Ok(Ok(()));
        }
        if record.plan.birth == Birth::Bidi {
            return Ok(Err(anyhow::anyhow!("its only socket is gone")));
        }
        let gateway = stage.gateway(random).await?;
        let url = format!("ws://{}/session/{}", gateway.authority, self.id);
        let opened = timeout(COMMAND, Bidi::connect(&url)).await;
        match opened.context("no answer to a handshake").flatten() {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(()))
    }

    /// Hears what the other end says at last, if it says something; there is no socket after that.
    pub async fn hear(&mut self, record: &Record) {
        let Some(mut socket) = self.socket.take() else { return };
        match socket.closed(COMMAND).await {
            Ok(Some(frame)) => {
                record.tell(format!("the socket was closed: {frame:?}"));
                if crds::Reason::parse(&frame.reason).is_some() {
                    record.heard(&frame.reason);
                }
            }
            Ok(None) => record.tell("the socket was closed"),
            Err(error) => record.tell(format!("the socket: {error:#}")),
        }
    }
}
