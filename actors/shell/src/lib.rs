//! The shell: where minds meet ractor. One generic actor hosts any `Machine`; the exchange carries letters between
//! residents, hive shards, actors of their own and ports.
//!
//! | housing | where it lives | when it panics |
//! |---|---|---|
//! | `Resident` | an actor of its own, linked to the supervisor | founded again, waiting letters kept |
//! | `Hive(n)` | one of `n` linked shard actors that host a `fabric::Hive` each | that machine is lost, its neighbours are not |
//! | `Own` | an actor of its own, not linked; without one while it is quiet | that machine is lost alone |
//! | `Port` | whatever `register_port` was given | |
//!
//! A letter goes into a bounded mailbox of our own and the actor is rung once for all that wait (ractor's mailboxes have
//! no limit). A machine that hears nothing for `park_after_ms` and expects nothing soon gives its actor back and keeps
//! only its room in the table; the next letter or deadline spawns an actor for it again. Deadlines of all rooms share one
//! heap and one task. A due deadline is always met before the next letter is handled, so that a room sees the same order of events under
//! every host. A letter that cannot be delivered comes back as `Returned`, when it has a thread; otherwise it is dropped and counted.
//!
//! A node of a cluster opens its exchange with an office (`Exchange::with_office`): letters for keyed actors, for other
//! nodes and for balancer sites ask it for their way first, machines are founded through it, and it is woken when it wants.
//! A node that is alone pays nothing for any of this.
//!
//! The span `room` (DEBUG) stands around every batch. ractor opens spans of its own at INFO for every actor: a node's log
//! filter should say `ractor=warn`.

mod actor;
mod alarms;
mod asks;
mod clock;
mod counters;
mod desk;
mod exchange;
mod room;
mod settings;
mod supervisor;
mod switchboard;

pub use clock::{SystemClock, TokioClock};
pub use counters::Counters;
pub use exchange::{Exchange, StartError};
pub use settings::Settings;

#[cfg(test)]
mod tests;
