//! Commands that would give pages a proxy of the client's, past the session's routes.

use serde_json::Value;
use webdriver::{
    bidi::Command,
    error::{ErrorCode, WebDriverError},
};

use crate::dev_tools::{OWN_PROXY, gives_own_proxy, may_give_own_proxy};

/// Why a command is not for the browser: it would give pages a proxy of the client's, past the session's routes.
pub fn error(command: &Command<'_>, text: &str) -> Option<WebDriverError> {
    let words = match command.method.as_str() {
        "browser.createUserContext" if command.params().contains_key("proxy") => {
            "browser.createUserContext: proxy is not available in this version: where requests go is for spec.proxy and the \
             capability proxy to say"
        }
        "goog:cdp.sendCommand" if may_give_own_proxy(text) => {
            let params = command.params();
            let method = params.get("method").and_then(Value::as_str);
            method.is_some_and(gives_own_proxy).then_some(OWN_PROXY)?
        }
        _ => return None,
    };
    Some(WebDriverError::new(ErrorCode::UnsupportedOperation, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use webdriver::bidi::{ClientMessage, parse};

    #[test]
    fn a_proxy_of_the_clients_is_refused() {
        for (text, refused) in [
            (
                r#"{"id":1,"method":"browser.createUserContext","params":{"proxy":{"proxyType":"direct"}}}"#,
                true,
            ),
            (r#"{"id":1,"method":"browser.createUserContext","params":{"pro\u0078y":{}}}"#, true),
            (r#"{"id":1,"method":"browser.createUserContext","params":{}}"#, false),
            (
                r#"{"id":1,"method":"goog:cdp.sendCommand","params":{"method":"Target.createBrowserContext","params":{"proxyServer":"x"}}}"#,
                true,
            ),
            (
                r#"{"id":1,"method":"goog:cdp.sendCommand","params":{"method":"Target.createBrowserContext","params":{}}}"#,
                false,
            ),
            (
                r#"{"id":1,"method":"goog:cdp.sendCommand","params":{"method":"Runtime.evaluate","params":{"expression":"createBrowserContext proxyServer"}}}"#,
                false,
            ),
        ] {
            let ClientMessage::Command(command) = parse(text) else { panic!("{text}") };
            assert_eq!(error(&command, text).is_some(), refused, "{text}");
        }
    }
}
