//! Why a session could not be created.

use std::time::Duration;

use crds::Reason;
use placement::Refusal;
use webdriver::error::WebDriverError;

use super::not_ready::NotReady;

#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// No class here can ever have it.
    #[error("{}: {}", .0.reason, .0.message())]
    Refused(Refusal),
    /// The object's schema or rules do not allow it.
    #[error("{0}")]
    Invalid(String),
    /// A ResourceQuota of the namespace does not allow another object.
    #[error("{0}")]
    Quota(String),
    /// It ended before it was Ready, or there is no room and its client does not wait for any.
    #[error("{0}")]
    NotReady(NotReady),
    /// It was not Ready within this time; what its condition said last.
    #[error("no browser within {} seconds: {}", .1.as_secs(), pending_text(.0.as_ref()))]
    TimedOut(Option<NotReady>, Duration),
    /// No controller lives that could give it a browser.
    #[error("{0}")]
    NoController(String),
    /// The API server did not create it.
    #[error("{0}")]
    Cluster(String),
    #[error("this replica is shutting down")]
    ShuttingDown,
}

fn pending_text(pending: Option<&NotReady>) -> String {
    pending.map_or_else(|| "the controller has not said why".to_owned(), ToString::to_string)
}

impl CreateError {
    /// What the API server answered, or that it did not.
    pub fn from_api(error: &kube::Error, namespace: &str) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 422 => Self::Invalid(status.message.clone()),
            kube::Error::Api(status) => {
                let message = format!("namespace {namespace}: {}", status.message);
                if status.code == 403 && message.contains("exceeded quota") {
                    Self::Quota(message)
                } else {
                    Self::Cluster(message)
                }
            }
            other => Self::Cluster(format!("the API server did not answer: {other}")),
        }
    }

    /// Whether the request has a wrong value, rather than asking for what is not to be had.
    fn is_invalid_argument(&self) -> bool {
        match self {
            Self::Invalid(_) => true,
            Self::Refused(refusal) => {
                matches!(refusal.reason, Reason::CapabilitiesInvalid | Reason::FieldInvalid)
            }
            _ => false,
        }
    }
}

impl From<Refusal> for CreateError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<CreateError> for WebDriverError {
    fn from(error: CreateError) -> Self {
        if error.is_invalid_argument() {
            Self::invalid_argument(error.to_string())
        } else {
            Self::session_not_created(error.to_string())
        }
    }
}
