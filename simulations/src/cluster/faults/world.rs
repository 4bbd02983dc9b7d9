//! Faults of what stands around the nodes: writes torn by a loss of power, replicas of the store, NAT boxes.

use crate::cluster::event::Event;
use crate::cluster::faults::Applied;
use crate::cluster::lab::ClusterLab;
use crate::cluster::plan::FaultKind;
use crate::cluster::scene::Strike;

impl ClusterLab {
    /// A node writes, and will be done then: a trap that waits for it springs before.
    pub(in crate::cluster) fn spring(&mut self, node: usize, done_us: u64) {
        let Some(number) = self.nodes[node].disk.trap.take() else { return };
        let at = self.dice.between(self.now + 1, done_us.max(self.now + 2) - 1);
        self.heap.push(at, Event::Torn(number, node, self.nodes[node].boot));
    }

    /// Power goes.
    pub(in crate::cluster) fn torn(&mut self, number: usize, node: usize, boot: u64) {
        if self.nodes[node].boot == boot && self.kill(node, true, false) {
            let report = &mut self.menu.reports[number];
            (report.effect, report.what) =
                (true, format!("in mid-write, {} ms later", self.now / 1_000 - report.at_ms));
            // Not after the strike's end: from then on the next one may come that takes a node away.
            let until = (self.scene.strikes[number].until_ms * 1_000).max(self.now + 500_000);
            let wait = self.dice.between(1_000_000, 6_000_000);
            self.heap.push((self.now + wait).min(until), Event::Start(node));
        }
    }

    pub(super) fn hurt_store(&mut self, strike: &Strike, applied: &mut Applied) -> (bool, String) {
        let place = match strike.kind {
            FaultKind::StoreLag => self.central.lag(strike.much_milli, &mut self.dice),
            _ => self.central.vanish(strike.disk_lost, &mut self.dice),
        };
        applied.felt = self.central.late + self.central.missed;
        (true, format!("replica {}", place + 1))
    }

    /// A replica is well again; one that nobody wrote to meanwhile has shown nothing.
    pub(super) fn mend_store(&mut self, number: usize, kind: FaultKind, applied: &Applied) {
        match kind {
            FaultKind::StoreLag => self.central.lag_ends(),
            _ => self.central.comes_back(self.now),
        }
        let felt = self.central.late + self.central.missed - applied.felt;
        let report = &mut self.menu.reports[number];
        report.effect = felt > 0;
        report.what = format!("{}, {felt} writes", report.what);
    }

    /// So many thousandths of the boxes restart.
    pub(super) fn reset_nats(&mut self, permille: u64) -> (bool, String) {
        let mut count = 0;
        for device in 0..self.scene.nats.len() {
            if self.dice.permille(permille) && self.reset_nat(device) {
                count += 1;
            }
        }
        (count > 0, format!("{count} boxes"))
    }
}
