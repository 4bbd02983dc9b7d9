//! What an operator says of the cluster: who votes, who stands where, which nodes pair up.

use std::collections::BTreeSet;
use std::time::Duration;

use fabric::NodeId;
use fabric::hash::hash64;
use serde::{Deserialize, Serialize};

/// Settings of a director; `voters`, `members`, `pairs` and `sites` are the same on all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Nodes whose directors vote, three or five on as many chassis. Change one at a time, restarting one after another.
    pub voters: Vec<NodeId>,
    /// All nodes of the cluster.
    pub members: Vec<MemberSetting>,
    /// Proxy pairs. One that is added takes its share of the slots over, one that is removed gives its slots away.
    pub pairs: Vec<PairSetting>,
    /// Balancer sites.
    pub sites: Vec<SiteSetting>,
    /// Length of a node's lease, milliseconds on its own clock. Default 300; the same on all nodes.
    pub lease_ms: u32,
    /// How much two clocks may differ in speed, thousandths. Default 10.
    pub drift_permille: u32,
    /// What is waited beyond the lease before a node is held for silent, milliseconds. Default 50.
    pub guard_ms: u32,
    /// Raft's tick, milliseconds. Default 10; a leader beats every 2 ticks, an election starts after 12 to 24.
    pub tick_ms: u32,
    /// Pause between two reports to the leader, milliseconds. Default 50.
    pub beat_ms: u32,
    /// Age at which a director's report no longer counts, milliseconds. Default 150; zero: nothing is taken over.
    pub report_ms: u32,
    /// A director that was not woken for so long trusts nothing it heard before, milliseconds. Default 100.
    pub gap_ms: u32,
    /// How long a silent active node without a full standby may come back before its groups start empty elsewhere,
    /// milliseconds. Default 5000; zero does not wait. The same patience applies to nodes that never were there.
    pub patience_ms: u32,
    /// How long a new leader waits for the first node of a pair before it makes the second one active, milliseconds.
    /// Default 500; zero takes whoever comes first.
    pub settle_ms: u32,
    /// After `k` losses within the window a node is no standby before it has been up this times 2^k, milliseconds.
    /// Default 1000; zero lets it in at once.
    pub quarantine_ms: u32,
    /// Longest such wait, milliseconds. Default 60000.
    pub quarantine_ms_max: u32,
    /// A node that was shut out, because it and others did not hear each other, is let in again when it has heard them for so
    /// long, milliseconds. Default 1000; zero lets it in at once.
    pub rejoin_ms: u32,
    /// Losses older than this are forgotten, seconds. Default 60; zero forgets at once.
    pub flap_window_s: u32,
    /// How long an order may take until it is refused, milliseconds. Default 5000; zero refuses all.
    pub order_ms: u32,
    /// Pause after a hand-over that did not happen before the next try of the same group, milliseconds. Default 2000.
    pub retry_ms: u32,
    /// Orders that are carried out at a time, count. Default 16; zero refuses all.
    pub orders_max: u32,
    /// Longest wait for the journal before the same is written again, milliseconds. Default 2000.
    pub journal_ms: u32,
    /// Log entries kept before the state takes their place, count. Default 64; zero compacts after each.
    pub log_entries_max: u32,
}

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSetting {
    pub node: NodeId,
    /// What fails together has the same number.
    pub chassis: u16,
    /// For people.
    #[serde(default)]
    pub name: String,
}

/// Two nodes on different chassis that hold slots together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairSetting {
    /// Part of the hash that spreads the slots: never reuse a number for other nodes.
    pub pair: u16,
    /// The first becomes active at the first start.
    pub nodes: [NodeId; 2],
}

