//! The Status command (A.3).

use anyhow::{Result, ensure};

use crate::{
    fixture::Fixture,
    rule::{Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.3", "status tells ready and a message", told),
        rule("A.3", "status is ready while sessions exist and more can be had", ready),
    ]
}

async fn told(fixture: &Fixture) -> Result<()> {
    let status = fixture.get("/status").await?;
    ensure!(status["ready"].is_boolean() && status["message"].is_string(), "{status}");
    Ok(())
}

/// Of an endpoint it would be false; we are an intermediary ("its ability to purvey more sessions").
async fn ready(fixture: &Fixture) -> Result<()> {
    let _exists = fixture.plain().await?;
    let status = fixture.get("/status").await?;
    ensure!(status["ready"] == true, "{status}");
    Ok(())
}
