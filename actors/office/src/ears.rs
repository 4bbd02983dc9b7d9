//! Whom this node hears. A node that is not heard though it lives needs somebody who hears both: the directors are told.

use std::collections::BTreeMap;
use std::time::Duration;

use fabric::{Instant, NodeId, Table};

#[derive(Debug, Default)]
pub(crate) struct Ears {
    /// When each node was heard last; ahead of now for a process that may not have a link yet.
    heard: BTreeMap<NodeId, Instant>,
    boots: BTreeMap<NodeId, u64>,
    last: Instant,
    deaf: Vec<NodeId>,
}

impl Ears {
    /// Looks around, every beat: the nodes of the table from which nothing has come for `deaf`.
    pub fn listen(
        &mut self,
        me: NodeId,
        table: &Table,
        deaf: Duration,
        now: Instant,
        has_come: impl Fn(NodeId) -> bool,
    ) -> Vec<NodeId> {
        // Who was not awake cannot say that others were silent.
        let has_slept = now.since(self.last) > GAP;
        self.last = now;
        self.heard.retain(|node, _| table.members.iter().any(|member| member.node == *node));
        let mut unheard = Vec::new();
        for member in table.members.iter().filter(|member| member.node != me) {
            let node = member.node;
            let is_new = self.boots.insert(node, member.boot) != Some(member.boot);
            let heard = self.heard.entry(node).or_insert(now + GRACE);
            if is_new {
                *heard = (*heard).max(now + GRACE);
            }
            if has_come(node) {
                *heard = now;
            } else if has_slept {
                *heard = (*heard).max(now);
            }
            if now.since(*heard) >= deaf {
                unheard.push(node);
            }
        }
        self.deaf.clone_from(&unheard);
        unheard
    }

    /// Whether a node was not heard at the last beat.
    pub fn is_deaf(&self, node: NodeId) -> bool {
        self.deaf.contains(&node)
    }
}

/// A beat that is later than this says that the node itself was not awake.
const GAP: Duration = Duration::from_millis(100);

/// How long a process may be without links to all others after its start.
const GRACE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
