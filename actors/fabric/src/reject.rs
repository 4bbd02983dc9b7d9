//! A SIP refusal as a value: the peer is wrong, and this is the answer it gets.

use serde::{Deserialize, Serialize};
use sip::{Name, Status};

/// Status and the header fields that explain it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    pub status: Status,
    /// Reason phrase in place of the RFC's.
    pub reason: Option<String>,
    /// Extra header fields (Min-Expires, Unsupported, Retry-After ...): name and value.
    pub headers: Vec<(String, String)>,
}

impl Reject {
    pub fn new(status: Status) -> Reject {
        Reject { status, reason: None, headers: Vec::new() }
    }

    pub fn reason(mut self, reason: impl Into<String>) -> Reject {
        self.reason = Some(reason.into());
        self
    }

    pub fn header(mut self, name: Name, value: impl Into<String>) -> Reject {
        self.headers.push((name.text().to_owned(), value.into()));
        self
    }

    /// Shortest lifetime that would have been accepted, seconds (RFC 3261 20.23).
    pub fn min_expires(self, seconds: u32) -> Reject {
        self.header(Name::MinExpires, seconds.to_string())
    }
}
