//! Parcels: what nodes send each other over the data lane, in order, each once as long as both ends live.

use serde::{Deserialize, Serialize};

use crate::{Address, Envelope, Epoch, GroupId, Instant, Part, Thread};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Parcel {
    /// A letter for somebody on the other node. `receipt` is not 0 when the sender keeps the letter until it hears
    /// `Receipt`, and sends it to the next owner otherwise (rule R2).
    Mail { receipt: u64, mail: Box<Envelope> },
    /// The effects of these letters are on two chassis.
    Receipt(Vec<u64>),
    /// Active → standby or learner: a step of one machine.
    Record(Box<Record>),
    /// Active → standby or learner: forget what you have of the group, everything follows.
    FillStart { group: GroupId, epoch: Epoch },
    /// Everything was sent; the sum is over all images (`office`).
    FillEnd { group: GroupId, epoch: Epoch, number: u64, sum: u64 },
    /// Active → standby: at this number the sum over all images is this (I4).
    Digest { group: GroupId, epoch: Epoch, number: u64, sum: u64 },
    /// Standby → active: everything up to this number is here.
    Ack { group: GroupId, epoch: Epoch, number: u64 },
    /// Standby → active: what I have is not what you have; start again.
    Again { group: GroupId, epoch: Epoch },
    /// Active → standby or learner: behind record `number` of `from` these slots are a group of their own, with records
    /// from 1.
    Split { from: GroupId, number: u64, group: GroupId, epoch: Epoch, slots: Vec<u16> },
    /// Active → standby or learner: effects of records up to this number have left, when no record says so soon.
    Released { group: GroupId, epoch: Epoch, number: u64 },
}

/// A step of a machine, as its standby keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub group: GroupId,
    pub epoch: Epoch,
    /// From 1 within (group, epoch, receiver), without gaps; 0 during a fill.
    pub number: u64,
    pub address: Address,
    /// The time on the clock that the machine lives by.
    pub axis: Instant,
    /// Changed parts.
    pub parts: Vec<Part>,
    /// Places of those parts whose value is a patch upon the one before (`office`).
    pub patches: Vec<u16>,
    /// The machine has ended.
    pub gone: bool,
    /// Questions that it has asked since, and those that were answered.
    pub asked: Vec<Envelope>,
    pub answered: Vec<Thread>,
    /// Letters that leave once this record is acknowledged; the next owner sends them again.
    pub effects: Vec<Envelope>,
    /// Effects of records up to this number have left.
    pub released: u64,
}

impl Parcel {
    /// Goes before everything that waits: others hold the sender for dead without it.
    pub fn is_urgent(&self) -> bool {
        use crate::Letter;
        match self {
            Parcel::Mail { mail, .. } => matches!(
                mail.letter,
                Letter::Beat(_)
                    | Letter::Grant(_)
                    | Letter::Table(_)
                    | Letter::Raft(_)
                    | Letter::Silences(_)
                    | Letter::Hearing(_)
                    | Letter::Divides(_)
            ),
            _ => false,
        }
    }
}