/// A balancer site and who may hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSetting {
    pub site: NodeId,
    /// In the order in which they stand in; the first is the site's own node.
    pub holders: Vec<NodeId>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            voters: Vec::new(),
            members: Vec::new(),
            pairs: Vec::new(),
            sites: Vec::new(),
            lease_ms: 300,
            drift_permille: 10,
            guard_ms: 50,
            tick_ms: 10,
            beat_ms: 50,
            report_ms: 150,
            gap_ms: 100,
            patience_ms: 5_000,
            settle_ms: 500,
            quarantine_ms: 1_000,
            quarantine_ms_max: 60_000,
            rejoin_ms: 1_000,
            flap_window_s: 60,
            order_ms: 5_000,
            retry_ms: 2_000,
            orders_max: 16,
            journal_ms: 2_000,
            log_entries_max: 64,
        }
    }
}

impl Settings {
    /// What is wrong with them, in a sentence; the boot ends with it.
    pub fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for member in &self.members {
            if !seen.insert(member.node) {
                return Err(format!("node {} stands twice among the members", member.node.0));
            }
        }
        let member = |node: &NodeId, what: &str| match self.chassis(*node) {
            Some(chassis) => Ok(chassis),
            None => Err(format!("{what} names node {}, which is not a member", node.0)),
        };
        if self.voters.is_empty() || self.voters.len() > VOTERS_MAX {
            return Err(format!("{} voters; there must be 1 to {VOTERS_MAX}, and 3 or 5 are wise", self.voters.len()));
        }
        let mut seen = BTreeSet::new();
        for voter in &self.voters {
            member(voter, "voters")?;
            if !seen.insert(*voter) {
                return Err(format!("node {} stands twice among the voters", voter.0));
            }
        }
        let mut seen = BTreeSet::new();
        for pair in &self.pairs {
            let what = format!("pair {}", pair.pair);
            if !seen.insert(pair.pair) {
                return Err(format!("{what} is there twice"));
            }
            if member(&pair.nodes[0], &what)? == member(&pair.nodes[1], &what)? {
                return Err(format!("both nodes of {what} stand on one chassis"));
            }
        }
        let mut seen = BTreeSet::new();
        for site in &self.sites {
            let what = format!("site {}", site.site.0);
            if site.holders.is_empty() || !seen.insert(site.site) {
                return Err(format!("{what} is there twice or has no holder"));
            }
            for holder in &site.holders {
                member(holder, &what)?;
            }
        }
        if self.tick_ms == 0 || self.beat_ms == 0 {
            return Err("tick_ms and beat_ms must not be 0".to_owned());
        }
        Ok(())
    }

    /// The chassis of a node; `None` when it is no member.
    pub fn chassis(&self, node: NodeId) -> Option<u16> {
        self.members.iter().find(|member| member.node == node).map(|member| member.chassis)
    }

    /// After this time without a beat a node's lease is over, whatever its clock.
    pub fn silence(&self) -> Duration {
        let lease_us = u64::from(self.lease_ms) * (1_000 + u64::from(self.drift_permille));
        Duration::from_micros(lease_us) + Duration::from_millis(self.guard_ms.into())
    }

    /// Why nothing is taken over by itself; empty when it is.
    pub fn warning(&self) -> String {
        let chassis: BTreeSet<_> = self.voters.iter().filter_map(|voter| self.chassis(*voter)).collect();
        match self.voters.len() {
            0..3 => format!(
                "{} of at least 3 voting directors: nobody can tell a dead node from a cut cable, so a take-over needs an order",
                self.voters.len()
            ),
            _ if chassis.len() < 3 => format!(
                "the voting directors stand on {} chassis instead of 3: the loss of one may leave no majority, so a take-over needs an order",
                chassis.len()
            ),
            _ => String::new(),
        }
    }

    /// The same number for the same members, pairs and sites.
    pub(crate) fn sum(&self) -> u64 {
        let said = (&self.voters, &self.members, &self.pairs, &self.sites);
        let bytes = postcard::to_allocvec(&said).expect("settings have no unserialisable part");
        hash64(&[0; 16], &[b"director settings", &bytes])
    }
}

/// Most voters, count: more than 7 make every decision slower and none safer.
const VOTERS_MAX: usize = 7;

#[cfg(test)]
mod tests;
