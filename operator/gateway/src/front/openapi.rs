//! `GET /openapi.json`: both faces, as they are served.

/// The document.
pub fn document() -> &'static str {
    include_str!("openapi.json")
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
