//! One office a node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fabric::{
    Address, Envelope, Epoch, Founder, GroupId, Home, Instant, NodeId, Now, Parcel, Part, Post, SLOTS, Table, Thread,
};

use crate::backup::Backup;
use crate::ears::Ears;
use crate::founding::Founding;
use crate::lease::Lease;
use crate::mail::{self, Outgoing};
use crate::primary::{Primary, Step};
use crate::settings::Settings;
use crate::status::Counts;

/// Carries parcels to other nodes.
pub trait Links: Send + Sync {
    /// Never blocks. `false`: there is no session, or its window is full and it will be ended; the office sends again
    /// what matters when `Office::on_link` says that a new one has begun.
    fn send(&self, to: NodeId, parcel: Parcel) -> bool;

    /// Whether anything at all has come from a node since this was asked last; links carry something at least every
    /// `keep_alive_ms`.
    fn has_come(&self, from: NodeId) -> bool;

    /// The same, of a parcel that the office needs again.
    fn lend(&self, to: NodeId, parcel: &Parcel) -> bool {
        self.send(to, parcel.clone())
    }
}

/// Stands between the rooms of a node and the other nodes.
pub struct Office {
    pub(crate) home: Home,
    pub(crate) settings: Arc<Settings>,
    /// Nodes that vote on ownership.
    pub(crate) directors: Vec<NodeId>,
    pub(crate) boot: u64,
    pub(crate) roles: Arc<dyn Founder>,
    pub(crate) links: Arc<dyn Links>,
    pub(crate) local: OnceLock<Arc<dyn Post>>,
    pub(crate) inner: Mutex<Inner>,
}

pub(crate) struct Inner {
    pub(crate) table: Arc<Table>,
    /// Group of each slot.
    pub(crate) slots: Vec<Option<GroupId>>,
    pub(crate) seats: BTreeMap<GroupId, Seat>,
    /// Highest epoch seen of each group.
    pub(crate) fence: BTreeMap<GroupId, Epoch>,
    /// Groups whose owner was asked for a fill, with its epoch: what it sends meanwhile has no seat here.
    pub(crate) unseated: BTreeMap<GroupId, (Epoch, NodeId)>,
    pub(crate) lease: Lease,
    pub(crate) ears: Ears,
    pub(crate) outgoing: Outgoing,
    /// Letters for actors that are about to be ours, or are being handed over.
    pub(crate) waiting: Vec<(Instant, Envelope)>,
    /// Nodes with a session.
    pub(crate) sessions: BTreeSet<NodeId>,
    pub(crate) next_beat: Instant,
    pub(crate) next_round: Instant,
    pub(crate) next_digest: Instant,
    pub(crate) leaving: bool,
    pub(crate) counts: Counts,
    /// Letters for this node, delivered when the lock is free.
    pub(crate) local: Vec<Envelope>,
    /// Acknowledgements that are due when everything that came together is dealt with: who gets them, and up to which number.
    pub(crate) acks: BTreeMap<(GroupId, NodeId), (Epoch, u64)>,
    /// The same of receipts.
    pub(crate) receipts: BTreeMap<NodeId, Vec<u64>>,
}

/// This node's part in a group.
pub(crate) enum Seat {
    Active(Box<Primary>),
    Backup(Box<Backup>),
}

/// Whether a machine may be founded here.
pub(crate) enum Claim {
    /// Somebody else owns it.
    Refused,
    /// It is ours, and new.
    New(Epoch),
    Image {
        epoch: Epoch,
        parts: Vec<Part>,
        offset: i64,
        asked: Vec<Envelope>,
    },
}

impl Office {
    /// An office for `home`'s node; `boot` differs after every start. Machines are founded by `roles`, through `founder`.
    pub fn new(
        home: &Home,
        settings: Arc<Settings>,
        directors: Vec<NodeId>,
        boot: u64,
        roles: Arc<dyn Founder>,
        links: Arc<dyn Links>,
    ) -> Arc<Office> {
        let inner = Inner {
            table: Arc::default(),
            slots: vec![None; usize::from(SLOTS)],
            seats: BTreeMap::new(),
            fence: BTreeMap::new(),
            unseated: BTreeMap::new(),
            lease: Lease::default(),
            ears: Ears::default(),
            outgoing: Outgoing::default(),
            waiting: Vec::new(),
            sessions: BTreeSet::new(),
            next_beat: Instant::default(),
            next_round: Instant::default(),
            next_digest: Instant::default(),
            leaving: false,
            counts: Counts::default(),
            local: Vec::new(),
            acks: BTreeMap::new(),
            receipts: BTreeMap::new(),
        };
        let (home, local, inner) = (*home, OnceLock::new(), Mutex::new(inner));
        Arc::new(Office { home, settings, directors, boot, roles, links, local, inner })
    }

    /// What the host founds machines with.
    pub fn founder(self: &Arc<Self>) -> Arc<dyn Founder> {
        Arc::new(Founding { office: self.clone(), roles: self.roles.clone() })
    }

