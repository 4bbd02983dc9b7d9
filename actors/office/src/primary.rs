//! The active side of a group: numbers steps, sends them to standby and learner, holds effects until they are there.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use fabric::parcel::Record;
use fabric::{Address, Envelope, Epoch, GroupId, Instant, NodeId, Parcel, Part, Thread};

use tracing::warn;

use crate::image::{Images, offset};
use crate::patch;

/// A step of a machine, as its lodger hands it in.
pub(crate) struct Step {
    pub address: Address,
    /// The clock that the machine lives by.
    pub axis: Instant,
    pub parts: Vec<Part>,
    pub gone: bool,
    pub asked: Vec<Envelope>,
    pub answered: Vec<Thread>,
    /// Letters for others than actors of the group.
    pub effects: Vec<Envelope>,
    /// Letters for actors of the group that nobody asks for again: they have left, but perhaps not arrived when this node dies.
    pub left: Vec<Envelope>,
    pub receipts: Vec<u64>,
}

/// What a group that this node is active for consists of.
#[derive(Debug)]
pub(crate) struct Primary {
    pub group: GroupId,
    pub epoch: Epoch,
    pub images: Images,
    /// Number of the last record.
    pub number: u64,
    pub followers: Vec<Follower>,
    held: VecDeque<Held>,
    /// What the last owner may not have got out, until there is a lease.
    reposts: Vec<Envelope>,
    /// Effects up to this number have left.
    released: u64,
    /// What the followers know of that.
    told: u64,
    /// Machines that still wait in their image, in reverse order.
    pub dormant: Vec<Address>,
    /// Since when the group is being handed over.
    pub yielding: Option<Instant>,
    /// Effects that left unprotected since the start.
    pub unprotected: u64,
}

/// A node that gets the records.
#[derive(Debug)]
pub(crate) struct Follower {
    pub node: NodeId,
    pub state: Filling,
    pub acknowledged: u64,
    /// It has everything and acknowledges in time: effects wait for it.
    pub full: bool,
}

#[derive(Debug)]
pub(crate) enum Filling {
    /// No session, or a broken one.
    Away,
    /// These addresses are still to be sent, the next one last.
    Left {
        order: Vec<Address>,
        open: BTreeSet<Address>,
    },
    Done,
}

#[derive(Debug)]
struct Held {
    number: u64,
    since: Instant,
    effects: Vec<Envelope>,
    receipts: Vec<u64>,
}

/// What may leave now.
#[derive(Debug, Default)]
pub(crate) struct Released {
    pub effects: Vec<Envelope>,
    pub receipts: Vec<u64>,
}

/// Somebody to send a parcel to; `false` when it could not be taken.
pub(crate) type Send<'a> = &'a mut dyn FnMut(NodeId, Parcel) -> bool;

/// The same, of a parcel that several get.
pub(crate) type Lend<'a> = &'a mut dyn FnMut(NodeId, &Parcel) -> bool;

impl Primary {
    pub fn new(group: GroupId, epoch: Epoch, images: Images) -> Primary {
        let mut dormant = images.addresses();
        dormant.reverse();
        Primary {
            group,
            epoch,
            images,
            number: 0,
            followers: Vec::new(),
            held: VecDeque::new(),
            reposts: Vec::new(),
            released: 0,
            told: 0,
            dormant,
            yielding: None,
            unprotected: 0,
        }
    }

    /// The nodes that are to get the records; a new one is filled.
    pub fn set_followers(&mut self, nodes: &[NodeId], is_up: impl Fn(NodeId) -> bool, send: Send<'_>) {
        self.followers.retain(|follower| nodes.contains(&follower.node));
        for node in nodes {
            if !self.followers.iter().any(|follower| follower.node == *node) {
                let follower = Follower { node: *node, state: Filling::Away, acknowledged: 0, full: false };
                self.followers.push(follower);
                if is_up(*node) {
                    self.fill(*node, send);
                }
            }
        }
    }

