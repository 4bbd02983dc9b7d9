//! What a run has to say: everything that a table, a picture or another program needs, and nothing of the machines themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The whole run of one seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    pub seed: u64,
    /// Name of the plan.
    pub plan: String,
    /// Hash of everything that happened, with its times: equal for equal seed and commit (I32).
    #[serde(with = "hexadecimal")]
    pub hash: u64,
    /// How long the carrier lived, milliseconds.
    pub simulated_ms: u64,
    /// Events of the heap and letters that machines took, count.
    pub events: u64,
    pub letters: u64,
    /// What broke, in order of time.
    pub failures: Vec<Failure>,
    pub counts: Counts,
    /// How often each invariant was looked at; one that is absent was not.
    pub checked: BTreeMap<u8, u64>,
    pub faults: Vec<FaultDone>,
    /// What should happen now and then, and how often it did.
    pub sometimes: Vec<Sometimes>,
    /// From the moment an owner stopped until the next one acted, milliseconds; one for every group taken over.
    pub take_over_ms: Vec<u64>,
    /// Machines of the plan; `Moment::node` and `Owner` are places in here.
    pub nodes: Vec<NodeFace>,
    pub timeline: Vec<Moment>,
    /// Changes of ownership, in order of time.
    pub owners: Vec<Owner>,
    /// One a second.
    pub samples: Vec<Sample>,
    /// Messages of calls that went wrong; only when ladders were kept.
    pub ladders: Vec<Ladder>,
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        self.failures.is_empty()
    }
}

/// A broken invariant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// Number in docs/RELIABILITY.md; 0 is conservation and what the plan demands.
    pub invariant: u8,
    pub at_ms: u64,
    pub text: String,
    /// The call it is about.
    pub call: Option<usize>,
}

/// How an invariant is called: `I7`, or `conservation` for 0.
pub fn invariant_name(number: u8) -> String {
    match number {
        0 => "conservation".to_owned(),
        _ => format!("I{number}"),
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Calls that phones began; the next six share them out.
    pub offered: u64,
    pub answered: u64,
    pub rejected: u64,
    pub cancelled: u64,
    pub failed_by_phone: u64,
    pub failed_by_switch: u64,
    /// Calls that the plan excuses: both replicas lost.
    pub excused: u64,
    pub registrations: u64,
    pub records: u64,
    pub take_overs: u64,
    /// Effects that left before they were on a second chassis.
    pub unprotected: u64,
    /// Letters and records of former owners that were refused.
    pub stale_refused: u64,
    /// Letters sent again to the next owner.
    pub resent: u64,
    /// Packets between phones and balancers, and what the weather did to them.
    pub packets: u64,
    pub packets_lost: u64,
    pub packets_doubled: u64,
    pub packets_late: u64,
    /// Parcels between nodes, and sessions that broke.
    pub parcels: u64,
    pub sessions_broken: u64,
}

impl Counts {
    /// Every count by name, in the order of the fields.
    pub fn all(&self) -> [(&'static str, u64); 19] {
        [
            ("offered", self.offered),
            ("answered", self.answered),
            ("rejected", self.rejected),
            ("cancelled", self.cancelled),
            ("failed_by_phone", self.failed_by_phone),
            ("failed_by_switch", self.failed_by_switch),
            ("excused", self.excused),
            ("registrations", self.registrations),
            ("records", self.records),
            ("take_overs", self.take_overs),
            ("unprotected", self.unprotected),
            ("stale_refused", self.stale_refused),
            ("resent", self.resent),
            ("packets", self.packets),
            ("packets_lost", self.packets_lost),
            ("packets_doubled", self.packets_doubled),
            ("packets_late", self.packets_late),
            ("parcels", self.parcels),
            ("sessions_broken", self.sessions_broken),
        ]
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Counts) {
        let fields: [(&mut u64, u64); 19] = [
            (&mut self.offered, other.offered),
            (&mut self.answered, other.answered),
            (&mut self.rejected, other.rejected),
            (&mut self.cancelled, other.cancelled),
            (&mut self.failed_by_phone, other.failed_by_phone),
            (&mut self.failed_by_switch, other.failed_by_switch),
            (&mut self.excused, other.excused),
            (&mut self.registrations, other.registrations),
            (&mut self.records, other.records),
            (&mut self.take_overs, other.take_overs),
            (&mut self.unprotected, other.unprotected),
            (&mut self.stale_refused, other.stale_refused),
            (&mut self.resent, other.resent),
            (&mut self.packets, other.packets),
            (&mut self.packets_lost, other.packets_lost),
            (&mut self.packets_doubled, other.packets_doubled),
            (&mut self.packets_late, other.packets_late),
            (&mut self.parcels, other.parcels),
            (&mut self.sessions_broken, other.sessions_broken),
        ];
        for (field, more) in fields {
            *field += more;
        }
    }
}

/// A fault of the plan as it struck.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FaultDone {
    pub at_ms: u64,
    pub until_ms: u64,
    /// As in the plan: `kill-chassis`.
    pub kind: String,
    /// Whom it hit in this run: `chassis 2`, `c1.proxy2`.
    pub target: String,
    /// Whether anything was different because of it.
    pub took_effect: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sometimes {
    pub name: String,
    pub hits: u64,
}

/// A node of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFace {
    /// `c1.balancer2`.
    pub name: String,
    /// `balancer`, `proxy` or `director`.
    pub role: String,
    /// From 1.
    pub chassis: usize,
    /// From 1.
    pub country: usize,
}

/// Something that became of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub at_ms: u64,
    /// Place in `Outcome::nodes`.
    pub node: usize,
    pub event: NodeEvent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeEvent {
    Up,
    Down,
    Paused,
    Resumed,
    /// Links to some or all others are cut.
    Cut,
    Joined,
    /// It works, but slowly.
    Slow,
    Quick,
}

/// A row of the table as the directors decided it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub at_ms: u64,
    pub group: u32,
    pub epoch: u64,
    /// Places in `Outcome::nodes`.
    pub active: Option<usize>,
    pub standby: Option<usize>,
    /// The standby has everything.
    pub full: bool,
}

/// What the phones were doing at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    pub at_ms: u64,
    /// Calls that are answered and not over.
    pub up: u32,
    /// Calls that ring.
    pub ringing: u32,
    /// Calls answered in the second before.
    pub set_up: u32,
}

/// The messages of a call, a line each, as they are to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    pub call: Option<usize>,
    pub title: String,
    pub text: String,
}

/// JSON numbers end at 2^53.
mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{value:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        u64::from_str_radix(&text, 16).map_err(|_| D::Error::custom("a hash is hexadecimal"))
    }
}
