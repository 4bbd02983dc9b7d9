//! Faults: what the world did to a letter. Failure is mail too.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Why a letter came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    /// What was being done, for people: `"rtpengine offer"`.
    pub what: Cow<'static, str>,
    /// Whether the same letter might succeed if posted again.
    pub retry: bool,
}

/// Kinds of fault; one table in `call` turns a kind into a SIP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// No answer within the deadline.
    Timeout,
    /// Nobody lives at the address and this letter cannot found anybody.
    NoSuchActor,
    /// The flow (connection or socket) is gone or refused the bytes.
    FlowGone,
    /// A limit was reached: queue, table, sessions.
    Overload,
    /// The other side exists and said no, or answered nonsense.
    Refused,
    /// Nothing of the kind is configured or healthy.
    Unavailable,
    /// The chain of letters was longer than `HOPS_MAX`.
    Loop,
}

impl Fault {
    pub fn new(kind: FaultKind, what: impl Into<Cow<'static, str>>) -> Fault {
        Fault { kind, what: what.into(), retry: false }
    }

    pub fn timeout(what: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(FaultKind::Timeout, what)
    }

    pub fn unavailable(what: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(FaultKind::Unavailable, what)
    }

    pub fn refused(what: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(FaultKind::Refused, what)
    }

    /// Marks whether trying again could help.
    pub fn retry(mut self, retry: bool) -> Fault {
        self.retry = retry;
        self
    }
}