    /// Begins to send everything to a node.
    pub fn fill(&mut self, node: NodeId, send: Send<'_>) {
        let (group, epoch) = (self.group, self.epoch);
        let Some(follower) = self.followers.iter_mut().find(|follower| follower.node == node) else { return };
        follower.full = false;
        follower.acknowledged = 0;
        if send(node, Parcel::FillStart { group, epoch }) {
            let mut order = self.images.addresses();
            order.reverse();
            let open = order.iter().copied().collect();
            follower.state = Filling::Left { order, open };
        } else {
            follower.state = Filling::Away;
        }
    }

    /// The session with a node has ended. Effects still wait for it: until it is late, or the directors know.
    pub fn lost(&mut self, node: NodeId) {
        for follower in self.followers.iter_mut().filter(|follower| follower.node == node) {
            follower.state = Filling::Away;
        }
    }

    /// The directors know that the standby misses something: no effect needs to wait for one that is away.
    pub fn stop_waiting(&mut self) {
        for follower in self.followers.iter_mut().filter(|follower| matches!(follower.state, Filling::Away)) {
            follower.full = false;
        }
    }

    /// Whether any follower is being filled.
    pub fn is_filling(&self) -> bool {
        self.followers.iter().any(|follower| matches!(follower.state, Filling::Left { .. }))
    }

    /// Whether the next round has something to do.
    pub fn is_busy(&self) -> bool {
        let untold = self.told < self.released && !self.followers.is_empty();
        untold || !self.dormant.is_empty() || self.held() > 0 || self.is_filling() || self.yielding.is_some()
    }

    /// Sends the next images to followers that are filled, `bytes_max` to each.
    pub fn fill_round(&mut self, bytes_max: usize, now: Instant, send: Send<'_>) {
        let (group, epoch) = (self.group, self.epoch);
        for follower in &mut self.followers {
            let Filling::Left { order, open } = &mut follower.state else { continue };
            let mut bytes = 0;
            let mut broken = false;
            while bytes < bytes_max
                && let Some(address) = order.pop()
            {
                open.remove(&address);
                let Some(image) = self.images.get(address) else { continue };
                bytes += image.bytes() + RECORD_BYTES;
                for (parts, _) in patch::pieces(image.parts(), &[]) {
                    let record = Record {
                        group,
                        epoch,
                        number: 0,
                        address,
                        axis: image.axis(now),
                        parts,
                        patches: Vec::new(),
                        gone: false,
                        asked: image.asked.clone(),
                        answered: Vec::new(),
                        effects: Vec::new(),
                        released: self.released,
                    };
                    broken = broken || !send(follower.node, Parcel::Record(Box::new(record)));
                }
                if broken {
                    break;
                }
            }
            let end = order.is_empty();
            if broken {
                follower.state = Filling::Away;
            } else if end {
                let (number, sum) = (self.number, self.images.sum());
                let sent = send(follower.node, Parcel::FillEnd { group, epoch, number, sum });
                follower.state = if sent { Filling::Done } else { Filling::Away };
            }
        }
    }

    /// Tells followers what has left, so that they do not post it again.
    pub fn tell_released(&mut self, send: Send<'_>) {
        if self.told < self.released {
            self.told = self.released;
            let (group, epoch, number) = (self.group, self.epoch, self.released);
            for follower in self.followers.iter().filter(|follower| matches!(follower.state, Filling::Done)) {
                send(follower.node, Parcel::Released { group, epoch, number });
            }
        }
    }

    /// Questions of a machine that it has given up itself; looked for whenever the open ones have doubled.
    pub fn given_up(&self, address: Address, waits: &dyn Fn(Thread) -> bool) -> Vec<Thread> {
        let open = self.images.get(address).map(|image| image.asked.as_slice()).unwrap_or_default();
        if open.len() < QUESTIONS_MANY || !open.len().is_power_of_two() {
            return Vec::new();
        }
        open.iter().map(|mail| mail.thread).filter(|thread| !waits(*thread)).collect()
    }

