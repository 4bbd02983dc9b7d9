//! The fabric every room is made of: addresses, envelopes, letters, the `Machine` contract, timers as data,
//! asks with deadlines, hives, the codec between nodes and the sealed tokens that lead a SIP message back to its actor.
//!
//! A *machine* takes one letter and the time and posts letters. It has no clock, no socket, no store and it never
//! waits: to ask is to post a letter and to get one back later, and the failure of an ask is a letter too
//! (`Letter::Returned`). The same machine runs under the ractor shell (production), in the lab (one event heap, one
//! seed) and under the shell on a paused clock (parity).
//!
//! | module | what |
//! |---|---|
//! | `time` | `Now`, `Instant`: monotonic microseconds and wall-clock milliseconds |
//! | `address` | who can get a letter; keys and slots |
//! | `envelope` | envelope, thread, outbox |
//! | `letter` and `letters/` | everything that can be said |
//! | `machine` | `Machine`, `Post`, `Clock`, `Founder`, `Housing` |
//! | `timers`, `asks` | deadlines as data |
//! | `hive` | one machine that hosts many small ones |
//! | `token` | authenticated opaque tokens in Via, Contact and Path |
//! | `codec` | versioned bytes of envelopes and parcels |
//! | `frame` | entries of a file, and what a crash has left of them |
//! | `ownership` | who owns which slots, and since which epoch |
//! | `parcel` | what nodes send each other |
//! | `zone` | parts of the slots that balancers keep to |
//! | `mutant` | deliberate faults, compiled in for tests of the tests only |

pub mod address;
pub mod asks;
pub mod codec;
pub mod envelope;
pub mod fault;
pub mod frame;
pub mod hash;
pub mod hive;
pub mod home;
pub mod letter;
pub mod letters;
pub mod machine;
pub mod mutant;
pub mod ownership;
pub mod parcel;
pub mod reject;
pub mod time;
pub mod timers;
pub mod token;
pub mod zone;

pub use address::{Address, Key, Keys, NodeId, SLOTS};
pub use asks::Asks;
pub use envelope::{Envelope, Epoch, Outbox, Thread, Trace};
pub use fault::{Fault, FaultKind};
pub use hive::Hive;
pub use home::Home;
pub use letter::Letter;
pub use machine::{Clock, Founder, Housing, Machine, Part, Post};
pub use ownership::{GroupId, Ownership, Table};
pub use parcel::Parcel;
pub use reject::Reject;
pub use time::{Instant, Now};
pub use timers::Timers;
pub use token::{LegToken, Tokens};
pub use zone::Zone;
