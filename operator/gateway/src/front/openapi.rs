//! `GET /openapi.json`: the hosted APIs as they are served. Paths come from JSON files beside each front, bodies from the types
//! that read and write them.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{browser_use, browserbase};

/// The document, built once.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| build().to_string());
    &DOCUMENT
}

fn build() -> Value {
    let mut document: Value =
        serde_json::from_str(include_str!("openapi.json")).expect("a test parses this file");
    let paths: Map<String, Value> = [browserbase::openapi::paths(), browser_use::openapi::paths()]
        .into_iter()
        .flatten()
        .collect();
    document["paths"] = paths.into();
    for (name, schema) in
        browserbase::openapi::schemas().into_iter().chain(browser_use::openapi::schemas())
    {
        document["components"]["schemas"][name] = schema;
    }
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::front::{browser_use, browserbase};

    /// Every field of the create calls' own documents.
    const SESSION: [&str; 9] = [
        "projectId",
        "extensionId",
        "browserSettings",
        "timeout",
        "keepAlive",
        "proxies",
        "proxySettings",
        "region",
        "userMetadata",
    ];
    const SETTINGS: [&str; 14] = [
        "context",
        "extensionId",
        "viewport",
        "blockAds",
        "solveCaptchas",
        "recordSession",
        "logSession",
        "advancedStealth",
        "verified",
        "captchaImageSelector",
        "captchaInputSelector",
        "os",
        "ignoreCertificateErrors",
        "allowedDomains",
    ];
    const BROWSER_USE: [&str; 9] = [
        "profileId",
        "proxyCountryCode",
        "startUrl",
        "browserScreenWidth",
        "browserScreenHeight",
        "persistMemory",
        "keepAlive",
        "customProxy",
        "enableRecording",
    ];

    #[test]
    fn every_field_is_described() {
        let document: Value = serde_json::from_str(super::document()).unwrap();
        let schemas = &document["components"]["schemas"];
        let session = &schemas["CreateSession"]["properties"];
        for (fields, properties) in [
            (&SESSION[..], session),
            (&SETTINGS[..], &session["browserSettings"]["properties"]),
            (&BROWSER_USE[..], &schemas["CreateSessionV2"]["properties"]),
        ] {
            for field in fields {
                assert!(properties[field].is_object(), "{field}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_no_schema_is_unused() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }

        let document: Value = serde_json::from_str(super::document()).unwrap();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in &found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/schemas/{name}")), "{name}");
        }
    }

    #[test]
    fn refusals_name_fields_that_there_are() {
        let document: Value = serde_json::from_str(super::document()).unwrap();
        let schemas = &document["components"]["schemas"];
        for (api, schema) in [
            (browserbase::API, &schemas["CreateSession"]),
            (browser_use::API, &schemas["CreateBrowser"]),
        ] {
            for (field, path) in api.body_paths {
                let found = path.iter().fold(schema, |schema, name| &schema["properties"][name]);
                assert!(found.is_object(), "{field}");
            }
        }
    }
}
