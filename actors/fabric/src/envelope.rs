//! The envelope around a letter, and the outbox a machine posts into.

use serde::{Deserialize, Serialize};

use crate::{Address, Letter};

/// Ties an answer to its question; zero means that no answer is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Thread(pub u64);

impl Thread {
    pub const NONE: Thread = Thread(0);
}

/// Ties everything that one SIP call or registration caused: logs, records, HEP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Trace(pub u64);

/// Ownership number of a pair; rises with every change of owner, and only the highest seen is obeyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// A letter with what carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    pub to: Address,
    pub from: Address,
    pub thread: Thread,
    pub trace: Trace,
    /// Rooms this chain of letters has passed; a chain is cut at `HOPS_MAX`.
    pub hops: u8,
    pub epoch: Epoch,
    pub letter: Letter,
    /// What the sending node wants to hear back once this letter's effect is on two chassis; 0: nothing. Does not cross
    /// a link inside the envelope: its parcel carries it.
    #[serde(skip)]
    pub receipt: u64,
}

/// Longest chain of letters that one outside event may cause, in hops.
pub const HOPS_MAX: u8 = 64;

impl Envelope {
    /// A letter from outside the rooms (a port, the control plane, a test).
    pub fn new(from: Address, to: Address, letter: Letter) -> Envelope {
        Envelope {
            to,
            from,
            thread: Thread::NONE,
            trace: Trace::default(),
            hops: 0,
            epoch: Epoch::default(),
            letter,
            receipt: 0,
        }
    }

    /// The same, as a question that wants an answer on `thread`.
    pub fn ask(from: Address, to: Address, thread: Thread, letter: Letter) -> Envelope {
        Envelope { thread, ..Envelope::new(from, to, letter) }
    }

    /// The answer to this envelope: same thread and trace, back to the sender.
    pub fn answer(&self, letter: Letter) -> Envelope {
        Envelope {
            to: self.from,
            from: self.to,
            thread: self.thread,
            trace: self.trace,
            hops: self.hops.saturating_add(1),
            epoch: self.epoch,
            letter,
            receipt: 0,
        }
    }
}

/// Where a machine puts its letters; the host takes them after each `handle`.
#[derive(Debug)]
pub struct Outbox {
    me: Address,
    trace: Trace,
    hops: u8,
    epoch: Epoch,
    mail: Vec<Envelope>,
}

impl Outbox {
    /// Outbox of `me` with nothing to answer to (a wake-up).
    pub fn new(me: Address) -> Outbox {
        Outbox { me, trace: Trace::default(), hops: 0, epoch: Epoch::default(), mail: Vec::new() }
    }

    /// Reuses this outbox for the next letter; what it holds stays until taken.
    pub fn open(&mut self, me: Address, cause: Option<&Envelope>) {
        self.me = me;
        match cause {
            Some(cause) => (self.trace, self.hops, self.epoch) = (cause.trace, cause.hops, cause.epoch),
            None => (self.trace, self.hops) = (Trace::default(), 0),
        }
    }

    /// The address letters go out from.
    pub fn me(&self) -> Address {
        self.me
    }

    /// Sets the trace of all letters posted from here on.
    pub fn set_trace(&mut self, trace: Trace) {
        self.trace = trace;
    }

    /// Posts a letter that wants no answer.
    pub fn post(&mut self, to: Address, letter: Letter) {
        self.ask(to, Thread::NONE, letter);
    }

    /// Posts a question; its answer comes back with the same thread.
    pub fn ask(&mut self, to: Address, thread: Thread, letter: Letter) {
        let hops = self.hops.saturating_add(1);
        let (from, trace, epoch) = (self.me, self.trace, self.epoch);
        self.mail.push(Envelope { to, from, thread, trace, hops, epoch, letter, receipt: 0 });
    }

    /// Answers `mail` on its thread.
    pub fn answer(&mut self, mail: &Envelope, letter: Letter) {
        self.ask(mail.from, mail.thread, letter);
    }

    /// Hands a letter on in the name of who sent `mail`: an answer or a failure goes straight back there, on its thread.
    pub fn forward(&mut self, mail: &Envelope, to: Address, letter: Letter) {
        let (from, thread, hops) = (mail.from, mail.thread, self.hops.saturating_add(1));
        let (trace, epoch) = (self.trace, self.epoch);
        self.mail.push(Envelope { to, from, thread, trace, hops, epoch, letter, receipt: 0 });
    }

    /// Takes the letters behind the first `keep`.
    pub fn split_off(&mut self, keep: usize) -> Vec<Envelope> {
        self.mail.split_off(keep)
    }

    /// Puts a letter in as it is.
    pub fn put(&mut self, envelope: Envelope) {
        self.mail.push(envelope);
    }

    /// The letters so far.
    pub fn mail(&self) -> &[Envelope] {
        &self.mail
    }

    /// Takes all letters, keeping the room they stood in.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Envelope> {
        self.mail.drain(..)
    }

    /// Takes all letters.
    pub fn take(&mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.mail)
    }

    pub fn is_empty(&self) -> bool {
        self.mail.is_empty()
    }
}
