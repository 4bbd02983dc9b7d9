//! Why a port could not start.

use std::fmt;

/// What was being set up and what the system said; ends the boot with both.
#[derive(Debug)]
pub struct StartError {
    what: String,
    cause: String,
}

impl StartError {
    pub fn new(what: impl Into<String>, cause: impl fmt::Display) -> StartError {
        StartError { what: what.into(), cause: cause.to_string() }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

impl std::error::Error for StartError {}
