//! What provisioning can refuse.

use std::fmt;

/// Why a provisioning function did nothing; the web layer turns it into a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProvisionError {
    /// No such domain, customer, subscriber ...: what was looked for (404).
    NotFound(&'static str),
    /// A value is not acceptable: its field, and why (422).
    Invalid { field: String, message: String },
    /// The value is taken, or something still refers to the thing to be deleted: the field, and what stands in the way (409 or 422).
    Conflict { field: String, message: String },
    /// Too much is waiting already (503).
    Busy,
    /// The central store cannot be reached, or this node's copy of it is not complete (503): what stands in the way.
    Unavailable(String),
    /// The database failed (500).
    Storage(String),
}

impl ProvisionError {
    pub(super) fn invalid(field: impl Into<String>, message: impl Into<String>) -> ProvisionError {
        ProvisionError::Invalid { field: field.into(), message: message.into() }
    }

    pub(super) fn conflict(field: impl Into<String>, message: impl Into<String>) -> ProvisionError {
        ProvisionError::Conflict { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for ProvisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProvisionError::NotFound(what) => write!(f, "no such {what}"),
            ProvisionError::Invalid { field, message } | ProvisionError::Conflict { field, message } => {
                write!(f, "{field}: {message}")
            }
            ProvisionError::Unavailable(why) => write!(f, "nothing can be changed now: {why}"),
            ProvisionError::Busy => write!(f, "the store is busy"),
            ProvisionError::Storage(what) => write!(f, "the store failed: {what}"),
        }
    }
}

impl std::error::Error for ProvisionError {}

impl From<rusqlite::Error> for ProvisionError {
    fn from(error: rusqlite::Error) -> ProvisionError {
        ProvisionError::Storage(error.to_string())
    }
}