    /// Takes a step: records it, and holds its effects while a follower is to have it first.
    pub fn step(&mut self, step: Step, now: Instant, may_act: bool, send: Lend<'_>) -> Released {
        let Step { address, axis, mut parts, mut gone, asked, answered, mut effects, left, receipts } = step;
        if parts.iter().any(|part| part.value.as_ref().is_some_and(|value| value.len() > PART_BYTES_MAX)) {
            // One machine that has been fed too much goes without a replica; it must not break the link for all others.
            warn!(kind = address.kind(), "state too large for a replica");
            self.unprotected += effects.len() as u64;
            gone = true;
            parts.clear();
        }
        let known = self.images.get(address);
        parts.retain(|part| known.is_none_or(|image| !image.has(part)));
        let was_there = known.is_some();
        let mut folded = parts.clone();
        let patches = match gone || self.followers.is_empty() {
            true => Vec::new(),
            false => patch::fold(&mut folded, known),
        };
        let changed = !parts.is_empty() || !asked.is_empty() || !answered.is_empty() || (gone && was_there);
        if gone {
            self.images.remove(address);
        } else {
            self.images.put(address, &parts);
            let image = self.images.open(address);
            image.offset = offset(axis, now);
            image.note(&asked, &answered);
        }
        // What changes nothing needs no record of its own: its effects wait for what came before.
        let is_held = !effects.is_empty() || !left.is_empty() || !receipts.is_empty();
        if changed || !effects.is_empty() || !left.is_empty() {
            // The next owner posts both again; of one list, what stands behind the effects was only lent to it.
            let own = effects.len();
            effects.extend(left);
            let (mut asked, mut answered) = (Some(asked), Some(answered));
            let mut pieces = patch::pieces(folded, &patches).into_iter().peekable();
            // What a step changes is in force with its last piece.
            while let Some((parts, patches)) = pieces.next() {
                self.number += 1;
                if self.followers.is_empty() {
                    continue;
                }
                let last = pieces.peek().is_none();
                let mut parcel = Parcel::Record(Box::new(Record {
                    group: self.group,
                    epoch: self.epoch,
                    number: self.number,
                    address,
                    axis,
                    parts,
                    patches,
                    gone: gone && last,
                    asked: asked.take_if(|_| last).unwrap_or_default(),
                    answered: answered.take_if(|_| last).unwrap_or_default(),
                    effects: if last { std::mem::take(&mut effects) } else { Vec::new() },
                    released: self.released,
                }));
                self.send_record(&parcel, send);
                if let Parcel::Record(record) = &mut parcel
                    && last
                {
                    effects = std::mem::take(&mut record.effects);
                }
            }
            effects.truncate(own);
        }
        if is_held {
            self.held.push_back(Held { number: self.number, since: now, effects, receipts });
        }
        self.release(may_act)
    }

    fn send_record(&mut self, parcel: &Parcel, send: Lend<'_>) {
        let Parcel::Record(record) = parcel else { return };
        self.told = self.released;
        for follower in &mut self.followers {
            match &follower.state {
                Filling::Away => continue,
                // Its image follows anyway, and newer.
                Filling::Left { open, .. } if open.contains(&record.address) => continue,
                Filling::Left { .. } | Filling::Done => {}
            }
            if !send(follower.node, parcel) {
                follower.state = Filling::Away;
            }
        }
    }

    /// A follower has everything up to `number`.
    pub fn acknowledged(&mut self, node: NodeId, number: u64, may_act: bool) -> Released {
        for follower in self.followers.iter_mut().filter(|follower| follower.node == node) {
            if matches!(follower.state, Filling::Done) {
                follower.acknowledged = follower.acknowledged.max(number);
                // One that fell behind counts again once it has caught up.
                follower.full |= follower.acknowledged >= self.number;
            }
        }
        self.release(may_act)
    }

