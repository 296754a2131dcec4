//! This front's part of `/openapi.json`.

use serde_json::{Map, Value};

use super::{create::CreateSession, list, release::ReleaseSession, view::Session};
use crate::front::hosted::{fields::describe, response_schema::response_schema};

pub fn paths() -> Map<String, Value> {
    let mut paths: Map<String, Value> =
        serde_json::from_str(include_str!("openapi.json")).expect("a test parses this file");
    paths["/v1/sessions"]["get"]["parameters"] = list::parameters();
    paths
}

pub fn schemas() -> [(&'static str, Value); 3] {
    [
        ("CreateSession", describe::<CreateSession>()),
        ("ReleaseSession", describe::<ReleaseSession>()),
        ("Session", response_schema::<Session>()),
    ]
}
