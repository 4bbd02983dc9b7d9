//! The contract between a mind and its host.

use serde::{Deserialize, Serialize};

use crate::{Address, Envelope, Instant, Letter, Now, Outbox, Thread};

/// A named piece of a machine's state, as a replica holds it. Small machines have one, without a name; a machine with
/// much in it (a location shard) has one for each thing that changes alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: Box<str>,
    /// Postcard of the piece; `None` when it is gone.
    pub value: Option<bytes::Bytes>,
}

/// An actor's mind: one letter and the time in, letters out, and the next deadline.
pub trait Machine: Send {
    /// Handles one letter. Never blocks, never panics on what a peer sent.
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox);

    /// A deadline has passed. May be called early or twice: look at `now`.
    fn wake(&mut self, now: Now, out: &mut Outbox);

    /// The earliest timer; `None` when only a letter can change anything.
    fn deadline(&self) -> Option<Instant>;

    /// Nothing left to do and nothing left to remember: the machine may end.
    fn is_idle(&self) -> bool;

    /// Nothing is expected to happen soon: the host may move the machine to a cheaper place.
    fn is_quiet(&self) -> bool {
        false
    }

    /// Whether an answer on this thread would still find its question: one that was given up is not asked again by the
    /// next owner.
    fn waits_for(&self, _thread: Thread) -> bool {
        true
    }

    /// Adds the parts of the state that may have changed since the last call, or `all` of them. What it adds is enough
    /// for `Founder::restore` to make a machine that goes on as this one would. Nothing: not replicated.
    fn save(&mut self, _all: bool, _parts: &mut Vec<Part>) {}
}

/// Posts letters; never blocks. A letter that cannot be delivered comes back as `Letter::Returned` when it has a thread.
pub trait Post: Send + Sync {
    fn post(&self, envelope: Envelope);
}

/// Tells hosts and ports the time; machines are told it and never look.
pub trait Clock: Send + Sync {
    fn now(&self) -> Now;
}

/// Where machines of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Housing {
    /// An actor of its own; parked in a hive while quiet.
    Own,
    /// Small machines that share the actor of their shard; the value is the number of shards.
    Hive(u16),
    /// One actor that lives as long as the node.
    Resident,
    /// Not a machine: a port of the node.
    Port,
}

/// Creates the machine of an address when a letter for it arrives and nobody is there.
pub trait Founder: Send + Sync {
    /// The machine, or `None` when this letter cannot found one (a late response, say); the letter is then returned or dropped.
    fn found(&self, address: Address, letter: &Letter, now: Now) -> Option<Box<dyn Machine>>;

    /// The machine that `parts` describe (all of them); `None` when they cannot be read or nobody lives at such an address.
    /// Instants in the state are on the clock that it was saved by, and so is `now`.
    fn restore(&self, _address: Address, _parts: &[Part], _now: Now) -> Option<Box<dyn Machine>> {
        None
    }

    /// Whether machines of this address are replicated to a standby.
    fn is_replicated(&self, address: Address) -> bool {
        address.slot().is_some()
    }

    /// How machines of this address are housed.
    fn housing(&self, address: Address) -> Housing;
}
