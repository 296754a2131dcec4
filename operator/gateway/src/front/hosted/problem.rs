//! Why a request is refused or has failed. Each service renders it in its own shape.

use std::time::Duration;

use http::StatusCode;

/// What is wrong with one field of a body, or one parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `body`, `query` or `path`, then names and indices.
    pub path: Vec<String>,
    /// What the value must be.
    pub message: String,
    /// One of pydantic's kinds of error, which Browser Use's clients know.
    pub kind: &'static str,
}

impl Fault {
    /// Such as `browserSettings.viewport.width`.
    pub fn name(&self) -> String {
        self.path.iter().skip(1).cloned().collect::<Vec<_>>().join(".")
    }
}

/// Why there is no answer but this. The messages are for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    Invalid(Vec<Fault>),
    /// Valid, but not to be had in this cluster.
    Refused(String),
    Unauthenticated(String),
    Forbidden(String),
    /// Also what belongs to another caller.
    NotFound(String),
    /// The session has ended.
    Gone(String),
    OutOfCapacity(String),
    /// Wrong too often; after how long another try is allowed.
    Throttled(String, Duration),
    NotImplemented(String),
    MethodNotAllowed,
    /// The request's body did not come in time.
    Late(String),
    /// This replica ends; another answers.
    Unavailable(String),
    Failed(String),
}

impl Problem {
    /// `Invalid` with one fault.
    pub fn invalid(path: &[&str], kind: &'static str, message: impl Into<String>) -> Self {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Self::Invalid(vec![Fault { path, message: message.into(), kind }])
    }

    /// Every message, in one line.
    pub fn message(&self) -> String {
        match self {
            Self::Invalid(faults) => {
                let faults: Vec<String> = faults
                    .iter()
                    .map(|fault| match fault.name() {
                        name if name.is_empty() => fault.message.clone(),
                        name => format!("{name}: {}", fault.message),
                    })
                    .collect();
                faults.join("; ")
            }
            Self::Refused(message)
            | Self::Unauthenticated(message)
            | Self::Forbidden(message)
            | Self::NotFound(message)
            | Self::Gone(message)
            | Self::OutOfCapacity(message)
            | Self::Throttled(message, _)
            | Self::NotImplemented(message)
            | Self::Late(message)
            | Self::Unavailable(message)
            | Self::Failed(message) => message.clone(),
            Self::MethodNotAllowed => "this path has no such method".to_owned(),
        }
    }

    /// The status; `invalid` is the service's for requests that are invalid or refused.
    pub fn status(&self, invalid: StatusCode) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Refused(_) => invalid,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Gone(_) => StatusCode::GONE,
            Self::OutOfCapacity(_) | Self::Throttled(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
