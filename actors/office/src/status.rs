//! What the office tells operators.

use std::collections::BTreeMap;

use fabric::{Epoch, GroupId, NodeId, Now};
use serde::Serialize;

use crate::office::{Inner, Office, Seat};

#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    pub node: NodeId,
    /// Version of the table in force.
    pub version: u64,
    /// What the lease has left, milliseconds; 0 when it is over.
    pub lease_ms: u64,
    pub links: Vec<NodeId>,
    pub groups: Vec<GroupStatus>,
    pub counts: Counts,
    /// Why nothing is taken over by itself; empty when it is.
    pub warning: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupStatus {
    pub group: GroupId,
    pub pair: u16,
    pub epoch: Epoch,
    pub active: Option<NodeId>,
    pub standby: Option<NodeId>,
    /// The standby has everything.
    pub full: bool,
    /// `active`, `standby`, `learner` or `none`: what this node is.
    pub role: &'static str,
    /// Machines held here, count.
    pub machines: usize,
    /// Of these, still to be brought to life after a take-over.
    pub dormant: usize,
    /// Steps whose effects wait for the standby.
    pub held: usize,
    /// Number of the last record.
    pub number: u64,
}

/// Since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Letters of former owners that were refused.
    pub stale_letters: u64,
    /// Records of former owners that were refused.
    pub stale_records: u64,
    /// Of either, what was taken although the table in force names another owner: always 0.
    pub stale_taken: u64,
    /// Effects that left without being on a second chassis.
    pub unprotected: u64,
    /// Letters sent again after a change of owner or a broken session.
    pub resent: u64,
    /// Letters given up after `hold_ms`.
    pub given_up: u64,
    /// Groups taken over, and taken up without their state.
    pub take_overs: u64,
    pub cold_starts: u64,
    /// Machines restored from a replica, and images that could not be read.
    pub restored: u64,
    pub unreadable: u64,
    /// Fills and comparisons that found a difference.
    pub fills: u64,
    pub differences: u64,
    /// Records written and received.
    pub records_out: u64,
    pub records_in: u64,
}

impl Office {
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
        counts.unprotected = unprotected(&inner);
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

    /// Effects that have left since the start of the process without being on a second chassis, count.
    pub fn unprotected(&self) -> u64 {
        unprotected(&self.lock())
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
}

/// Those of the groups that are active here, and of those that were.
fn unprotected(inner: &Inner) -> u64 {
    let here = inner.seats.values().map(|seat| match seat {
        Seat::Active(primary) => primary.unprotected,
        Seat::Backup(_) => 0,
    });
    inner.counts.unprotected + here.sum::<u64>()
}
