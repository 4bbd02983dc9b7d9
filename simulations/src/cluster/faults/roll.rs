//! A rolling restart: every node gives away what it has, ends, and comes back; with another release where it is an
//! upgrade or a rollback.

use crate::cluster::event::Event;
use crate::cluster::lab::ClusterLab;
use crate::cluster::node::Release;
use crate::cluster::plan::FaultKind;

/// Where a rolling restart is.
pub struct Roll {
    /// Nodes to come, last one first.
    left: Vec<usize>,
    /// What they come back with; `None`: with what they had.
    becomes: Option<Release>,
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
    pub fn nodes_left(&self) -> usize {
        self.left.len()
    }
}

impl ClusterLab {
    pub(in crate::cluster) fn begin_roll(&mut self, kind: FaultKind) -> Roll {
        let becomes = match kind {
            FaultKind::RollingUpgrade => Some(Release::Present),
            FaultKind::RollingRollback => Some(Release::Previous),
            _ => None,
        };
        let all = (0..self.nodes.len()).rev();
        let left = all.filter(|node| becomes.is_none_or(|release| self.nodes[*node].release != release)).collect();
        Roll { left, becomes, stage: Stage::Next }
    }

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
                        self.stop(node, roll.becomes);
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

    /// Nobody goes on with it: a node in the middle of it comes back. An upgrade in which no node spoke to one of the other
    /// release has shown nothing.
    pub(super) fn end_roll(&mut self, number: usize, kind: FaultKind, roll: Option<Roll>, felt: u64) {
        match roll.as_ref().map(|roll| (&roll.stage, roll.becomes)) {
            Some((Stage::Leaving(node, _), becomes)) => {
                let node = *node;
                self.stop(node, becomes);
                self.heap.push(self.now + 800_000, Event::Start(node));
            }
            Some((Stage::Down(node, _), _)) => self.heap.push(self.now + 800_000, Event::Start(*node)),
            _ => {}
        }
        if kind == FaultKind::RollingRestart {
            return;
        }
        let mixed = self.menu.mixed - felt;
        let done = self.menu.reports[number].what.clone();
        let left = roll.map_or(0, |roll| roll.nodes_left());
        let report = &mut self.menu.reports[number];
        report.effect &= mixed > 0;
        report.what = format!("{done}, {left} of them not reached, {mixed} parcels between releases");
        self.watch.sometimes.add("two releases side by side", mixed.min(1));
    }

    /// Whether every group has a full standby.
    pub(in crate::cluster) fn is_settled(&self) -> bool {
        self.watch.table.groups.iter().all(|row| row.active.is_some() && row.standby.is_some() && row.full)
    }

    /// A process ends in good order.
    fn stop(&mut self, node: usize, becomes: Option<Release>) {
        if self.kill(node, false, false) {
            // It had nothing left to take over.
            self.watch.hurt.remove(&node);
        }
        if let Some(release) = becomes {
            self.nodes[node].release = release;
        }
    }
}

/// How long a node waits until everything was taken from it, microseconds.
const LEAVE_US: u64 = 10_000_000;

const SETTLE_US: u64 = 1_500_000;
