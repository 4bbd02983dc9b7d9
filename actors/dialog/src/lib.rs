//! SIP dialogs and what belongs to them, as plain values: one module per concern, none knows the others.
//!
//! | type | what | obeys |
//! |---|---|---|
//! | `Dialog` | identity, CSeq order, route set, target; builds in-dialog requests and ACK | RFC 3261 12 |
//! | `Acceptance` | our 2xx, resent until its ACK | RFC 3261 13.3.1.4 |
//! | `Provisionals`, `Pracks` | reliable provisional responses, sent and received | RFC 3262 |
//! | `SessionTimer`, `SessionOffer` | Session-Expires: negotiation, refresh, expiry | RFC 4028 |
//! | `Negotiation` | who may offer, who owes an answer | RFC 3264, RFC 3311, RFC 6337 |
//! | `Pending`, `retry_delay` | glare: 491, 500 and when to try again | RFC 3261 14 |
//! | `Replaces`, `sipfrag` | small helpers for transfer | RFC 3891, RFC 3515 |
//!
//! A leg of a call holds a `Dialog` and those of the others that it needs at the moment; each is a few bytes, serialises
//! with absolute deadlines, and has `deadline()` with a `wake(now)` to be called until it returns `None`. Nothing here
//! sends: messages and refusals (`fabric::Reject`) are returned. A refusal by us is always the peer's fault and never
//! changes the dialog.
//!
//! The life of an answered leg, caller's side: `Dialog::uas` at the first response with our tag; `SessionOffer::of`
//! and its `check` before accepting; `Provisionals::push` for reliable 18x; `SessionTimer::accept` for the 2xx, which
//! goes to the server transaction and into `Acceptance`; `Acceptance::on_ack`. Then for each request of the peer:
//! `Dialog::on_request`, `Pending::admit`, `Negotiation::received`, `Dialog::refresh_target`.

mod acceptance;
mod dialog;
mod glare;
mod negotiation;
mod packed;
mod provisional;
mod request;
mod resend;
mod session;
mod settings;
mod transfer;

pub use acceptance::Acceptance;
pub use dialog::{Dialog, DialogError, Fate, Peer, State};
pub use glare::{Pending, retry_delay};
pub use negotiation::{Breach, Carrier, Negotiation, Part};
pub use provisional::{Pracks, Provisional, Provisionals, QueueFull};
pub use request::Hop;
pub use resend::Due;
pub use session::{Refresher, SessionDue, SessionOffer, SessionTimer};
pub use settings::Settings;
pub use transfer::{Replaces, sipfrag};

use serde::{Deserialize, Serialize};

/// Who did something: we or the peer of the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    Us,
    Peer,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Us => Side::Peer,
            Side::Peer => Side::Us,
        }
    }
}

#[cfg(test)]
mod testing;
