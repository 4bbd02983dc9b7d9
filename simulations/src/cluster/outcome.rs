//! What a run has to say, for tables, pages and machines.

use serde::{Deserialize, Serialize};

/// The outcome of one seed of one plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub plan: String,
    pub seed: u64,
    /// Hash over everything that crossed the edge of the switch, with its times; the same for the same seed and commit.
    pub hash: u64,
    /// Simulated time, milliseconds.
    pub length_ms: u64,
    pub failures: Vec<Failure>,
    pub counts: Counts,
    pub faults: Vec<FaultReport>,
    /// What has happened, by name, and how often.
    pub sometimes: Vec<(String, u64)>,
    pub takeovers: Vec<Takeover>,
    pub nodes: Vec<NodeReport>,
    pub timeline: Vec<Moment>,
    /// One a second.
    pub samples: Vec<Sample>,
    /// Ladders of calls that went wrong.
    pub ladders: Vec<Ladder>,
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `I7`, `conservation`, `plan`.
    pub invariant: String,
    pub at_ms: u64,
    /// Number of the call attempt.
    pub attempt: Option<usize>,
    pub text: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub offered: u64,
    pub answered: u64,
    /// Busy, declined, unknown, no answer: by the other side or by policy.
    pub rejected: u64,
    pub cancelled: u64,
    /// Its phone was restarted, silent, cut off, or had a wrong password.
    pub failed_by_phone: u64,
    pub failed_by_switch: u64,
    pub registrations: u64,
    pub records: u64,
    pub duplicate_records: u64,
    pub take_overs: u64,
    pub restored: u64,
    pub cold_starts: u64,
    pub unprotected: u64,
    pub resent: u64,
    pub given_up: u64,
    pub stale_letters: u64,
    pub stale_records: u64,
    pub fills: u64,
    pub parcels: u64,
    pub links_broken: u64,
    pub letters: u64,
    pub events: u64,
    pub packets: u64,
    pub packets_lost: u64,
}

/// A fault and whether it did anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    pub kind: String,
    pub target: String,
    pub at_ms: u64,
    pub until_ms: u64,
    pub effect: bool,
    /// What it did, for people.
    pub what: String,
}

/// A group of slots or a balancer's address got another owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// `group 3` or `site c1.balancer1`.
    pub what: String,
    pub from: String,
    pub to: String,
    /// When the fault struck.
    pub at_ms: u64,
    /// Milliseconds from the fault until the next owner obeys its table.
    pub owned_ms: u64,
    /// And until somebody takes its first effect; absent when nobody had anything to do with it.
    pub effect_ms: Option<u64>,
    /// By an operator's order or a node that leaves: nothing was lost meanwhile.
    pub planned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    pub node: u16,
    pub name: String,
    pub chassis: usize,
    pub country: usize,
    pub role: String,
}

/// A change of the carrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub at_ms: u64,
    /// Place of the node among `nodes`; absent for the whole carrier.
    pub node: Option<usize>,
    /// `up`, `down`, `paused`, `resumed`, `owns`, `lost`, `holds`, `fault`, `repair`, `heal`.
    pub event: String,
    /// Group, epoch, site: for people.
    pub text: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    pub at_s: u64,
    pub up: usize,
    pub ringing: usize,
    /// Set-ups within this second.
    pub dialled: usize,
    /// Nodes that run.
    pub nodes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// Number of the call attempt; absent where it is what one phone said and heard outside of calls.
    pub attempt: Option<usize>,
    /// The plan of the call (or the phone) and what is known of it.
    pub about: String,
    pub text: String,
}
