//! The lab: a whole node, its phones and its network on one heap of events, from one seed.
//!
//! A seed is expanded into a `Plan` (who owns which phone, who calls whom and how it is to go, what breaks). The `World`
//! plays everything around the switch: phones that are written without the switch's rules, a network whose weather is
//! drawn from (seed, packet, occurrence), a store, call records, an rtpengine that speaks NG. The `Lab` hosts the node's
//! machines, founded by the same `roles::Roles` as in production; the parity host runs them under the ractor shell on a
//! paused clock instead. Both meet the same world, and what the phones saw must be equal.
//!
//! The judges carry the numbers of RELIABILITY.md. The `book`, with `edge`, checks every message at the edge of the switch as it
//! passes (I7, I9 to I12, I16 to I19), `judges` looks at the end (conservation, I13 to I15, I20, I23, I30, I31); I32 is the trace hash
//! of a seed that is run twice.
//!
//! ```text
//! cargo run --release -p simulations --bin lab -- --seeds 1000          # the gate
//! cargo run --release -p simulations --bin lab -- --seed 17 --ladder    # one seed, with ladders of what went wrong
//! ```

mod bencode;
mod book;
pub mod campaign;
pub mod cluster;
pub mod dice;
mod edge;
pub mod html;
pub mod invariants;
mod judges;
pub mod lab;
mod ladder;
pub mod mutants;
#[cfg(feature = "parity")]
pub mod parity;
mod phone;
pub mod plan;
mod ports;
mod relay;
pub mod report;
pub mod switch;
mod weather;
pub mod world;

pub use lab::{Lab, run_seed, run_with_ladder};
pub use plan::{Menu, Plan};
pub use report::Report;
