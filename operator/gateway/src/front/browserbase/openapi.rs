//! This front's part of `/openapi.json`.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::{create::CreateSession, list, release::ReleaseSession, view::Session};
use crate::front::hosted::fields::describe;

pub fn paths() -> Map<String, Value> {
    let mut paths: Map<String, Value> =
        serde_json::from_str(include_str!("openapi.json")).expect("a test parses this file");
    paths["/v1/sessions"]["get"]["parameters"] = list::parameters();
    paths
}

pub fn schemas() -> [(&'static str, Value); 3] {
    let settings = SchemaSettings::openapi3().for_serialize().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut session = settings.into_generator().into_root_schema_for::<Session>();
    session.remove("title");
    [
        ("CreateSession", describe::<CreateSession>()),
        ("ReleaseSession", describe::<ReleaseSession>()),
        ("Session", session.to_value()),
    ]
}
