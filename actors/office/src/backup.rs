//! The standby side of a group: images as the active node's records leave them.

use std::collections::VecDeque;

use fabric::parcel::Record;
use fabric::{Envelope, Epoch, Instant, NodeId};

use crate::image::{Images, offset};
use crate::patch;

/// What a standby or learner holds of a group.
#[derive(Debug)]
pub(crate) struct Backup {
    pub epoch: Epoch,
    /// Who sends the records.
    pub active: NodeId,
    pub images: Images,
    /// Effects that may not have left yet, with the number of their record.
    pub effects: VecDeque<(u64, Envelope)>,
    /// Number of the last record.
    pub number: u64,
    /// Everything has come, and nothing is missing since.
    pub full: bool,
    /// What was held before this fill began: older, but whole.
    previous: Option<Box<Backup>>,
}

/// What a record did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Acknowledge this number.
    Ack(u64),
    /// Part of a fill: nothing to say yet.
    Quiet,
    /// A record is missing.
    Gap,
}

impl Backup {
    pub fn new(epoch: Epoch, active: NodeId) -> Backup {
        let (images, effects) = (Images::default(), VecDeque::new());
        Backup { epoch, active, images, effects, number: 0, full: false, previous: None }
    }

    /// A fill begins; what was held is kept until it is complete.
    pub fn again(self: Box<Self>, epoch: Epoch, active: NodeId) -> Backup {
        let previous = if self.full { Some(self) } else { self.previous };
        Backup { previous, ..Backup::new(epoch, active) }
    }

    /// What a take-over starts from: all there is, or what was whole last.
    pub fn best(self) -> (Images, VecDeque<(u64, Envelope)>) {
        match self.previous {
            Some(previous) if !self.full => (previous.images, previous.effects),
            _ => (self.images, self.effects),
        }
    }

    pub fn take(&mut self, record: Record, now: Instant) -> Taken {
        if self.full && record.number != self.number + 1 {
            self.full = false;
            return Taken::Gap;
        }
        let number = record.number;
        if !self.apply(record, now) {
            self.full = false;
            return Taken::Gap;
        }
        if number == 0 {
            return Taken::Quiet;
        }
        self.number = number;
        if self.full { Taken::Ack(number) } else { Taken::Quiet }
    }

    /// Whether the record fits what is here.
    fn apply(&mut self, record: Record, now: Instant) -> bool {
        let Record { number, address, axis, parts, patches, gone, asked, answered, effects, released, .. } = record;
        if fabric::mutant!(ReplicaDropped) {
            return true;
        }
        if gone {
            self.images.remove(address);
        } else {
            let Some(parts) = patch::unfold(parts, &patches, self.images.get(address)) else { return false };
            self.images.put(address, &parts);
            let image = self.images.open(address);
            image.offset = offset(axis, now);
            image.note(&asked, &answered);
        }
        self.release(released);
        self.effects.extend(effects.into_iter().map(|mail| (number, mail)));
        true
    }

    /// Effects of records up to this number have left.
    pub fn release(&mut self, number: u64) {
        while self.effects.front().is_some_and(|(held, _)| *held <= number) {
            self.effects.pop_front();
        }
    }

    /// Gives the images for which `moves` holds to a group of their own.
    pub fn split(&mut self, number: u64, moves: impl Fn(fabric::Address) -> bool) -> Backup {
        let full = self.full && self.number == number;
        let images = self.images.split(moves);
        let (epoch, active) = (self.epoch, self.active);
        Backup { epoch, active, images, effects: VecDeque::new(), number: 0, full, previous: None }
    }

    /// The active node has sent everything; whether this is what it has.
    pub fn filled(&mut self, number: u64, sum: u64) -> bool {
        self.number = number;
        self.full = self.images.sum() == sum || fabric::mutant!(ReplicaDropped);
        if self.full {
            self.previous = None;
        }
        self.full
    }

    /// Whether the images are those of the active node at this number.
    pub fn agrees(&self, number: u64, sum: u64) -> bool {
        !self.full || self.number != number || self.images.sum() == sum || fabric::mutant!(ReplicaDropped)
    }
}
