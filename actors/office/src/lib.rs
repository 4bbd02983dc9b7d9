//! The office: everything a node does because there are other nodes. No I/O: the shell and the lab host the same code.
//!
//! | module | what |
//! |---|---|
//! | `founding`, `lodger` | machines are hosted in a `Lodger`, which replicates every step; after a take-over they are restored |
//! | `primary`, `backup`, `image` | the active and the standby side of a group of slots; what a machine looks like in a replica |
//! | `patch` | what a changed part costs on the link |
//! | `mail` | letters for other nodes, kept until they have had their effect and sent again to the next owner |
//! | `lease`, `ears` | whether the directors still count on this node; whom it does not hear |
//! | `office` | one `Office` a node: what hosts and lodgers ask of it |
//! | `post`, `parcels`, `seats`, `rounds` | where letters go; what links bring; what the table asks; what time brings |
//!
//! **Output commit.** A step of a replicated machine that posts anything with consequences is recorded first; letters to
//! anybody outside its group of slots leave when the standby has acknowledged the record, or after
//! `Settings::unprotected_ms`, counted (R1, R6). Letters within the group go at once: the stream of records is ordered,
//! so an effect of theirs cannot leave before their own cause is on the standby. Steps without consequences are recorded
//! `Settings::defer_ms` later at most, those of all machines together; what time alone does, and tells nobody, not at all:
//! it happens again to whoever restores the machine.
//!
//! **Take-over.** The next owner restores machines from their images, on demand and in the background, and posts again
//! what the last owner may not have got through: open questions, and effects that were not released. Every question is
//! idempotent, and SIP absorbs a repeated message. Time in a machine's state stays on the clock of the node where it was
//! founded: the lodger shifts it.
//!
//! **Mail** to an actor of another node is kept until its effect is on two chassis there (`Parcel::Receipt`), and goes to
//! the next owner otherwise: a client that never resends loses nothing (R2), and nobody has to say 481 or 408 while
//! ownership is unknown (R3).

mod backup;
mod ears;
mod founding;
mod image;
mod lease;
mod lodger;
mod mail;
mod office;
mod parcels;
mod patch;
mod post;
mod primary;
mod rounds;
mod seats;
mod settings;
mod status;

pub use office::{Links, Office};
pub use settings::Settings;
pub use status::{Counts, GroupStatus, Status};

#[cfg(test)]
mod tests;
