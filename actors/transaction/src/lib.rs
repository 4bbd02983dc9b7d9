//! SIP transactions: RFC 3261 17 with the corrections of RFC 6026, as plain values.
//!
//! Four machines, each a small struct: `ClientInvite`, `ClientNonInvite`, `ServerInvite`, `ServerNonInvite`. They own no
//! socket and no clock. Every verb takes `now` and an `Events` list and leaves there what has to happen next: bytes
//! to be sent, a message for the user of the transaction (the mind it lives in), a failure, the end. The user looks
//! at `deadline()` and calls `wake` when it has passed; calling it early or twice does no harm.
//!
//! Which transaction a message belongs to is said by `server_key` (RFC 3261 17.2.3, with the fallback for peers of
//! RFC 2543) and `client_key` (RFC 3261 17.1.3); `merge_key` finds the request that arrived by a second path.
//!
//! What stays with the user: choosing the hop, resending its own 2xx until the ACK (`dialog::Acceptance`), building
//! the ACK for a 2xx (`Dialog::ack`; hand it to `ClientInvite::acknowledge` and a repeated 2xx gets it again).
//! What is done here: the ACK for other finals, the CANCEL (held back until a provisional response allows it), 100
//! Trying, Timer C, and every retransmission.
//!
//! All machines serialise, with absolute deadlines and the settings they began with, so that a standby carries on
//! where the owner stopped. An ended transaction keeps nothing; drop it on `Event::Terminated`.

mod client_invite;
mod client_non_invite;
mod construct;
mod events;
mod key;
mod server_invite;
mod server_non_invite;
mod timings;

pub use client_invite::ClientInvite;
pub use client_non_invite::ClientNonInvite;
pub use construct::{ack_failure, cancel, trying};
pub use events::{Event, Events};
pub use key::{TransactionKey, client_key, invite_key, merge_key, server_key};
pub use server_invite::ServerInvite;
pub use server_non_invite::ServerNonInvite;
pub use timings::Timings;

#[cfg(test)]
mod testing;
