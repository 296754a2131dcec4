//! Why a request is refused or has failed. Each service renders it in its own shape.

use http::StatusCode;

/// What is wrong with one part of a body or query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `body` or `query`, then names and indices.
    pub path: Vec<String>,
    /// For a person: what it is, and what it may be.
    pub message: String,
    /// In one word, as pydantic has them.
    pub kind: &'static str,
}

impl Fault {
    /// `browserSettings.viewport.width`, without what all have in common.
    pub fn name(&self) -> String {
        self.path.iter().skip(1).cloned().collect::<Vec<_>>().join(".")
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The body or the query is not what it must be.
    Invalid(Vec<Fault>),
    /// It is well-formed, but cannot be had in this cluster.
    Refused(String),
    /// No key, or one that is none.
    Unauthenticated(String),
    /// A key without the right.
    Forbidden(String),
    /// Nothing of this caller's has this name.
    NotFound(String),
    /// It has been, and has ended.
    Gone(String),
    /// There is no room now.
    Full(String),
    /// Not this gateway's to do, now or ever.
    NotImplemented(String),
    /// No method of that name at this path.
    MethodNotAllowed,
    /// It should have worked.
    Failed(String),
}

impl Problem {
    /// One fault.
    pub fn fault(path: &[&str], kind: &'static str, message: impl Into<String>) -> Self {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Self::Invalid(vec![Fault { path, message: message.into(), kind }])
    }

    /// For a person.
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
            | Self::Full(message)
            | Self::NotImplemented(message)
            | Self::Failed(message) => message.clone(),
            Self::MethodNotAllowed => "this path has no such method".to_owned(),
        }
    }

    /// The status; `invalid` is the service's own for a body or a query that is not what it must be.
    pub fn status(&self, invalid: StatusCode) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Refused(_) => invalid,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Gone(_) => StatusCode::GONE,
            Self::Full(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
