//! What time brings: beats, fills, restores, comparisons.

use fabric::letters::cluster::{Beat, GroupReport, Hearing};
use fabric::{Address, Envelope, Epoch, Instant, Letter, Parcel};
use tracing::warn;

use crate::office::{Inner, Office, Seat};

impl Office {
    pub(crate) fn beat(&self, inner: &mut Inner, now: Instant) {
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
        let table = inner.table.clone();
        let me = self.home.node;
        let listen = |deaf| inner.ears.listen(me, &table, deaf, now, |node| self.links.has_come(node));
        let deaf = self.settings.deaf().map(listen).unwrap_or_default();
        let rests = if self.needs_lease() { inner.lease.rests(now) } else { None };
        inner.lease.sent(now);
        let hearing = Hearing { node: me, boot: self.boot, sent: now, deaf, rests };
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
            let mut letters = vec![Letter::Beat(Box::new(beat.clone()))];
            if hearing.rests.is_some() || !hearing.deaf.is_empty() {
                letters.insert(0, Letter::Hearing(Box::new(hearing.clone())));
            }
            for letter in letters {
                let here = self.direct(inner, Envelope::new(me, Address::Director(*director), letter), now);
                inner.local.extend(here);
            }
        }
    }

    /// Background work of a moment: restores, fills, patience that has run out.
    pub(crate) fn round(&self, inner: &mut Inner, now: Instant) {
        let me = Address::Office(self.home.node);
        let mut revive = Vec::new();
        let needs_lease = self.needs_lease();
        for seat in inner.seats.values_mut() {
            let Seat::Active(primary) = seat else { continue };
            let rest = primary.dormant.len().saturating_sub(self.settings.revive_max);
            revive.extend(primary.dormant.split_off(rest).into_iter().rev());
            primary.fill_round(self.settings.fill_bytes_max, now, &mut |to, parcel| self.links.send(to, parcel));
            primary.tell_released(&mut |to, parcel| self.links.send(to, parcel));
            if primary.hurry(now, self.settings.unprotected(), |node| needs_lease && inner.ears.is_deaf(node)) {
                warn!(group = primary.group.0, "the standby does not acknowledge in time; going on unprotected");
            }
        }
        let letters = revive.into_iter().map(|address| Envelope::new(me, address, Letter::Revive));
        inner.local.extend(letters);
        self.release_all(inner, now);
        self.retry_waiting(inner, now);
    }

    pub(crate) fn digest(&self, inner: &mut Inner) {
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
