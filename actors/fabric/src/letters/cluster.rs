//! Between the nodes' offices and the directors, who decide who owns what.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Epoch, GroupId, Instant, NodeId};

/// A node says that it lives, every 50 ms, to every director.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    pub node: NodeId,
    /// Differs after each start of the process.
    pub boot: u64,
    /// When it was sent, on the sender's clock; the lease counts from here.
    pub sent: Instant,
    /// Version of the table that the sender obeys.
    pub version: u64,
    /// Its process is being ended by an operator: take everything away first.
    pub leaving: bool,
    /// What it does for each group that it has a part in.
    pub reports: Vec<GroupReport>,
}

/// Whom a node does not hear, and whether it acts at all; goes to every director just before the beat that was `sent` in
/// the same moment. A beat without one says: I hear everybody, and I have a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    pub node: NodeId,
    pub boot: u64,
    /// `Beat::sent` of the beat that follows.
    pub sent: Instant,
    /// Nodes from which nothing has come over the link, or that have no link, for longer than a hiccup lasts.
    pub deaf: Vec<NodeId>,
    /// It has no lease, and takes none that was granted to a beat sent before this moment on its own clock.
    pub rests: Option<Instant>,
}

/// What a director is told of who hears whom, for the leading one; goes just before the report of the same round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divides {
    /// As in the report.
    pub director: NodeId,
    pub boot: u64,
    pub term: u64,
    pub round: u64,
    /// Version of the table that the reporter obeyed.
    pub version: u64,
    /// The first does not hear the second, and this director hears both.
    pub apart: Vec<(NodeId, NodeId)>,
    /// Shut out by that table, and without any lease that this director could have helped to.
    pub resting: Vec<NodeId>,
    /// Heard, not shut out, and for a while without a lease: they do not hear the directors.
    pub idle: Vec<NodeId>,
}

/// A node's part in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    pub group: GroupId,
    pub epoch: Epoch,
    /// From the active node: its standby (its learner) has everything. From others always false.
    pub standby_full: bool,
    pub learner_full: bool,
    /// From the active node: it has stopped and everything is with its successor (`Ownership::next`).
    pub yielded: bool,
    /// Machines or images held, count; for people.
    pub machines: u32,
}

/// A director's answer to a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub director: NodeId,
    /// `boot` and `sent` of the beat.
    pub boot: u64,
    pub sent: Instant,
    /// This director does not hold the sender for dead, and will not help to replace it before the lease is over.
    pub granted: bool,
}

/// What a director hears of the nodes, told to the leading one every 50 ms; and the leader's answer to it.
///
/// Who is `silent` here gets no grant from this director any more. It gets one again only when the leader of the same
/// term has answered a later round that says `heard`: so the leader may act on what it was told, however late it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silences {
    /// Who says this.
    pub director: NodeId,
    /// Start of the process that reports; the answer repeats it.
    pub boot: u64,
    pub term: u64,
    /// Number of the report since `boot`; the answer repeats it.
    pub round: u64,
    /// Not heard for longer than a lease lasts.
    pub silent: Vec<NodeId>,
    /// Heard since, with the start of its process; in an answer: may be granted leases again.
    pub heard: Vec<(NodeId, u64)>,
    /// Those of them that are about to end.
    pub leaving: Vec<NodeId>,
    /// The reporter's journal was empty when it started, and still is.
    pub fresh: bool,
    /// Sum over the reporter's settings of members, pairs and sites.
    pub settings: u64,
    /// Only in the leader's answer: version of the table that it has decided.
    pub answer: Option<u64>,
}

/// A piece of a director's Raft state, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalEntry {
    /// Term, vote and commit index.
    Hard(Bytes),
    /// A log entry at its index; replaces what stood there and everything behind it.
    Log(u64, Bytes),
    /// State at an index; what came before it may be forgotten.
    Snapshot(u64, Bytes),
}

/// What an operator, or a node that leaves, wants changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Make this node active for every group (or one) that it is the full standby of.
    MakeActive { node: NodeId, group: Option<GroupId> },
    /// Hand all that this node is active for to the standbys.
    MakeStandby { node: NodeId, group: Option<GroupId> },
    /// Let this node hold the addresses of a balancer site.
    HoldSite { site: NodeId, node: NodeId },
    /// Make this node active for every group (or one) of its pairs although the present active node says nothing and the
    /// directors may not, or cannot, replace it: the operator has seen that it is dead. Of two voters the one that is
    /// left goes on alone after this.
    Force { node: NodeId, group: Option<GroupId> },
}
