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
    use serde_json::Value;

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
}
