//! What the directors' table asks of this node.

use std::sync::Arc;

use fabric::{Address, Envelope, GroupId, Instant, Letter, NodeId, Ownership, SLOTS, Table};
use tracing::{info, warn};

use crate::image::Images;
use crate::office::{Inner, Office, Seat};
use crate::primary::Primary;

impl Office {
    /// What the table says of this process: whether it is up; `None` when it means another one.
    pub(crate) fn standing(&self, inner: &Inner) -> Option<bool> {
        let mut members = inner.table.members.iter();
        members.find(|member| member.node == self.home.node && member.boot == self.boot).map(|member| member.up)
    }

    pub(crate) fn on_table(&self, inner: &mut Inner, table: Arc<Table>, now: Instant) {
        let me = self.home.node;
        let known = table.members.iter().any(|member| member.node == me && member.boot == self.boot);
        let before = inner.slots.clone();
        let mut slot = 0usize;
        for (slots, group) in &table.slots {
            let end = (slot + usize::from(*slots)).min(inner.slots.len());
            inner.slots[slot..end].fill(Some(*group));
            slot = end;
        }
        inner.table = table.clone();
        if self.standing(inner) == Some(false) {
            // Shut out, or held for dead: others take over as soon as they know that this node has stopped.
            inner.lease.give_up(now);
        }
        for row in &table.groups {
            let fence = inner.fence.entry(row.group).or_default();
            *fence = row.epoch.max(*fence);
        }
        if known {
            self.split_groups(inner, &before);
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
    pub(crate) fn split_groups(&self, inner: &mut Inner, before: &[Option<GroupId>]) {
        let table = inner.table.clone();
        let me = self.home.node;
        for row in table.groups.iter().filter(|row| row.active == Some(me)) {
            if inner.seats.contains_key(&row.group) {
                continue;
            }
            let its = |slot: &u16| inner.slots[usize::from(*slot)] == Some(row.group);
            let slots: Vec<u16> = (0..SLOTS).filter(its).collect();
            let has = |address: Address| address.slot().is_some_and(|slot| slots.binary_search(&slot).is_ok());
            let parent = slots.first().and_then(|slot| before[usize::from(*slot)]);
            let seat = parent.and_then(|parent| inner.seats.get_mut(&parent));
            if let Some(Seat::Active(primary)) = seat
                && primary.epoch == row.epoch
            {
                let other = primary.split(row.group, has, &slots, &mut |to, parcel| self.links.send(to, parcel));
                inner.seats.insert(row.group, Seat::Active(Box::new(other)));
            }
        }
    }

    /// Does what a row of the table asks of this node.
    pub(crate) fn take_seat(&self, inner: &mut Inner, row: &Ownership, known: bool, now: Instant) {
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
    pub(crate) fn take_over(&self, inner: &mut Inner, row: &Ownership, now: Instant) {
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
        let mut primary = Primary::new(row.group, row.epoch, images);
        // What the last owner may not have got through.
        for (_, mail) in effects {
            primary.repost(Envelope { epoch: row.epoch, ..self.readdressed(mail) });
        }
        inner.seats.insert(row.group, Seat::Active(Box::new(primary)));
        inner.next_round = now;
    }

    /// This node is active no more: its machines end without a word.
    pub(crate) fn resign(&self, inner: &mut Inner, group: GroupId) {
        if let Some(Seat::Active(primary)) = inner.seats.remove(&group) {
            info!(group = group.0, epoch = primary.epoch.0, machines = primary.images.len(), "group given up");
            inner.counts.unprotected += primary.unprotected;
            for address in primary.images.addresses() {
                inner.local.push(Envelope::new(Address::Office(self.home.node), address, Letter::Retire));
            }
        }
    }
}
