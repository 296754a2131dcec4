//! A spec's free-form fields, and the names of its fields in refusals.

use crds::{BrowserSessionSpec, Reason, session::MAX_FREE_BYTES};
use serde_json::Value;
use webdriver::capabilities::CAPABILITY_PARAMETERS;

use crate::refusal::{Refusal, refuse};

pub(crate) const CAPABILITIES: &str = "spec.capabilities";
const PARAMETERS: &str = "spec.newSessionParameters";

pub(crate) fn check_fields(spec: &BrowserSessionSpec) -> Result<(), Refusal> {
    for (field, value) in
        [("spec.userMetadata", &spec.user_metadata), (PARAMETERS, &spec.new_session_parameters)]
    {
        let Some(value) = value else { continue };
        let bytes = Value::Object(value.clone()).to_string().len();
        if bytes > MAX_FREE_BYTES {
            return refuse(
                Reason::FieldInvalid,
                field,
                format!("has {bytes} bytes as JSON; it may have {MAX_FREE_BYTES}"),
            );
        }
    }
    let parameters = spec.new_session_parameters.iter().flatten();
    match parameters
        .map(|(name, _)| name)
        .find(|name| CAPABILITY_PARAMETERS.contains(&name.as_str()))
    {
        Some(name) => refuse(
            Reason::FieldInvalid,
            PARAMETERS,
            format!("{name}: what the browser must be able to do stands in {CAPABILITIES}"),
        ),
        None => Ok(()),
    }
}