    /// Where letters for rooms and ports of this node go; must not route them again. Said once, at boot.
    pub fn set_local(&self, post: Arc<dyn Post>) {
        // A second host would be a mistake of the node's boot; the first one stays.
        let _ = self.local.set(post);
    }

    /// Where a letter goes: `Some` is for a room or port here, `None` is taken care of.
    pub fn route(&self, mail: Envelope, now: Now) -> Option<Envelope> {
        let mut inner = self.lock();
        let here = self.direct(&mut inner, mail, now.instant);
        self.leave_lock(inner);
        here
    }

    /// Nobody here could take this letter: nothing will come of it, and its sender need not keep it.
    pub fn refused(&self, mail: &Envelope) {
        if mail.receipt != 0 {
            let mut inner = self.lock();
            inner.give_receipts(&[mail.receipt]);
            self.leave_lock(inner);
        }
    }

    /// A parcel has come over a link; the sender may send such parcels.
    pub fn receive(&self, from: NodeId, parcel: Parcel, now: Now) {
        self.receive_all(from, &mut vec![parcel], now);
    }

    /// Parcels have come together: records among them are acknowledged at once.
    pub fn receive_all(&self, from: NodeId, parcels: &mut Vec<Parcel>, now: Now) {
        let mut inner = self.lock();
        for parcel in parcels.drain(..) {
            self.on_parcel(&mut inner, from, parcel, now.instant);
        }
        for ((group, to), (epoch, number)) in std::mem::take(&mut inner.acks) {
            self.links.send(to, Parcel::Ack { group, epoch, number });
        }
        self.leave_lock(inner);
    }

    /// A session with a node has begun (nothing of an earlier one will come), or has ended.
    pub fn on_link(&self, node: NodeId, up: bool, now: Now) {
        let mut inner = self.lock();
        match up {
            true => self.session_begins(&mut inner, node),
            false => self.session_ends(&mut inner, node, now.instant),
        }
        self.leave_lock(inner);
    }

    /// Work that time brings.
    pub fn wake(&self, now: Now) {
        let mut inner = self.lock();
        let now = now.instant;
        if now >= inner.next_beat {
            inner.next_beat = now + self.settings.beat();
            self.beat(&mut inner, now);
            inner.outgoing.expire(now, self.settings.hold());
        }
        if now >= inner.next_round {
            inner.next_round = now + self.settings.round();
            self.round(&mut inner, now);
        }
        if now >= inner.next_digest {
            inner.next_digest = now + self.settings.digest();
            self.digest(&mut inner);
        }
        self.leave_lock(inner);
    }

    /// When `wake` is to be called next.
    pub fn deadline(&self) -> Instant {
        let inner = self.lock();
        let busy = !inner.waiting.is_empty()
            || inner.seats.values().any(|seat| match seat {
                Seat::Active(primary) => primary.is_busy(),
                Seat::Backup(_) => false,
            });
        if busy { inner.next_round.min(inner.next_beat) } else { inner.next_beat }
    }

    /// From now on the directors are asked to take everything away.
    pub fn leave(&self) {
        self.lock().leaving = true;
    }

    /// Whether this node owns nothing and holds nobody's addresses any more.
    pub fn has_left(&self) -> bool {
        let inner = self.lock();
        let active = inner.seats.values().any(|seat| matches!(seat, Seat::Active(_)));
        let sites = inner.table.sites.iter().any(|site| site.holder == self.home.node);
        !active && !sites
    }

    pub fn table(&self) -> Arc<Table> {
        self.lock().table.clone()
    }

    // For lodgers and their founder.

    /// When a step without consequences is recorded: all machines of a node at the same moments, so that they share a
    /// wake-up and a write.
    pub(crate) fn record_due(&self, since: Instant) -> Instant {
        let defer_us = u64::from(self.settings.defer_ms) * 1_000;
        match defer_us {
            0 => since,
            _ => Instant((since.0 / defer_us + 1).saturating_mul(defer_us)),
        }
    }

    pub(crate) fn count(&self, what: impl FnOnce(&mut Counts)) {
        what(&mut self.lock().counts);
    }

    /// Whether a machine may be founded at this address, and from what.
    pub(crate) fn claim(&self, address: Address) -> Claim {
        let inner = self.lock();
        match inner.group_of(address).and_then(|group| inner.seats.get(&group)) {
            Some(Seat::Active(primary)) => match primary.images.get(address) {
                None => Claim::New(primary.epoch),
                Some(image) => Claim::Image {
                    epoch: primary.epoch,
                    parts: image.parts(),
                    offset: image.offset,
                    asked: image.asked.clone(),
                },
            },
            _ => Claim::Refused,
        }
    }

    /// Whether a machine of this address that was founded in this epoch is still the one.
    pub(crate) fn is_tenant(&self, address: Address, epoch: Epoch) -> bool {
        let inner = self.lock();
        let seat = inner.group_of(address).and_then(|group| inner.seats.get(&group));
        matches!(seat, Some(Seat::Active(primary)) if primary.epoch == epoch)
    }

