//! One office a node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use fabric::letters::cluster::{Beat, GroupReport};
use fabric::{
    Address, Envelope, Epoch, Founder, GroupId, Home, Instant, Letter, NodeId, Now, Ownership, Parcel, Part, Post,
    SLOTS, Table,
};
use tracing::{error, info, warn};

use crate::backup::{Backup, Taken};
use crate::founding::Founding;
use crate::image::Images;
use crate::lease::Lease;
use crate::mail::{self, Outgoing};
use crate::primary::{Primary, Released, Step};
use crate::settings::Settings;
use crate::status::{Counts, GroupStatus, Status};

/// Carries parcels to other nodes.
pub trait Links: Send + Sync {
    /// Never blocks. `false`: there is no session, or its window is full and it will be ended; the office sends again
    /// what matters when `Office::on_link` says that a new one has begun.
    fn send(&self, to: NodeId, parcel: Parcel) -> bool;
}

/// Stands between the rooms of a node and the other nodes.
pub struct Office {
    home: Home,
    settings: Arc<Settings>,
    /// Nodes that vote on ownership.
    directors: Vec<NodeId>,
    boot: u64,
    roles: Arc<dyn Founder>,
    links: Arc<dyn Links>,
    local: OnceLock<Arc<dyn Post>>,
    inner: Mutex<Inner>,
}

struct Inner {
    table: Arc<Table>,
    /// Group of each slot.
    slots: Vec<Option<GroupId>>,
    seats: BTreeMap<GroupId, Seat>,
    /// Highest epoch seen of each group.
    fence: BTreeMap<GroupId, Epoch>,
    lease: Lease,
    outgoing: Outgoing,
    /// Letters for actors that are about to be ours, or are being handed over.
    waiting: Vec<(Instant, Envelope)>,
    /// Nodes with a session.
    sessions: BTreeSet<NodeId>,
    next_beat: Instant,
    next_round: Instant,
    next_digest: Instant,
    leaving: bool,
    counts: Counts,
    /// Letters for this node, delivered when the lock is free.
    local: Vec<Envelope>,
}

