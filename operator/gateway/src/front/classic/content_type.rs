//! Which content types a command may have.

use http::{HeaderMap, HeaderValue, header};
use webdriver::error::WebDriverError;

/// Refuses what a web page can send without a CORS preflight, as geckodriver does; clients send JSON, or no type.
pub fn check_content_type(headers: &HeaderMap) -> Result<(), WebDriverError> {
    let sent = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let sent = String::from_utf8_lossy(sent);
    let essence = sent.split(';').next().unwrap_or_default().trim();
    let is_form = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
        .iter()
        .any(|form| essence.eq_ignore_ascii_case(form));
    if is_form {
        return Err(WebDriverError::invalid_argument(format!(
            "Content-Type is {essence}; it must be application/json, or absent"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_can_send_is_no_command() {
        for (content_type, allowed) in [
            ("application/json", true),
            ("application/json;charset=UTF-8", true),
            ("application/vnd.api+json", true),
            ("text/plain", false),
            ("Text/Plain; charset=utf-8", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data; boundary=x", false),
        ] {
            let value = HeaderValue::from_static(content_type);
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value)]);
            assert_eq!(check_content_type(&headers).is_ok(), allowed, "{content_type}");
        }
        assert!(check_content_type(&HeaderMap::new()).is_ok());
    }
}
