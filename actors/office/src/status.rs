//! What the office tells operators.

use fabric::{Epoch, GroupId, NodeId};
use serde::Serialize;

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