/// This node's part in a group.
enum Seat {
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
            lease: Lease::default(),
            outgoing: Outgoing::default(),
            waiting: Vec::new(),
            sessions: BTreeSet::new(),
            next_beat: Instant::default(),
            next_round: Instant::default(),
            next_digest: Instant::default(),
            leaving: false,
            counts: Counts::default(),
            local: Vec::new(),
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
            let inner = self.lock();
            self.give_receipts(&inner, &[mail.receipt]);
        }
    }

    /// A parcel has come over a link; the sender may send such parcels.
    pub fn receive(&self, from: NodeId, parcel: Parcel, now: Now) {
        let mut inner = self.lock();
        self.on_parcel(&mut inner, from, parcel, now.instant);
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

    pub fn status(&self, now: Now) -> Status {
        let inner = self.lock();
        let me = self.home.node;
        let groups = inner.table.groups.iter().map(|row| {
            let seat = inner.seats.get(&row.group);
            let (role, machines, dormant, held, number) = match seat {
                Some(Seat::Active(primary)) => {
                    let (machines, dormant) = (primary.images.len(), primary.dormant.len());
                    ("active", machines, dormant, primary.held(), primary.number)
                }
                Some(Seat::Backup(backup)) => {
                    let role = if row.learner == Some(me) { "learner" } else { "standby" };
                    (role, backup.images.len(), 0, 0, backup.number)
                }
                None => ("none", 0, 0, 0, 0),
            };
            GroupStatus {
                group: row.group,
                pair: row.pair,
                epoch: row.epoch,
                active: row.active,
                standby: row.standby,
                full: row.full,
                role,
                machines,
                dormant,
                held,
                number,
            }
        });
        let left = inner.lease.until().since(now.instant);
        let mut counts = inner.counts;
        (counts.resent, counts.given_up) = (inner.outgoing.resent, inner.outgoing.given_up);
        Status {
            node: me,
            version: inner.table.version,
            lease_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            links: inner.sessions.iter().copied().collect(),
            groups: groups.collect(),
            counts,
            warning: inner.table.warning.clone(),
        }
    }

    /// Sum over the images of each group held here: equal on both nodes of a pair when nothing is under way (I4).
    pub fn sums(&self) -> BTreeMap<GroupId, u64> {
        let inner = self.lock();
        let sum = |seat: &Seat| match seat {
            Seat::Active(primary) => primary.images.sum(),
            Seat::Backup(backup) => backup.images.sum(),
        };
        inner.seats.iter().map(|(group, seat)| (*group, sum(seat))).collect()
    }

    // For lodgers and their founder.

    pub(crate) fn defer(&self) -> Duration {
        self.settings.defer()
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

    /// Takes a machine's step. The letters that may leave at once; `None` when the machine is not the one any more.
    pub(crate) fn step(&self, epoch: Epoch, mut step: Step, mail: Vec<Envelope>, now: Now) -> Option<Vec<Envelope>> {
        let mut inner = self.lock();
        let group = inner.group_of(step.address)?;
        let mut leaving = Vec::new();
        for letter in mail {
            let inside = inner.group_of(letter.to) == Some(group) && !letter.letter.is_harmless();
            match inside || letter.letter.is_harmless() {
                true => leaving.push(letter),
                false => step.effects.push(letter),
            }
        }
        let may_act = self.may_act(&inner, now.instant);
        let Some(Seat::Active(primary)) = inner.seats.get_mut(&group) else { return None };
        if primary.epoch != epoch {
            return None;
        }
        let released = primary.step(step, now.instant, may_act, &mut |to, parcel| self.links.send(to, parcel));
        inner.counts.records_out += 1;
        self.give_receipts(&inner, &released.receipts);
        leaving.extend(released.effects);
        self.leave_lock(inner);
        Some(leaving)
    }

    // Inside.

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frees the lock and delivers what has come up for this node.
    fn leave_lock(&self, mut inner: MutexGuard<'_, Inner>) {
        let mail = std::mem::take(&mut inner.local);
        drop(inner);
        if let Some(post) = self.local.get() {
            mail.into_iter().for_each(|mail| post.post(mail));
        }
    }

    fn majority(&self) -> usize {
        self.directors.len() / 2 + 1
    }

    /// Without enough voters nobody takes over by itself, and nobody needs a lease against that.
    fn may_act(&self, inner: &Inner, now: Instant) -> bool {
        self.directors.len() < VOTERS_MIN || now < inner.lease.until()
    }

    /// Finds the way of a letter; `Some` for this node.
    fn direct(&self, inner: &mut Inner, mail: Envelope, now: Instant) -> Option<Envelope> {
        let me = self.home.node;
        if mail.to.slot().is_some() {
            if let Some(Seat::Active(primary)) = inner.group_of(mail.to).and_then(|group| inner.seats.get(&group)) {
                let inside = inner.group_of(mail.from) == Some(primary.group);
                if primary.yielding.is_none() || inside || matches!(mail.letter, Letter::Revive | Letter::Retire) {
                    return Some(mail);
                }
                inner.waiting.push((now, mail));
                return None;
            }
            if matches!(mail.letter, Letter::Retire) {
                return Some(mail);
            }
        }
        let to = self.target(&inner.table, &mail);
        if to == Some(me) && mail.to.slot().is_none() {
            return match mail.to {
                Address::Office(_) => {
                    self.on_letter(inner, mail, now);
                    None
                }
                _ => Some(mail),
            };
        }
        if to == Some(me) || !mail.letter.wants_receipt() {
            // Ours by the table, but not taken up yet; or not worth keeping.
            match to {
                Some(to) if to != me => drop(self.links.send(to, Parcel::Mail { receipt: 0, mail: Box::new(mail) })),
                Some(_) if inner.waiting.len() < self.settings.mail_max => inner.waiting.push((now, mail)),
                _ => {}
            }
            return None;
        }
        let receipt = inner.outgoing.keep(&mail, to, now, self.settings.mail_max);
        if let Some(to) = to {
            self.links.send(to, Parcel::Mail { receipt, mail: Box::new(mail) });
        }
        None
    }

    /// The node that a letter goes to, as far as it is known.
    fn target(&self, table: &Table, mail: &Envelope) -> Option<NodeId> {
        match mail.to {
            Address::Balancer(node, _) | Address::Flow(node) => Some(table.holder(node)),
            other => match other.node() {
                Some(node) => Some(node),
                None => table.owner_of(other)?.active,
            },
        }
    }

    fn session_begins(&self, inner: &mut Inner, node: NodeId) {
        inner.sessions.insert(node);
        for (receipt, mail) in inner.outgoing.for_node(node) {
            self.links.send(node, Parcel::Mail { receipt, mail: Box::new(mail) });
        }
        for seat in inner.seats.values_mut() {
            if let Seat::Active(primary) = seat
                && primary.followers.iter().any(|follower| follower.node == node)
            {
                primary.fill(node, &mut |to, parcel| self.links.send(to, parcel));
                inner.counts.fills += 1;
            }
        }
    }

    /// What backups hold stays good for a take-over; a new session fills them anew.
    fn session_ends(&self, inner: &mut Inner, node: NodeId, now: Instant) {
        inner.sessions.remove(&node);
        for seat in inner.seats.values_mut() {
            if let Seat::Active(primary) = seat {
                primary.lost(node);
            }
        }
        self.release_all(inner, now);
    }

    fn on_parcel(&self, inner: &mut Inner, from: NodeId, parcel: Parcel, now: Instant) {
        match parcel {
            Parcel::Mail { receipt, mail } => self.on_mail(inner, from, receipt, *mail, now),
            Parcel::Receipt(receipts) => receipts.into_iter().for_each(|receipt| inner.outgoing.received(receipt)),
            Parcel::FillStart { group, epoch } => {
                if self.is_follower(inner, group, epoch) {
                    let backup = match inner.seats.remove(&group) {
                        Some(Seat::Backup(backup)) => backup.again(epoch, from),
                        _ => Backup::new(epoch, from),
                    };
                    inner.seats.insert(group, Seat::Backup(Box::new(backup)));
                }
            }
            Parcel::Record(record) => {
                let (group, epoch) = (record.group, record.epoch);
                let Some(backup) = inner.backup(group, epoch, from) else { return };
                let taken = backup.take(*record, now);
                inner.counts.records_in += 1;
                match taken {
                    Taken::Quiet => {}
                    Taken::Ack(number) => drop(self.links.send(from, Parcel::Ack { group, epoch, number })),
                    Taken::Gap => drop(self.links.send(from, Parcel::Again { group, epoch })),
                }
            }
            Parcel::FillEnd { group, epoch, number, sum } => {
                let Some(backup) = inner.backup(group, epoch, from) else { return };
                let answer = match backup.filled(number, sum) {
                    true => Parcel::Ack { group, epoch, number },
                    false => {
                        inner.counts.differences += 1;
                        Parcel::Again { group, epoch }
                    }
                };
                self.links.send(from, answer);
            }
            Parcel::Digest { group, epoch, number, sum } => {
                let Some(backup) = inner.backup(group, epoch, from) else { return };
                if !backup.agrees(number, sum) {
                    error!(group = group.0, number, "the replicas differ; they are sent again");
                    inner.counts.differences += 1;
                    self.links.send(from, Parcel::Again { group, epoch });
                }
            }
            Parcel::Released { group, epoch, number } => {
                if let Some(backup) = inner.backup(group, epoch, from) {
                    backup.release(number);
                }
            }
            Parcel::Split { from: old, number, group, epoch, slots } => {
                let Some(backup) = inner.backup(old, epoch, from) else { return };
                let other = backup.split(number, |address| address.slot().is_some_and(|slot| slots.contains(&slot)));
                inner.seats.insert(group, Seat::Backup(Box::new(other)));
            }
            Parcel::Ack { group, epoch, number } => {
                let may_act = self.may_act(inner, now);
                let Some(primary) = inner.primary(group, epoch) else { return };
                let released = primary.acknowledged(from, number, may_act);
                self.let_go(inner, released, now);
            }
            Parcel::Again { group, epoch } => {
                let Some(primary) = inner.primary(group, epoch) else { return };
                primary.fill(from, &mut |to, parcel| self.links.send(to, parcel));
                inner.counts.fills += 1;
            }
        }
    }

    /// Whether records of this epoch may be taken here: the sender owns the group, as far as anybody knows.
    fn is_follower(&self, inner: &mut Inner, group: GroupId, epoch: Epoch) -> bool {
        let fence = inner.fence.entry(group).or_default();
        let stale = epoch < *fence;
        *fence = epoch.max(*fence);
        let active = matches!(inner.seats.get(&group), Some(Seat::Active(primary)) if primary.epoch >= epoch);
        if stale || active {
            inner.counts.stale_records += 1;
        }
        !stale && !active
    }

    fn on_mail(&self, inner: &mut Inner, from: NodeId, receipt: u64, mut mail: Envelope, now: Instant) {
        if let Some(group) = inner.group_of(mail.from) {
            let fence = inner.fence.entry(group).or_default();
            if mail.epoch < *fence {
                inner.counts.stale_letters += 1;
                // Its sender has been replaced; it need not keep what it sent.
                self.give_receipts(inner, &[mail::seal(from, receipt)]);
                return;
            }
            *fence = mail.epoch;
        }
        mail.receipt = if receipt == 0 { 0 } else { mail::seal(from, receipt) };
        if mail.to.slot().is_some() {
            match inner.group_of(mail.to).and_then(|group| inner.seats.get(&group)) {
                Some(Seat::Active(primary)) if primary.yielding.is_none() => inner.local.push(mail),
                // Perhaps the sender knows more than we do; if not, it will know soon.
                _ if inner.waiting.len() < self.settings.mail_max => inner.waiting.push((now, mail)),
                _ => {}
            }
            return;
        }
        if self.target(&inner.table, &mail) != Some(self.home.node) {
            return;
        }
        self.give_receipts(inner, &[mail.receipt]);
        mail.receipt = 0;
        match mail.to {
            Address::Office(_) => self.on_letter(inner, mail, now),
            _ => inner.local.push(mail),
        }
    }

    /// A letter for the office itself.
    fn on_letter(&self, inner: &mut Inner, mail: Envelope, now: Instant) {
        match mail.letter {
            Letter::Grant(grant) if grant.boot == self.boot && grant.granted => {
                inner.lease.granted(grant.director, grant.sent, self.majority(), self.settings.lease());
                self.release_all(inner, now);
            }
            Letter::Table(table) if table.version > inner.table.version => self.on_table(inner, table, now),
            _ => {}
        }
    }

    fn on_table(&self, inner: &mut Inner, table: Arc<Table>, now: Instant) {
        let me = self.home.node;
        let known = table.members.iter().any(|member| member.node == me && member.boot == self.boot);
        let mut slot = 0usize;
        for (slots, group) in &table.slots {
            let end = (slot + usize::from(*slots)).min(inner.slots.len());
            inner.slots[slot..end].fill(Some(*group));
            slot = end;
        }
        inner.table = table.clone();
        for row in &table.groups {
            let fence = inner.fence.entry(row.group).or_default();
            *fence = row.epoch.max(*fence);
        }
        if known {
            self.split_groups(inner);
        }
        let gone: Vec<GroupId> = inner.seats.keys().filter(|group| table.group(**group).is_none()).copied().collect();
        for group in gone {
            self.resign(inner, group);
        }
        for row in &table.groups {
            self.take_seat(inner, row, known, now);
        }
        self.redirect(inner, now);
        self.release_all(inner, now);
    }

    /// Groups that have become several: what is here is divided as the slots are.
    fn split_groups(&self, inner: &mut Inner) {
        let table = inner.table.clone();
        let me = self.home.node;
        for row in table.groups.iter().filter(|row| row.active == Some(me)) {
            if inner.seats.contains_key(&row.group) {
                continue;
            }
            let slots: Vec<u16> =
                (0..SLOTS).filter(|slot| inner.slots[usize::from(*slot)] == Some(row.group)).collect();
            let has = |address: Address| address.slot().is_some_and(|slot| slots.binary_search(&slot).is_ok());
            let parent = inner.seats.values_mut().find_map(|seat| match seat {
                Seat::Active(primary)
                    if primary.epoch == row.epoch && Some(primary.group) == parent_of(&table, row) =>
                {
                    Some(primary)
                }
                _ => None,
            });
            if let Some(parent) = parent {
                let other = parent.split(row.group, has, &slots, &mut |to, parcel| self.links.send(to, parcel));
                inner.seats.insert(row.group, Seat::Active(Box::new(other)));
            }
        }
    }

    /// Does what a row of the table asks of this node.
    fn take_seat(&self, inner: &mut Inner, row: &Ownership, known: bool, now: Instant) {
        let me = self.home.node;
        let active = known && row.active == Some(me);
        let follows = known && (row.standby == Some(me) || row.learner == Some(me));
        match inner.seats.get_mut(&row.group) {
            Some(Seat::Active(primary)) if active && primary.epoch == row.epoch => {}
            Some(Seat::Active(_)) => self.resign(inner, row.group),
            Some(Seat::Backup(backup)) if follows && backup.epoch == row.epoch && Some(backup.active) == row.active => {
                return;
            }
            Some(Seat::Backup(_)) if active => {}
            Some(Seat::Backup(backup)) if backup.epoch <= row.epoch && !follows => drop(inner.seats.remove(&row.group)),
            _ => {}
        }
        if !active {
            return;
        }
        if !matches!(inner.seats.get(&row.group), Some(Seat::Active(_))) {
            self.take_over(inner, row, now);
        }
        let sessions = inner.sessions.clone();
        if let Some(Seat::Active(primary)) = inner.seats.get_mut(&row.group) {
            let followers: Vec<NodeId> = row.standby.into_iter().chain(row.learner).collect();
            primary.set_followers(&followers, |node| sessions.contains(&node), &mut |to, parcel| {
                self.links.send(to, parcel)
            });
            if !row.full {
                primary.stop_waiting();
            }
            match row.next {
                Some(_) => drop(primary.yielding.get_or_insert(now)),
                None => primary.yielding = None,
            }
        }
    }

    /// This node becomes active for a group.
    fn take_over(&self, inner: &mut Inner, row: &Ownership, now: Instant) {
        let (images, effects) = match inner.seats.remove(&row.group) {
            Some(Seat::Backup(backup)) => backup.best(),
            _ => (Images::default(), Default::default()),
        };
        let first = row.epoch.0 <= 1;
        match images.len() {
            0 if first => info!(group = row.group.0, "group taken up"),
            0 => {
                inner.counts.cold_starts += 1;
                warn!(group = row.group.0, epoch = row.epoch.0, "group taken up without any state");
            }
            machines => {
                inner.counts.take_overs += 1;
                info!(group = row.group.0, epoch = row.epoch.0, machines, "group taken over");
            }
        }
        let primary = Primary::new(row.group, row.epoch, images);
        inner.seats.insert(row.group, Seat::Active(Box::new(primary)));
        inner.next_round = now;
        // What the last owner may not have got through.
        for (_, mail) in effects {
            let mail = Envelope { epoch: row.epoch, ..self.readdressed(mail) };
            let here = self.direct(inner, mail, now);
            inner.local.extend(here);
        }
    }

    /// This node is active no more: its machines end without a word.
    fn resign(&self, inner: &mut Inner, group: GroupId) {
        if let Some(Seat::Active(primary)) = inner.seats.remove(&group) {
            info!(group = group.0, epoch = primary.epoch.0, machines = primary.images.len(), "group given up");
            for address in primary.images.addresses() {
                inner.local.push(Envelope::new(Address::Office(self.home.node), address, Letter::Retire));
            }
        }
    }

    /// Sends kept mail where the new table says.
    fn redirect(&self, inner: &mut Inner, now: Instant) {
        let table = inner.table.clone();
        let moved = inner.outgoing.redirect(|mail| self.target(&table, mail));
        for (receipt, to, mail) in moved {
            if to == self.home.node {
                inner.outgoing.take(receipt);
                let here = self.direct(inner, mail, now);
                inner.local.extend(here);
            } else {
                self.links.send(to, Parcel::Mail { receipt, mail: Box::new(mail) });
            }
        }
        self.retry_waiting(inner, now);
    }

    /// Offers letters again that had to wait.
    fn retry_waiting(&self, inner: &mut Inner, now: Instant) {
        for (since, mail) in std::mem::take(&mut inner.waiting) {
            if now.since(since) > self.settings.hold() {
                inner.outgoing.given_up += 1;
                continue;
            }
            if mail.receipt == 0 {
                let before = inner.waiting.len();
                if let Some(mail) = self.direct(inner, mail, now) {
                    inner.local.push(mail);
                }
                inner.waiting[before..].iter_mut().for_each(|waiting| waiting.0 = since);
                continue;
            }
            match inner.group_of(mail.to).and_then(|group| inner.seats.get(&group)) {
                Some(Seat::Active(primary)) if primary.yielding.is_none() => inner.local.push(mail),
                // The sender keeps it, and sends it to whoever is the owner.
                Some(Seat::Active(_)) | None | Some(Seat::Backup(_)) => inner.waiting.push((since, mail)),
            }
        }
    }

    fn release_all(&self, inner: &mut Inner, now: Instant) {
        let may_act = self.may_act(inner, now);
        let mut all = Vec::new();
        for seat in inner.seats.values_mut() {
            if let Seat::Active(primary) = seat
                && primary.held() > 0
            {
                all.push(primary.release(may_act));
            }
        }
        for released in all {
            self.let_go(inner, released, now);
        }
    }

    /// Sends what may leave.
    fn let_go(&self, inner: &mut Inner, released: Released, now: Instant) {
        self.give_receipts(inner, &released.receipts);
        for mail in released.effects {
            let here = self.direct(inner, mail, now);
            inner.local.extend(here);
        }
    }

    fn give_receipts(&self, _inner: &Inner, sealed: &[u64]) {
        let mut by_node: BTreeMap<NodeId, Vec<u64>> = BTreeMap::new();
        for sealed in sealed {
            let (node, receipt) = mail::open(*sealed);
            if receipt != 0 {
                by_node.entry(node).or_default().push(receipt);
            }
        }
        for (node, receipts) in by_node {
            self.links.send(node, Parcel::Receipt(receipts));
        }
    }

    fn beat(&self, inner: &mut Inner, now: Instant) {
        let mut reports = Vec::new();
        for (group, seat) in &inner.seats {
            let row = inner.table.group(*group);
            let report = GroupReport {
                group: *group,
                epoch: Epoch::default(),
                standby_full: false,
                learner_full: false,
                yielded: false,
                machines: 0,
            };
            reports.push(match seat {
                Seat::Active(primary) => GroupReport {
                    epoch: primary.epoch,
                    standby_full: row.and_then(|row| row.standby).is_some_and(|node| primary.is_full(node)),
                    learner_full: row.and_then(|row| row.learner).is_some_and(|node| primary.is_full(node)),
                    yielded: row
                        .and_then(|row| row.next)
                        .is_some_and(|next| primary.has_yielded(next, now, self.settings.yielding())),
                    machines: u32::try_from(primary.images.len()).unwrap_or(u32::MAX),
                    ..report
                },
                Seat::Backup(backup) => GroupReport {
                    epoch: backup.epoch,
                    machines: u32::try_from(backup.images.len()).unwrap_or(u32::MAX),
                    ..report
                },
            });
        }
        inner.lease.sent(now);
        let beat = Beat {
            node: self.home.node,
            boot: self.boot,
            sent: now,
            version: inner.table.version,
            leaving: inner.leaving,
            reports,
        };
        for director in &self.directors {
            let me = Address::Office(self.home.node);
            let mail = Envelope::new(me, Address::Director(*director), Letter::Beat(Box::new(beat.clone())));
            let here = self.direct(inner, mail, now);
            inner.local.extend(here);
        }
    }

    /// Background work of a moment: restores, fills, patience that has run out.
    fn round(&self, inner: &mut Inner, now: Instant) {
        let me = Address::Office(self.home.node);
        let mut revive = Vec::new();
        for seat in inner.seats.values_mut() {
            let Seat::Active(primary) = seat else { continue };
            let rest = primary.dormant.len().saturating_sub(self.settings.revive_max);
            revive.extend(primary.dormant.split_off(rest).into_iter().rev());
            primary.fill_round(self.settings.fill_bytes_max, now, &mut |to, parcel| self.links.send(to, parcel));
            primary.tell_released(&mut |to, parcel| self.links.send(to, parcel));
            if primary.hurry(now, self.settings.unprotected()) {
                warn!(group = primary.group.0, "the standby does not acknowledge in time; going on unprotected");
            }
        }
        let letters = revive.into_iter().map(|address| Envelope::new(me, address, Letter::Revive));
        inner.local.extend(letters);
        self.release_all(inner, now);
        inner.counts.unprotected = inner.seats.values().fold(inner.counts.unprotected, |sum, seat| match seat {
            Seat::Active(primary) => sum + primary.unprotected,
            Seat::Backup(_) => sum,
        });
        inner.seats.values_mut().for_each(|seat| {
            if let Seat::Active(primary) = seat {
                primary.unprotected = 0;
            }
        });
        self.retry_waiting(inner, now);
    }

    fn digest(&self, inner: &mut Inner) {
        for seat in inner.seats.values() {
            let Seat::Active(primary) = seat else { continue };
            let (group, epoch) = (primary.group, primary.epoch);
            let (number, sum) = (primary.number, primary.images.sum());
            for follower in primary.followers.iter().filter(|follower| follower.full) {
                self.links.send(follower.node, Parcel::Digest { group, epoch, number, sum });
            }
        }
    }
}

impl Inner {
    fn group_of(&self, address: Address) -> Option<GroupId> {
        self.slots[usize::from(address.slot()?)]
    }

    fn primary(&mut self, group: GroupId, epoch: Epoch) -> Option<&mut Primary> {
        match self.seats.get_mut(&group) {
            Some(Seat::Active(primary)) if primary.epoch == epoch => Some(primary),
            _ => None,
        }
    }

    /// What is held here of a group for this sender; counts what an old owner sends.
    fn backup(&mut self, group: GroupId, epoch: Epoch, from: NodeId) -> Option<&mut Backup> {
        if self.fence.get(&group).is_some_and(|fence| epoch < *fence) {
            self.counts.stale_records += 1;
            return None;
        }
        match self.seats.get_mut(&group) {
            Some(Seat::Backup(backup)) if backup.epoch == epoch && backup.active == from => Some(backup),
            _ => None,
        }
    }
}

/// The group that a new one was cut out of: the one of the same pair's nodes that shares its epoch and owner.
fn parent_of(table: &Table, row: &Ownership) -> Option<GroupId> {
    let same = |other: &&Ownership| other.group < row.group && other.active == row.active && other.epoch == row.epoch;
    table.groups.iter().find(same).map(|other| other.group)
}

/// Below this number of directors nothing is taken over by itself.
const VOTERS_MIN: usize = 3;
