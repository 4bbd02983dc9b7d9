//! Balancer: the perimeter. It looks at every message from a socket, answers or drops what is wrong, and leads the rest to
//! its actor. RFC 3261 16.3 and 18.2, RFC 3581, RFC 3327, RFC 5393, RFC 5626 5.
//!
//! A message goes through these gates, in this order:
//!
//! 1. bans and the flood limit of its address (`guard`); addresses in `trusted` pass,
//! 2. parsing and strictness (`sip::View`): broken requests get 400, 416, 501, 505 ...; broken responses are dropped,
//! 3. responses: the top Via's branch must carry a leg token of ours, else they are dropped,
//! 4. requests: User-Agent rules, Max-Forwards (483), loops by our own token in a Via (482), Max-Breadth (440), Proxy-Require
//!    (420), pre-loaded Routes (403), drain (503 with Retry-After, new requests only),
//! 5. the actor: in a dialog the one that our token names (481 without one), REGISTER by Call-ID, OPTIONS to the switch
//!    is answered here, everything else by Call-ID and From tag,
//! 6. the top Via is stamped, private header fields of untrusted senders are removed, and `SipIn` is posted.
//!
//! Answers given here are stateless: their To tag is a keyed hash of the request, by which the ACK is known and absorbed.
//! Nothing is kept for a message; what is kept for addresses lives in tables with a limit that forget in two generations.
//!
//! A flood over UDP can carry a forged source address. A flow that has answered a challenge (a 2xx to its REGISTER
//! went out) has a limit of its own, and an address that has such a flow is never banned by a flood: not here, and not at
//! another balancer either, which hears an objection. All balancers of a cluster have the same bans (`sharing`).
//!
//! With `forward` set the node is a stateless load balancer in front of proxies of others (`relay`).
//!
//! Operators send `Control` letters: `Ban`, `Unban`, `Bans`, `Drain`; `Describe` tells the counters.

pub mod bans;
pub mod generations;
pub mod guard;
pub mod machine;
pub mod outbound;
pub mod refusal;
pub mod relay;
pub mod screen;
pub mod settings;
pub mod sharing;

pub use machine::Balancer;
pub use settings::{ListenerInfo, Net, Settings};
