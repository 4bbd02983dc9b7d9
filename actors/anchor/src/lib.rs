//! The anchor: speaks the NG protocol with the rtpengines of a balancer node.
//!
//! A media session posts `RelayAsk`; the anchor turns it into an NG command (a cookie and a bencoded dictionary in one
//! datagram), resends it until the reply comes or its deadline passes, and answers with `RelayDone` or `Returned`.
//!
//! * *Idempotent*: a resent command carries the same cookie, and rtpengine repeats its reply. Cookies never repeat over a
//!   restart, for rtpengine would repeat the reply to an older command; and nobody can guess one.
//! * *Health*: every rtpengine is pinged. After `misses_max` pings or commands in a row without an answer it is dead:
//!   what waits for it goes to the next one or comes back at once, and one pong makes it alive again.
//! * *Choice*: a new session goes to a living rtpengine that is not draining and has room, by weight and call-id.
//!   One that is full (`load limit`, session limit, no ports) is passed over for `full_pause_ms`.
//! * *No leaks*: when an offer was given up that an rtpengine may have taken, it is deleted there as soon as that
//!   rtpengine answers again.
//!
//! `RelaySend(n, bytes)` goes to the `Relay` port, `RelayReceived(n, bytes)` comes from it; `n` is the place in
//! `Settings::relays`. rtpengine wants `--listen-ng` on a private address and `--endpoint-learning=heuristic`.
//!
//! | module | what |
//! |---|---|
//! | `bencode` | the encoding, with limits on depth and size |
//! | `ng` | commands and replies |
//! | `stats` | what a `delete` or `query` reply tells about the streams |
//! | `relays` | health, room and choice |
//! | `commands` | what is under way, with its timers |
//! | `anchor` | the machine |

mod anchor;
pub mod bencode;
mod commands;
pub mod ng;
mod relays;
mod settings;
pub mod stats;

pub use anchor::Anchor;
pub use settings::{RelaySettings, Settings};
