//! The directors: the small group that decides who owns what (the lease and the epoch of RELIABILITY.md).
//!
//! A `Director` is a machine, one on each voting node. Its Raft is TiKV's `raft`; what they agree on is the whole
//! `fabric::Table`, and a proposal is the next one in the place of the one with a certain version. The rules (`decide`)
//! are a pure function from what was decided and what is heard.
//!
//! * **Leases.** Every node beats to every director every 50 ms, and each director answers for itself; a node that has a
//!   majority of grants may act for 300 ms from the moment it sent the beat. A director that has not heard a node for
//!   353 ms on its own clock tells the leader "silent", and from then on grants that node nothing before the leader has
//!   answered a *later* report that says "heard". So the leader may act on what a majority told it, however late it
//!   came: the majority that called a node silent and any majority that could grant it a lease share a director. No
//!   clock but the drift bound (5 % are left) decides.
//! * **Elections** (120 to 200 ms) run while the lease is waited for, since every voter listens: with the leader on the
//!   lost chassis a take-over takes no longer. A voter's election timeout is drawn from the term and its name.
//! * **Restarts.** The table names the process (`Member::boot`) it means. A node with another one has lost what it held:
//!   its groups go to the standby at once. Before the leader has taken it up it gets no lease.
//! * **Moves** (a pair is added or removed, one node of it is exchanged): slots that move become groups of their own where
//!   they stand; a node of the new pair learns, and only when it has everything the active node is asked to yield. New
//!   settings count when a majority of the voters has them: restart the directors one after another.
//! * **A voter whose journal was lost** votes again when a leader has brought it up to date; a group that is new begins
//!   when all its voters have been heard once. Lose the journals of two of three, and it takes a new beginning: stop all
//!   nodes, empty all journals.
//! * **Two voters** cannot tell a dead peer from a cut cable: nothing is taken over by itself, `Table::warning` says so,
//!   and `Order::Force` lets the one that is left go on alone until it hears the other again. It must be given only when
//!   the other node is known to be dead: without a majority nothing else stands between it and two owners.
//! * **Silence while nobody is full**: an active node gets `patience_ms` to come back; then its groups start elsewhere with
//!   what is there, counted and said as an error.
//!
//! | module | what |
//! |---|---|
//! | `settings` | voters, members, pairs, sites, and every limit |
//! | `machine` | the machine: letters, ticks; `machine/lead` what it does while it leads |
//! | `watch` | what this director hears, and whom it has promised no lease |
//! | `council` | what the others report to the leader |
//! | `decide` | the rules |
//! | `state` | what is agreed on; how slots become groups |
//! | `orders`, `history` | what operators want; who was lost lately |
//! | `voter`, `log` | Raft and its journal |

mod council;
mod decide;
mod history;
#[cfg(test)]
mod lab;
mod log;
mod machine;
mod orders;
mod settings;
mod state;
mod voter;
mod watch;

pub use machine::Director;
pub use settings::{MemberSetting, PairSetting, Settings, SiteSetting};
