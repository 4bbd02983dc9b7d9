//! Who owns which slots: the table that the directors agree on and every node obeys.

use serde::{Deserialize, Serialize};

use crate::{Address, Epoch, NodeId, SLOTS};

/// Slots that have one owner and move as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u16);

/// Who holds a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    pub group: GroupId,
    /// The proxy pair that is to hold it, by the configuration.
    pub pair: u16,
    /// Rises with every change of `active`.
    pub epoch: Epoch,
    /// Runs the actors; `None` before the first owner, and while nobody who has the state is alive.
    pub active: Option<NodeId>,
    /// Gets the replicas; on another chassis.
    pub standby: Option<NodeId>,
    /// The standby has everything and may take over.
    pub full: bool,
    /// A second receiver of replicas that is to become active later (the group moves to another pair).
    pub learner: Option<NodeId>,
    /// The active node is asked to stop and hand over to this one.
    pub next: Option<NodeId>,
}

/// A balancer site: the identity and addresses of a balancer, which another node can stand in for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    pub site: NodeId,
    pub holder: NodeId,
    pub epoch: Epoch,
}

/// What the directors know of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub node: NodeId,
    /// What fails together: two replicas of a slot never stand on one chassis.
    pub chassis: u16,
    pub up: bool,
    /// `Beat::boot` of the process that this table means; 0 before the node was heard. A node takes up a role only from a
    /// table that names its own boot: after a restart it has lost what it held.
    pub boot: u64,
}

/// Everything the directors have decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Rises with every change.
    pub version: u64,
    pub groups: Vec<Ownership>,
    /// Group of each slot, as runs: (slots, group); together `SLOTS`.
    pub slots: Vec<(u16, GroupId)>,
    pub sites: Vec<Site>,
    pub members: Vec<Member>,
    /// Why nothing will be taken over by itself, for people; empty when it will.
    pub warning: String,
}

impl Table {
    /// The group of a slot; `None` before anything was decided.
    pub fn group_of_slot(&self, slot: u16) -> Option<GroupId> {
        let mut left = slot % SLOTS;
        for (slots, group) in &self.slots {
            match left.checked_sub(*slots) {
                Some(rest) => left = rest,
                None => return Some(*group),
            }
        }
        None
    }

    /// The row of a group.
    pub fn group(&self, group: GroupId) -> Option<&Ownership> {
        self.groups.iter().find(|row| row.group == group)
    }

    /// The row that owns an actor; `None` for what belongs to a node.
    pub fn owner_of(&self, address: Address) -> Option<&Ownership> {
        self.group(self.group_of_slot(address.slot()?)?)
    }

    /// The node that stands for this one: itself, or who holds its site.
    pub fn holder(&self, node: NodeId) -> NodeId {
        self.sites.iter().find(|site| site.site == node).map_or(node, |site| site.holder)
    }

    /// Slots as runs, from a group for each of them.
    pub fn runs(groups: impl IntoIterator<Item = GroupId>) -> Vec<(u16, GroupId)> {
        let mut runs: Vec<(u16, GroupId)> = Vec::new();
        for group in groups {
            match runs.last_mut() {
                Some((slots, last)) if *last == group => *slots += 1,
                _ => runs.push((1, group)),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests;
