//! Objects that tests create.

use anyhow::{Context, Result};
use crds::{BrowserClass, BrowserSession};
use serde_json::{Value, json};

/// A session with this spec.
///
/// # Panics
/// The spec is no BrowserSession's.
#[must_use]
pub fn session(name: &str, spec: Value) -> BrowserSession {
    serde_json::from_value(session_json(name, spec)).expect("a test's spec is a session's")
}

/// The same as JSON, for specs that the types here would not let through.
#[must_use]
pub fn session_json(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "browser-operator.io/v1alpha1",
        "kind": "BrowserSession",
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// The default class under another name, with some fields changed. It is not the default.
pub fn class_like_the_default(
    default: &BrowserClass,
    name: &str,
    fields: Value,
) -> Result<BrowserClass> {
    let mut spec = serde_json::to_value(&default.spec).context("a class is JSON")?;
    let (Value::Object(spec_fields), Value::Object(fields)) = (&mut spec, fields) else {
        anyhow::bail!("fields must be an object");
    };
    spec_fields.extend(fields);
    serde_json::from_value(json!({
        "apiVersion": "browser-operator.io/v1alpha1",
        "kind": "BrowserClass",
        "metadata": {"name": name},
        "spec": spec,
    }))
    .context("the class's fields")
}
