//! The contract between a mind and its host.

use crate::{Address, Envelope, Instant, Letter, Now, Outbox};

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

    /// How machines of this address are housed.
    fn housing(&self, address: Address) -> Housing;
}
