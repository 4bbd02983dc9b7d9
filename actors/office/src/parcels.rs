//! What comes over the links.

use fabric::{Epoch, GroupId, Instant, NodeId, Parcel};
use tracing::error;

use crate::backup::{Backup, Taken};
use crate::office::{Inner, Office, Seat};

impl Office {
    pub(crate) fn session_begins(&self, inner: &mut Inner, node: NodeId) {
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
    pub(crate) fn session_ends(&self, inner: &mut Inner, node: NodeId, now: Instant) {
        inner.sessions.remove(&node);
        inner.unseated.retain(|_, (_, owner)| *owner != node);
        for seat in inner.seats.values_mut() {
            if let Seat::Active(primary) = seat {
                primary.lost(node);
            }
        }
        self.release_all(inner, now);
    }

    pub(crate) fn on_parcel(&self, inner: &mut Inner, from: NodeId, parcel: Parcel, now: Instant) {
        match parcel {
            Parcel::Mail { receipt, mail } => self.on_mail(inner, from, receipt, *mail, now),
            Parcel::Receipt(receipts) => receipts.into_iter().for_each(|receipt| inner.outgoing.received(receipt)),
            Parcel::FillStart { group, epoch } => {
                if self.is_follower(inner, group, epoch) {
                    // The next owner may be faster than the table that names it.
                    if matches!(inner.seats.get(&group), Some(Seat::Active(_))) {
                        self.resign(inner, group);
                    }
                    let backup = match inner.seats.remove(&group) {
                        Some(Seat::Backup(backup)) => backup.again(epoch, from),
                        _ => Backup::new(epoch, from),
                    };
                    inner.seats.insert(group, Seat::Backup(Box::new(backup)));
                    inner.unseated.remove(&group);
                }
            }
            Parcel::Record(record) => {
                let (group, epoch) = (record.group, record.epoch);
                let Some(backup) = inner.backup(group, epoch, from) else {
                    return self.ask_for_fill(inner, group, epoch, from);
                };
                let taken = backup.take(*record, now);
                inner.counts.records_in += 1;
                match taken {
                    Taken::Quiet => {}
                    Taken::Ack(number) => drop(inner.acks.insert((group, from), (epoch, number))),
                    Taken::Gap => drop(self.links.send(from, Parcel::Again { group, epoch })),
                }
            }
            Parcel::FillEnd { group, epoch, number, sum } => {
                let Some(backup) = inner.backup(group, epoch, from) else {
                    return self.ask_for_fill(inner, group, epoch, from);
                };
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

    /// The owner of a group sends what follows a fill that is no longer here: a table that is older than the fill did not
    /// name this node, and took its seat away. It is asked for everything again, once for each fill.
    fn ask_for_fill(&self, inner: &mut Inner, group: GroupId, epoch: Epoch, from: NodeId) {
        let stale = inner.fence.get(&group).is_some_and(|fence| epoch < *fence);
        let active = matches!(inner.seats.get(&group), Some(Seat::Active(primary)) if primary.epoch >= epoch);
        if stale || active || inner.unseated.insert(group, (epoch, from)) == Some((epoch, from)) {
            return;
        }
        self.links.send(from, Parcel::Again { group, epoch });
    }

    /// Whether records of this epoch may be taken here: the sender owns the group, as far as anybody knows.
    pub(crate) fn is_follower(&self, inner: &mut Inner, group: GroupId, epoch: Epoch) -> bool {
        let fence = inner.fence.entry(group).or_default();
        let stale = epoch < *fence;
        *fence = epoch.max(*fence);
        let active = matches!(inner.seats.get(&group), Some(Seat::Active(primary)) if primary.epoch >= epoch);
        if stale || active {
            inner.counts.stale_records += 1;
        }
        !stale && !active
    }
}
