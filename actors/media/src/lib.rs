//! The media session of a call: turns the session descriptions of its legs into those of a relay, and sees to it that
//! the relay is given back.
//!
//! The call posts `MediaAsk`, one for each description it passes on: `Offer` from one leg to another, `Answer` the other
//! way, `Drop` for a leg that was not chosen, `End` for all. Asks are done one after the other, so that a relay never
//! sees a later one first, and each is answered by a deadline, relay or no relay.
//!
//! * *Forking*: each leg has a tag of its own, and an offer to each leg gets ports of its own. The answer given last is
//!   the one media flows by: the winner's.
//! * *Safety*: descriptions are parsed and judged before they go anywhere. Forbidden addresses come back as `Refused`
//!   (the call says 488); an internal address is replaced by the one the leg's signalling comes from.
//! * *No relay*: an offer comes back as `Unavailable`, `Overload` or `Timeout`, and whether the call goes on without one
//!   is the call's policy. The answer to such an offer is `Unanchored`.
//! * *Relay lost*: the next offer of the call is anchored anew, on another relay, under another call-id.
//! * *No leaks*: what was opened on a relay is deleted with growing pauses until the relay says so or
//!   `delete_age_max_s` has passed; also when the call never says `End` (`offer_age_max_s`, `session_age_max_s`).
//!   rtpengine's own `offer-timeout` should be longer than the longest ringing.
//! * *Take-over*: a standby keeps the whole state as one part. An ask that comes again while it is under way is left to its
//!   first answer; one that was answered before is done again, which a relay answers alike. A session whose anchor went
//!   down with its node is made again at another one.
//!
//! | module | what |
//! |---|---|
//! | `media` | the machine: queue, asks, answers |
//! | `chores` | what is still to be deleted |
//! | `legs` | legs and their offers |
//! | `prepare` | judging a description, flags for rtpengine |

mod chores;
mod legs;
mod media;
mod prepare;
mod settings;

pub use media::Media;
pub use settings::{NetworkText, Settings};
