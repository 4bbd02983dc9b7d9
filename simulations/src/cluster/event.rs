//! What is due, in order of time; of two at one moment the one that was planned first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use bytes::Bytes;
use fabric::{Envelope, Parcel};

use crate::phone::Timer;

pub enum Event {
    /// A node's earliest deadline; the number is its boot.
    Wake(usize, u64),
    /// A parcel has crossed a link: from, to, session.
    Parcel(usize, usize, u32, Box<Parcel>),
    /// A link between two nodes may be tried again.
    Connect(usize, usize),
    /// A stalled link is looked at: from, to, session.
    Stalled(usize, usize, u32),
    /// A session is over at once.
    Broken(usize, usize, u32),
    /// A port's answer or question, inside a node.
    Letter(usize, u64, Box<Envelope>),
    /// An fsync has ended: node, boot, ticket, and the letter that waits for it.
    Synced(usize, u64, u64, Option<Box<Envelope>>),
    /// A node's outbox is shipped.
    Ship(usize, u64),
    /// A gray node works off its held mail.
    Resume(usize),
    /// A balancer's address has moved to a node.
    Moved(usize, usize, u64),
    ToPhone(usize, Bytes),
    /// A phone's message at the switch; the number is the phone's restart, or its stream.
    ToSwitch(usize, Bytes, u64),
    /// A phone's kernel sends again what nobody has acknowledged: device, stream.
    Segment(usize, u64),
    Phone(usize, Timer),
    /// A phone tries to open its stream.
    Dial(usize, u64),
    /// A phone learns that its stream is gone: device, stream.
    StreamLost(usize, u64),
    /// A phone looks after its stream.
    KeepAlive(usize),
    Strike(usize),
    /// Power goes in the middle of a write: strike, node, boot.
    Torn(usize, usize, u64),
    Repair(usize),
    /// A fault with a rhythm goes on.
    Rhythm(usize, u64),
    Start(usize),
    Probe(usize),
    Replay(usize),
    Sample,
    /// Phones in calls are heard, or not.
    Speak,
    /// The next part of a flood: flood, step.
    Flood(usize, usize),
    /// Everybody's bans are looked at.
    Bans,
    Heal,
    Calm,
}

/// What a paused process finds when it goes on.
pub enum Held {
    Parcel(usize, Box<Parcel>),
    Link(usize, bool),
    Letter(Box<Envelope>),
    Datagram(usize, Bytes, u64),
}

struct Due {
    at: u64,
    serial: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        (self.at, self.serial) == (other.at, other.serial)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The heap's top is the earliest.
    fn cmp(&self, other: &Due) -> Ordering {
        (other.at, other.serial).cmp(&(self.at, self.serial))
    }
}

#[derive(Default)]
pub struct Heap {
    heap: BinaryHeap<Due>,
    serial: u64,
    pub events: u64,
}

impl Heap {
    pub fn push(&mut self, at: u64, event: Event) {
        self.serial += 1;
        self.heap.push(Due { at, serial: self.serial, event });
    }

    pub fn pop(&mut self) -> Option<(u64, Event)> {
        let due = self.heap.pop()?;
        self.events += 1;
        Some((due.at, due.event))
    }

    pub fn next(&self) -> Option<u64> {
        self.heap.peek().map(|due| due.at)
    }
}
