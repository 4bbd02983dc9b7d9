//! The one table that turns a fault of the world into a SIP status, and the refusals that calls use.

use fabric::{Fault, FaultKind, Reject};
use sip::{Name, Status};

/// The answer that a request deserves when this fault kept it from being served.
pub(crate) fn of_fault(fault: &Fault) -> Reject {
    match fault.kind {
        FaultKind::Timeout => Reject::new(Status::SERVER_TIMEOUT),
        FaultKind::FlowGone | FaultKind::NoSuchActor => Reject::new(Status::TEMPORARILY_UNAVAILABLE),
        FaultKind::Overload => unavailable(5),
        FaultKind::Unavailable => unavailable(10),
        FaultKind::Refused => Reject::new(Status::SERVER_INTERNAL_ERROR),
        FaultKind::Loop => Reject::new(Status::LOOP_DETECTED),
    }
}

/// 503 with Retry-After, seconds.
pub(crate) fn unavailable(retry_after_s: u32) -> Reject {
    Reject::new(Status::SERVICE_UNAVAILABLE).header(Name::RetryAfter, retry_after_s.to_string())
}

pub(crate) fn forbidden() -> Reject {
    Reject::new(Status::FORBIDDEN)
}

/// 481, for what belongs to no dialog or transaction of this call.
pub(crate) fn no_dialog() -> Reject {
    Reject::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST)
}
