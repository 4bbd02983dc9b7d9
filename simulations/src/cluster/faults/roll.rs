//! A rolling restart: every node gives away what it has, ends, and comes back.

use crate::cluster::lab::ClusterLab;

/// Where a rolling restart is.
pub struct Roll {
    /// Nodes to come, last one first.
    left: Vec<usize>,
    stage: Stage,
}

enum Stage {
    Next,
    /// Waits until the node has given everything away; at the latest then.
    Leaving(usize, u64),
    Down(usize, u64),
    /// The node is up again; waits until it holds what it is to hold.
    Settling(u64),
}

impl Roll {
    pub fn new(mut nodes: Vec<usize>) -> Roll {
        nodes.reverse();
        Roll { left: nodes, stage: Stage::Next }
    }
}

impl ClusterLab {
    /// One step; `None` when all nodes are through.
    pub(in crate::cluster) fn roll(&mut self, mut roll: Roll) -> Option<Roll> {
        roll.stage = match roll.stage {
            Stage::Next => {
                let node = roll.left.pop()?;
                let Some(host) = &self.nodes[node].host else { return Some(roll) };
                host.office.leave();
                self.watch.asked.insert(node, self.now);
                self.watch.tell(self.now, Some(node), "leaving", "");
                Stage::Leaving(node, self.now + LEAVE_US)
            }
            Stage::Leaving(node, until) => {
                let left = self.nodes[node].host.as_ref().is_none_or(|host| host.office.has_left());
                match left || self.now >= until {
                    true => {
                        self.stop(node);
                        Stage::Down(node, self.now + 800_000)
                    }
                    false => Stage::Leaving(node, until),
                }
            }
            Stage::Down(node, until) if self.now >= until => {
                self.restart(node);
                self.watch.asked.remove(&node);
                Stage::Settling(self.now + SETTLE_US)
            }
            Stage::Settling(until) if self.now >= until && self.is_settled() => Stage::Next,
            Stage::Settling(until) if self.now >= until + 10 * SETTLE_US => Stage::Next,
            same => same,
        };
        Some(roll)
    }

    /// Whether every group has a full standby.
    pub(in crate::cluster) fn is_settled(&self) -> bool {
        self.watch.table.groups.iter().all(|row| row.active.is_some() && row.standby.is_some() && row.full)
    }

    /// A process ends in good order.
    fn stop(&mut self, node: usize) {
        if self.kill(node, false, false) {
            // It had nothing left to take over.
            self.watch.hurt.remove(&node);
        }
    }
}

/// How long a node waits until everything was taken from it, microseconds.
const LEAVE_US: u64 = 10_000_000;

const SETTLE_US: u64 = 1_500_000;
