//! Operator commands and what machines tell of themselves.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::flow::Traced;
use super::location::Binding;
use crate::{Key, NodeId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// To a call: end it now.
    HangUp,
    /// To balancers: refuse (503) or again accept new calls and registrations; in-dialog traffic goes on.
    Drain(bool),
    /// To balancers.
    Ban {
        address: IpAddr,
        seconds: u32,
        reason: String,
    },
    Unban(IpAddr),
    Bans,
    /// To a location shard: all its addresses-of-record.
    Bindings,
    /// To the tracer: messages of one key, or (`None`) the most recent ones.
    Trace {
        key: Option<Key>,
        messages_max: u32,
    },
    /// To the store port: subscriber data has changed, answer from the new one.
    Reload,
    /// Balancer → balancer: bans as they stand where they come from. Told again they change nothing.
    BanNews(Vec<SharedBan>),
    /// Balancer → balancer: a sum over its bans for each part of the table. Who has others sends what it has in those parts,
    /// and its own sums back unless this is an answer.
    BanSums {
        sums: Vec<u64>,
        answer: bool,
    },
    /// To the director of the same node: the operator's file names these nodes and pairs now.
    Members(Members),
}

/// What a balancer has decided about an address, and all others are to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedBan {
    /// Of IPv6 the network, /64.
    pub address: IpAddr,
    pub verdict: Verdict,
    /// The node that decided it.
    pub origin: NodeId,
    /// Rises with every decision about an address, wherever: the highest counts. Milliseconds since 1970 where clocks agree.
    pub stamp: u64,
    /// For how long from now, milliseconds.
    pub left_ms: u64,
    /// An operator's decision.
    pub by_hand: bool,
    pub reason: String,
}

/// What holds for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    Banned,
    /// A ban was lifted: kept until it would have ended, so that nobody brings it back.
    Lifted,
    /// A balancer knows a flow of this address that has answered a challenge: floods of datagrams, which anybody can forge,
    /// do not ban it.
    Vouched,
}

/// Nodes and pairs of the cluster, as an operator has written them down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Node, chassis, name.
    pub nodes: Vec<(NodeId, u16, String)>,
    /// Number, and the two nodes, of which the first is the active one of a pair that is new.
    pub pairs: Vec<(u16, [NodeId; 2])>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ControlAnswer {
    Done,
    Refused(String),
    Bans(Vec<BanEntry>),
    Bindings(Vec<(String, Vec<Binding>)>),
    Trace(Vec<Traced>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanEntry {
    pub address: IpAddr,
    /// Milliseconds since 1970.
    pub since_ms: u64,
    pub until_ms: u64,
    pub reason: String,
    /// Messages dropped since the ban.
    pub dropped: u64,
    /// The node that banned it.
    pub origin: NodeId,
}

/// Answer to `Letter::Describe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Description {
    Call(CallSummary),
    /// Name of the machine and its counters and states, in a stable order.
    Machine {
        name: String,
        facts: Vec<(String, String)>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSummary {
    pub key: Key,
    pub call_id: String,
    pub from: String,
    pub to: String,
    /// `trying`, `ringing`, `established`, `ending`, `ended`.
    pub state: String,
    /// Milliseconds since 1970; answer is 0 before there is one.
    pub init_ms: u64,
    pub answer_ms: u64,
    pub legs: u16,
}
