//! Registration: one device's REGISTER dialogue, named by its Call-ID. RFC 3261 10, RFC 3327, RFC 5626.
//!
//! A small machine in a hive. It challenges with a stateless nonce bound to the Call-ID, checks the digest against the
//! subscriber that the store names, makes sure that the address-of-record is the subscriber's own, reads the Contacts,
//! asks the location shard and answers with all bindings. Afterwards it sends an OPTIONS every 30 seconds through
//! the flow of each of its bindings that sits behind a NAT on UDP.
//!
//! What it remembers: the counts of the nonces it accepted (until these nonces are too old anyway), and which
//! request it answered last, so that a retransmission is answered alike. The answer itself is not kept: a
//! retransmitted REGISTER that was accepted reads the bindings again. Every refusal before the digest is a function of
//! the request alone, so a machine that only challenged remembers nothing and ends at once: a flood of unauthenticated
//! requests leaves no memory behind. Without a NAT to keep open it ends when its nonces are too old; its bindings live on in
//! the location shard.
//!
//! An unknown user takes the same steps as a known one with a wrong password and gets the same 401. Requests for a
//! foreign domain, for somebody else's address-of-record, or of a subscriber with lock `Global` get 403.
//!
//! Preferences read: `contacts_max` (most contacts of this subscriber, count).
//!
//! A standby keeps the whole state as one part, 140 bytes for a quiet phone behind a NAT; it has the clock of the node
//! that founded it, by which `Desk` knows how far back the counts reach.

pub mod date;
pub mod keepalive;
pub mod machine;
pub mod reply;
pub mod request;
pub mod settings;

pub use machine::{Desk, Registration};
pub use settings::Settings;
