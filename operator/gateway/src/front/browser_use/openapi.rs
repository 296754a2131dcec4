//! This front's part of `/openapi.json`.

use serde_json::{Map, Value};

use super::{
    create::{CreateBrowser, CreateSession},
    list,
    resource::Resource,
    stop::Stop,
    view::{Browser, Session},
};
use crate::front::hosted::{fields::describe, response_schema::response_schema};

pub fn paths() -> Map<String, Value> {
    let mut paths: Map<String, Value> =
        serde_json::from_str(include_str!("openapi.json")).expect("a test parses this file");
    paths["/api/v2/sessions"]["get"]["parameters"] = list::parameters(Resource::Sessions);
    paths["/api/v2/browsers"]["get"]["parameters"] = list::parameters(Resource::Browsers);
    for path in ["browsers", "browsers/{id}"] {
        let operations = paths[&format!("/api/v2/{path}")].clone();
        for version in ["v3", "v4"] {
            paths.insert(format!("/api/{version}/{path}"), operations.clone());
        }
    }
    paths
}

/// `CreateSession` and `Session` are Browserbase's in the document.
pub fn schemas() -> [(&'static str, Value); 5] {
    [
        ("CreateSessionV2", describe::<CreateSession>()),
        ("CreateBrowser", describe::<CreateBrowser>()),
        ("Stop", describe::<Stop>()),
        ("SessionV2", response_schema::<Session>()),
        ("Browser", response_schema::<Browser>()),
    ]
}