    /// Keeps a letter that came to a machine which is not the one any more.
    pub(crate) fn postpone(&self, mail: Envelope, now: Now) {
        let mut inner = self.lock();
        if inner.waiting.len() < self.settings.mail_max {
            inner.waiting.push((now.instant, mail));
        }
    }

    /// A question of a machine's last life, as this node asks it.
    pub(crate) fn readdressed(&self, mut mail: Envelope) -> Envelope {
        let me = self.home.node;
        mail.to = match mail.to {
            Address::Store(_) => Address::Store(me),
            Address::Records(_) => Address::Records(me),
            Address::Names(_) => Address::Names(me),
            Address::Tracer(_) => Address::Tracer(me),
            other => other,
        };
        (mail.hops, mail.receipt) = (0, 0);
        mail
    }

    /// Takes a machine's step; `waits` says which answers the machine still waits for. The letters that may leave at once;
    /// `None` when the machine is not the one any more.
    pub(crate) fn step(
        &self,
        epoch: Epoch,
        mut step: Step,
        mail: Vec<Envelope>,
        waits: &dyn Fn(Thread) -> bool,
        now: Now,
    ) -> Option<Vec<Envelope>> {
        let mut inner = self.lock();
        let group = inner.group_of(step.address)?;
        let mut leaving = Vec::new();
        for letter in mail {
            let inside = inner.group_of(letter.to) == Some(group) && !letter.letter.is_harmless();
            if !inside && !letter.letter.is_harmless() {
                step.effects.push(letter);
                continue;
            }
            if inside && letter.thread == Thread::NONE {
                step.left.push(letter.clone());
            }
            leaving.push(letter);
        }
        let may_act = self.may_act(&inner, now.instant);
        let Some(Seat::Active(primary)) = inner.seats.get_mut(&group) else { return None };
        if primary.epoch != epoch {
            return None;
        }
        step.answered.extend(primary.given_up(step.address, waits));
        let released = primary.step(step, now.instant, may_act, &mut |to, parcel| self.links.lend(to, parcel));
        inner.counts.records_out += 1;
        inner.give_receipts(&released.receipts);
        leaving.extend(released.effects);
        self.leave_lock(inner);
        Some(leaving)
    }

    // Inside.

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives receipts, frees the lock and delivers what has come up for this node.
    pub(crate) fn leave_lock(&self, mut inner: MutexGuard<'_, Inner>) {
        for (node, receipts) in std::mem::take(&mut inner.receipts) {
            self.links.send(node, Parcel::Receipt(receipts));
        }
        let mail = std::mem::take(&mut inner.local);
        drop(inner);
        if let Some(post) = self.local.get() {
            mail.into_iter().for_each(|mail| post.post(mail));
        }
    }

    pub(crate) fn majority(&self) -> usize {
        self.directors.len() / 2 + 1
    }

    /// Without enough voters nobody takes over by itself, and nobody needs a lease against that.
    pub(crate) fn may_act(&self, inner: &Inner, now: Instant) -> bool {
        !self.needs_lease() || now < inner.lease.until() || fabric::mutant!(LeaseIgnored)
    }

    pub(crate) fn needs_lease(&self) -> bool {
        self.directors.len() >= VOTERS_MIN
    }
}

impl Inner {
    /// The effects of letters are on two chassis: their senders need not keep them.
    pub(crate) fn give_receipts(&mut self, sealed: &[u64]) {
        for sealed in sealed {
            let (node, receipt) = mail::open(*sealed);
            if receipt != 0 {
                self.receipts.entry(node).or_default().push(receipt);
            }
        }
    }

    pub(crate) fn group_of(&self, address: Address) -> Option<GroupId> {
        self.slots[usize::from(address.slot()?)]
    }

    pub(crate) fn primary(&mut self, group: GroupId, epoch: Epoch) -> Option<&mut Primary> {
        match self.seats.get_mut(&group) {
            Some(Seat::Active(primary)) if primary.epoch == epoch => Some(primary),
            _ => None,
        }
    }

    /// What is held here of a group for this sender; counts what an old owner sends.
    pub(crate) fn backup(&mut self, group: GroupId, epoch: Epoch, from: NodeId) -> Option<&mut Backup> {
        if self.fence.get(&group).is_some_and(|fence| epoch < *fence) {
            self.counts.stale_records += 1;
            return None;
        }
        let is_ours =
            |seat: &Seat| matches!(seat, Seat::Backup(backup) if backup.epoch == epoch && backup.active == from);
        if !self.seats.get(&group).is_some_and(is_ours) {
            return None;
        }
        self.note_taken(group, epoch);
        match self.seats.get_mut(&group) {
            Some(Seat::Backup(backup)) => Some(backup),
            _ => None,
        }
    }

    /// Something of an owner is being taken: was it one that this node's own table has replaced? The fence is to see to it
    /// that it never is, and this does not look at the fence.
    pub(crate) fn note_taken(&mut self, group: GroupId, epoch: Epoch) {
        if self.table.group(group).is_some_and(|row| epoch < row.epoch) {
            self.counts.stale_taken += 1;
        }
    }
}

/// Below this number of directors nothing is taken over by itself.
const VOTERS_MIN: usize = 3;
