//! Ports: where a node meets metal. Every port takes letters from the exchange (it implements `fabric::Post`) and posts
//! what happens outside back to it; none of them decides anything about a call.
//!
//! | module | address | what |
//! |---|---|---|
//! | `flow` | `Flow(node)` | all SIP sockets: hands a `Transmit` to `udp` or `tcp` |
//! | `udp` | | datagrams in batches (`recvmmsg`, `sendmmsg`), `SO_REUSEPORT` shards, CRLF and STUN keep-alives |
//! | `tcp` | | listeners and outgoing connections, framing, limits against slow and greedy peers |
//! | `store` | `Store(node)` | SQLite: subscribers answered from memory, bindings by write-behind, provisioning |
//! | `records` | `Records(node)` | call records: checksummed journal, one CDR per answered leg, day files |
//! | `journal` | `Journal(node)` | what the director of this node has promised (Raft's log), synced |
//! | `relay` | `Relay(node)` | NG datagrams to and from rtpengine |
//! | `names` | `Names(node)` | RFC 3263 with RFC 2782 weights, behind an egress policy |
//! | `links` | | sessions with the other nodes over mutual TLS: parcels in order, bounded, resumed; commands; certificates |
//! | `tracer` | `Tracer(node)` | ring of recent SIP messages |
//!
//! Each has `start(settings, post, home, clock ...) -> Result<Handle, StartError>`; a `Handle` is cheap to clone, tells
//! `counters()`, and ends with `stop().await`. Foreign crates stay behind one door each: sockets in `udp`, `tcp` and
//! `relay`, rusqlite in `store`, hickory in `names`.
//!
//! Durable means synced: `Letter::Kept` leaves only after the commit (`store`) or `fdatasync` (`records`) that holds
//! what it answers. Commits are at most one per `commit_ms`; a lone letter is committed at once.

pub mod counters;
pub mod flow;
pub mod journal;
pub mod links;
pub mod names;
pub mod records;
pub mod relay;
mod start;
pub mod store;
pub mod tcp;
pub mod tracer;
pub mod udp;
mod worker;

#[cfg(test)]
mod testing;

pub use start::StartError;