    /// What no full follower is missing any more.
    pub fn release(&mut self, may_act: bool) -> Released {
        let mut released = Released::default();
        if !may_act {
            return released;
        }
        released.effects.append(&mut self.reposts);
        let full = self.followers.iter().filter(|follower| follower.full);
        let mut covered = full.map(|follower| follower.acknowledged).min().unwrap_or(u64::MAX);
        if fabric::mutant!(EffectsEarly) {
            covered = u64::MAX - 1;
        }
        let protected = covered != u64::MAX;
        while self.held.front().is_some_and(|held| held.number <= covered) {
            let Some(held) = self.held.pop_front() else { break };
            if !fabric::mutant!(ReleaseUntold) {
                self.released = self.released.max(held.number);
            }
            self.unprotected += if protected { 0 } else { held.effects.len() as u64 };
            released.effects.extend(held.effects);
            released.receipts.extend(held.receipts);
        }
        released
    }

    /// Effects wait too long: who keeps them waiting does not count until it has caught up (R1). One that is not heard has
    /// twice as long, since the directors are about to decide which of the two goes.
    pub fn hurry(&mut self, now: Instant, patience: Duration, is_deaf: impl Fn(NodeId) -> bool) -> bool {
        let Some(oldest) = self.held.front() else { return false };
        let waited = now.since(oldest.since);
        let mut late = false;
        for follower in self.followers.iter_mut().filter(|follower| follower.full) {
            let patience = if is_deaf(follower.node) { patience * 2 } else { patience };
            if waited >= patience && follower.acknowledged < oldest.number {
                follower.full = false;
                late = true;
            }
        }
        late
    }

    /// Whether a node has everything.
    pub fn is_full(&self, node: NodeId) -> bool {
        let has = |follower: &Follower| follower.full && matches!(follower.state, Filling::Done);
        self.followers.iter().any(|follower| follower.node == node && has(follower))
    }

    /// Whether nothing is under way: what was handled is with `next`, and nothing was handled for `quiet`.
    pub fn has_yielded(&self, next: NodeId, now: Instant, quiet: Duration) -> bool {
        let quiet = self.yielding.is_some_and(|since| now.since(since) >= quiet);
        let there =
            |follower: &Follower| follower.node == next && follower.full && follower.acknowledged == self.number;
        quiet && self.held() == 0 && self.followers.iter().any(there)
    }

    pub fn held(&self) -> usize {
        self.held.len() + usize::from(!self.reposts.is_empty())
    }

    /// Takes over what leaves, once more, as soon as this node may act: it stands in the records of the last owner.
    pub fn repost(&mut self, mail: Envelope) {
        self.reposts.push(mail);
    }

    /// Gives the slots for which `moves` holds to another group, here and at the followers.
    pub fn split(&mut self, group: GroupId, moves: impl Fn(Address) -> bool, slots: &[u16], send: Send<'_>) -> Primary {
        let images = self.images.split(&moves);
        let mut other = Primary::new(group, self.epoch, images);
        let (asleep, awake) = self.dormant.iter().copied().partition(|address| moves(*address));
        (other.dormant, self.dormant) = (asleep, awake);
        for follower in &mut self.followers {
            let mut its = Follower { node: follower.node, state: Filling::Away, acknowledged: 0, full: false };
            if matches!(follower.state, Filling::Done) {
                let (from, epoch, number) = (self.group, self.epoch, self.number);
                if send(follower.node, Parcel::Split { from, number, group, epoch, slots: slots.to_vec() }) {
                    (its.state, its.full) = (Filling::Done, follower.full);
                }
            }
            other.followers.push(its);
        }
        other
    }
}

/// What a record costs beside its parts, bytes.
const RECORD_BYTES: usize = 100;

/// Open questions of a machine that are not worth a look, count.
const QUESTIONS_MANY: usize = 8;

/// Largest part that is replicated, bytes: a parcel takes a mebibyte.
const PART_BYTES_MAX: usize = 768 << 10;
