//! What became of a navigation: the driver calls it done when the agent's own page stands there, too, which says why the
//! server's does not.

use agent_api::bind::Driver;
use http::Method;

use crate::{
    driver::DriverClient,
    egress::{ErrorKind, LostPages, Mark},
};

/// Why the page of a navigation is not the server's, in the words that the browser would have for it. `driver_session` is the
/// driver's id of the session.
pub async fn lost(
    pages: &LostPages,
    mark: Mark,
    driver: &DriverClient,
    driver_session: &str,
) -> Option<String> {
    if !pages.any_since(mark) {
        return None;
    }
    let path = format!("/session/{driver_session}/url");
    let url = driver.command(Method::GET, &path, None).await.ok()?;
    let (kind, why) = pages.since(mark, url.as_str()?)?;
    Some(words(driver.kind(), kind, &why))
}

/// As the driver says it of a failure that it sees itself.
pub fn words(driver: Driver, ErrorKind { chrome, firefox }: ErrorKind, why: &str) -> String {
    match driver {
        Driver::Chromedriver => format!("unknown error: {chrome}: {why}"),
        Driver::Geckodriver => format!("Reached error page: about:neterror?e={firefox}: {why}"),
    }
}
