//! Two sides that change one session at once: who is refused, and when to try again. RFC 3261 14, RFC 3311 5.2.

use std::time::Duration;

use fabric::Reject;
use serde::{Deserialize, Serialize};
use sip::{Method, Name, Status};

use crate::Side;

/// Which INVITE and UPDATE transactions of a dialog have no final response yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    bits: u8,
}

impl Pending {
    /// May we send this request now? Not INVITE over INVITE in either direction, not UPDATE over our own UPDATE.
    pub fn may_send(&self, method: Method<'_>) -> bool {
        match method {
            Method::Invite => !self.has(Side::Us, method) && !self.has(Side::Peer, method),
            Method::Update => !self.has(Side::Us, method),
            _ => true,
        }
    }

    /// May the peer's request be served? The caller marks it with `begin` when it is.
    ///
    /// Errors: `Reject` 491 while our own INVITE is pending; 500 with Retry-After (0 to 10 s, by `seed`) while another one
    /// of the peer is.
    pub fn admit(&self, method: Method<'_>, seed: u64) -> Result<(), Reject> {
        match method {
            Method::Invite | Method::Update if self.has(Side::Peer, method) => Err(busy(seed)),
            Method::Invite if self.has(Side::Us, method) => Err(Reject::new(Status::REQUEST_PENDING)),
            _ => Ok(()),
        }
    }

    /// A request of `side` is under way; only INVITE and UPDATE matter.
    pub fn begin(&mut self, side: Side, method: Method<'_>) {
        self.bits |= bit(side, method);
    }

    /// Its final response has been sent or received, or it failed.
    pub fn end(&mut self, side: Side, method: Method<'_>) {
        self.bits &= !bit(side, method);
    }

    /// Whether a request of this method by `side` is under way.
    pub fn has(&self, side: Side, method: Method<'_>) -> bool {
        self.bits & bit(side, method) != 0
    }

    pub fn is_empty(&self) -> bool {
        self.bits == 0
    }
}

/// How long to wait after a 491: 2.1 to 4 s for the owner of the Call-ID, else 0 to 2 s, in steps of 10 ms (RFC 3261 14.1).
pub fn retry_delay(initiator: Side, seed: u64) -> Duration {
    let tens = match initiator {
        Side::Us => 210 + seed % 191,
        Side::Peer => seed % 201,
    };
    Duration::from_millis(tens * 10)
}

/// 500 with a Retry-After of 0 to 10 s: RFC 3261 14.2.
pub(crate) fn busy(seed: u64) -> Reject {
    Reject::new(Status::SERVER_INTERNAL_ERROR).header(Name::RetryAfter, (seed % 11).to_string())
}

fn bit(side: Side, method: Method<'_>) -> u8 {
    let place = match method {
        Method::Invite => 1,
        Method::Update => 4,
        _ => 0,
    };
    if side == Side::Us { place } else { place << 1 }
}

#[cfg(test)]
mod tests;
