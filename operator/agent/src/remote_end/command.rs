//! Running a WebDriver command of the session.

use std::path::Path;

use agent_api::bind::Driver;
use crds::Reason;
use http::Method;
use net::{body::drain, request::IncomingRequest};
use serde_json::json;
use tokio::time::Instant;
use warp::reply::Response;
use webdriver::error::{ErrorCode, WebDriverError};

use super::{
    driver_reply, driver_request,
    file_upload::{self, UploadError},
    replies::{failure, refuse, refuse_body, session_ended, success, unknown_command},
};
use crate::{
    dev_tools::{self, BROWSER_CLOSE, CommandEffect},
    egress::Mark,
    session::{Session, navigation},
    state::AgentState,
};

/// Where uploads are kept: the one place that may be written to.
const UPLOADS: &str = "/tmp";

/// Runs a command. `rest` is its path behind the session's id.
pub async fn run(
    state: &AgentState,
    session: &Session,
    rest: &str,
    incoming: IncomingRequest,
) -> Response {
    let _running = session.activity.start_command();
    let end = state.end_policy.latch();
    if let Some(error) = foreign_vendor_error(session.driver.kind(), rest) {
        return refuse(incoming, error).await;
    }
    let is_post = incoming.method == Method::POST;
    if is_post && matches!(rest, "/se/file" | "/file") {
        let _one_at_a_time = state.uploading.lock().await;
        return match file_upload::store(incoming.body, Path::new(UPLOADS)).await {
            Ok(path) => success(&json!(path.to_string_lossy())),
            Err(UploadError::Body(error)) => refuse_body(&error),
            Err(error) => failure(&error.into()),
        };
    }
    let closes_window = incoming.method == Method::DELETE && rest == "/window";
    let mut incoming = match driver_request::prepare(incoming, rest).await {
        Ok(incoming) => incoming,
        Err(error) => return refuse_body(&error),
    };
    match dev_tools::execute_effect(&mut incoming, rest).await {
        Ok(CommandEffect::None) => {}
        Ok(CommandEffect::ClosesPage) => {
            session.activity.closing_windows().may_close_last(Instant::now());
        }
        Ok(CommandEffect::ClosesBrowser) => {
            end.set(Reason::ClientEnded, BROWSER_CLOSE);
            return success(&json!({}));
        }
        Err(error) => return refuse_body(&error),
    }
    let navigation = (is_post && rest == "/url").then(|| state.egress.lost_pages().mark());
    let closing_window = closes_window.then(|| session.activity.start_closing_window());
    match driver_request::send(session, rest, incoming).await {
        Ok(response) => {
            if let Some(mark) = navigation
                && response.status().is_success()
                && let Some(why) = lost_page(state, session, mark).await
            {
                drain(response.into_body()).await;
                return failure(&WebDriverError::new(ErrorCode::UnknownError, why));
            }
            driver_reply::handle(&state.end_policy, session, response, closing_window).await
        }
        Err(error) if end.is_set() => {
            tracing::debug!(error = &error as &dyn std::error::Error, "during the end");
            session_ended(end)
        }
        Err(error) => match error.of_body() {
            Some(fault) => refuse_body(&fault),
            None => failure(&WebDriverError::new(
                ErrorCode::UnknownError,
                format!("the driver gave no answer: {error}"),
            )),
        },
    }
}

async fn lost_page(state: &AgentState, session: &Session, mark: Mark) -> Option<String> {
    let (pages, driver_session) = (state.egress.lost_pages(), &session.driver_session.id);
    navigation::lost(pages, mark, &session.driver, driver_session).await
}

/// The error for a vendor's command that is sent to another vendor's browser.
fn foreign_vendor_error(driver: Driver, rest: &str) -> Option<WebDriverError> {
    let vendor = rest.split('/').nth(1)?;
    match (driver, vendor) {
        (Driver::Geckodriver, "goog" | "chromium" | "ms") => Some(unknown_command(
            "this browser is Firefox, which has no Chrome DevTools Protocol and none of Chrome's commands",
        )),
        (Driver::Chromedriver, "moz") => {
            Some(unknown_command("this browser is Chrome, which has none of Firefox' commands"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendors_command_is_of_its_own_browser_alone() {
        for (driver, rest, refused) in [
            (Driver::Geckodriver, "/goog/cdp/execute", true),
            (Driver::Geckodriver, "/moz/context", false),
            (Driver::Chromedriver, "/goog/cdp/execute", false),
            (Driver::Chromedriver, "/moz/context", true),
            (Driver::Chromedriver, "/url", false),
        ] {
            assert_eq!(foreign_vendor_error(driver, rest).is_some(), refused, "{driver:?} {rest}");
        }
    }
}
