//! What hosted services offer and this version has not: each has its one place here, where it will be honoured. What
//! does no harm is accepted; what was asked for is refused by name, because a program that asked for it counts on it.

use serde_json::Value;

use super::fields::Fields;

const REFUSED: &str = "not_available";

fn refuse(fields: &mut Fields, name: &str, instead: &str) {
    fields.fault(name, REFUSED, format!("is not available in this version: {instead}"));
}

/// A field that is refused wherever it has a value that asks for something.
fn unless(fields: &mut Fields, name: &str, harmless: &[Value], instead: &str) {
    if fields.value(name).is_some_and(|value| !harmless.contains(&value)) {
        refuse(fields, name, instead);
    }
}

/// Whether an entry of a list of proxies leads straight to the server.
fn is_direct(proxy: &Value) -> bool {
    proxy.get("type").is_some_and(|kind| kind == "none")
}

/// `proxies`, `customProxy`, `proxyCountryCode` and the like: `spec.proxy`.
pub fn proxy(fields: &mut Fields, name: &str) {
    match fields.value(name) {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(Value::Array(proxies)) if proxies.iter().all(is_direct) => {}
        Some(Value::Array(_) | Value::Object(_) | Value::String(_) | Value::Bool(true)) => {
            refuse(fields, name, "traffic goes straight to its server; leave it out");
        }
        Some(_) => fields.fault(name, "value_error", "must be true, false or a list of proxies"),
    }
}

/// `context`, `profileId`: `spec.context`.
pub fn context(fields: &mut Fields, name: &str) {
    unless(fields, name, &[Value::Null], "no profile outlives its session; leave it out");
}

/// `extensionId`, `extensionIds`: `spec.extensions`.
pub fn extension(fields: &mut Fields, name: &str) {
    unless(fields, name, &[Value::Null, Value::Array(Vec::new())], "leave it out");
}

/// `blockAds`: `spec.blockAds`.
pub fn block_ads(fields: &mut Fields, name: &str) {
    switch(fields, name);
}

/// `recordSession`, `enableRecording`: `spec.record`.
pub fn record(fields: &mut Fields, name: &str) {
    switch(fields, name);
}

/// `logSession`: `spec.log`.
pub fn log(fields: &mut Fields, name: &str) {
    switch(fields, name);
}

/// `allowedDomains`: `spec.allowedDomains`.
pub fn allowed_domains(fields: &mut Fields, name: &str) {
    unless(fields, name, &[Value::Array(Vec::new())], "every domain is allowed; leave it out");
}

/// `pdfRendererEnabled`: a PDF is shown in its tab.
pub fn pdf_renderer(fields: &mut Fields, name: &str) {
    if fields.boolean(name) == Some(false) {
        refuse(fields, name, "leave it out, or true");
    }
}

fn switch(fields: &mut Fields, name: &str) {
    if fields.boolean(name) == Some(true) {
        refuse(fields, name, "leave it out, or false");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_no_harm_passes_and_what_was_asked_for_is_named() {
        type Read = fn(&mut Fields, &str);
        let cases: [(Read, Value, bool); 14] = [
            (proxy, json!(false), true),
            (proxy, json!([]), true),
            (proxy, json!([{"type": "none"}]), true),
            (proxy, json!(true), false),
            (proxy, json!([{"type": "none"}, {"type": "browserbase"}]), false),
            (proxy, json!("us"), false),
            (proxy, json!(7), false),
            (context, json!({"id": "c"}), false),
            (context, json!(null), true),
            (extension, json!([]), true),
            (extension, json!("e"), false),
            (record, json!(false), true),
            (record, json!(true), false),
            (record, json!("yes"), false),
        ];
        for (read, value, passes) in cases {
            let body = json!({"field": value}).to_string();
            let mut fields = Fields::of_body(body.as_bytes(), false).unwrap();
            read(&mut fields, "field");
            let done = fields.done();
            assert_eq!(done.is_ok(), passes, "{body}");
            if let Err(problem) = done {
                assert!(problem.message().starts_with("field: "), "{}", problem.message());
            }
        }
    }
}
