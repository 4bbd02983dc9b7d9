//! Location: one shard of addresses-of-record, the truth about who is reachable where. RFC 3261 10.3, RFC 5626 6, RFC 3327.
//!
//! A shard is a resident machine. It asks the store for its bindings at its first letter (or wake-up) and keeps letters
//! in a bounded queue until they are there. After that it answers:
//!
//! - `Bind` all or nothing: either every Contact of a REGISTER takes effect or none does. A REGISTER that is not newer
//!   than what its Call-ID did before is refused, also when the binding is gone meanwhile (tombstones). With `reg-id`
//!   and `+sip.instance` the flow is replaced, else the contact that is equal by RFC 3261 19.1.4.
//! - `Locate` with the unexpired bindings, highest q first.
//! - `Control::Bindings` and `Describe` for operators.
//!
//! With `durable_before_answer` a change takes effect and is answered when the store says `Kept`; a second change of
//! the same address-of-record waits for the first. Permanent bindings (`expires_ms` of `u64::MAX`) belong to the
//! operator: a REGISTER neither changes nor removes them.
//!
//! Inside, an address-of-record with all its bindings is one allocation (`record`), found by an index of 4-byte numbers and
//! ended by a heap of 8-byte alarms (`shelf`); a stored binding takes about 300 bytes. Ends are kept on the monotonic
//! clock, so that a step of the wall clock neither ends nor prolongs a registration.
//!
//! In a cluster a shard lives in a hive and moves with its slot: `save` gives a part for each address-of-record that has
//! changed, with the change that is under way, and `Location::restore` goes on from them, open at once. The same `Bind`
//! posted twice is met once and answered twice.

pub mod change;
pub mod machine;
pub mod record;
pub mod settings;
pub mod shelf;

pub use machine::Location;
pub use settings::Settings;
