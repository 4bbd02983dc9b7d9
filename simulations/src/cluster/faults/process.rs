//! Processes: killed, paused, started again; and what calls were doing when that happened.

use crate::cluster::event::Event;
use crate::cluster::lab::ClusterLab;

impl ClusterLab {
    /// Ends a process; with `power` the whole machine. Whether it lived.
    pub(in crate::cluster) fn kill(&mut self, node: usize, power: bool, disk_lost: bool) -> bool {
        if self.nodes[node].host.is_none() {
            return false;
        }
        self.watch.hurt.entry(node).or_insert(self.now);
        self.watch_calls(node);
        if self.watch.leader == Some(node) {
            self.watch.sometimes.hit("leader lost");
        }
        self.bury(node);
        self.orphan_streams(node);
        let own = &mut self.nodes[node];
        own.held.clear();
        (own.paused, own.slow_us) = (false, 0);
        match power {
            true => {
                if own.disk.crash(&mut self.dice).bytes > 0 {
                    self.watch.sometimes.hit("write torn by a crash");
                }
            }
            // What was written is in the kernel's hands.
            false => own.disk.synced(u64::MAX),
        }
        if disk_lost {
            own.disk.lose();
            self.watch.sometimes.hit("disk lost");
        }
        self.watch.tell(self.now, Some(node), "down", if power { "power" } else { "process" });
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            if power {
                // Nobody is told: the others notice that nothing is acknowledged.
                self.net.cut(node, other);
                self.net.cut(other, node);
            } else if self.net.is_up(node, other) {
                let at = self.now + self.net.latency(node, other);
                self.heap.push(at, Event::Broken(node, other, self.net.session(node, other)));
            }
        }
        self.nodes[node].powerless = power;
        if !power {
            self.reset_streams(node);
        }
        true
    }

    /// Keeps what a process has counted before it goes.
    pub(in crate::cluster) fn bury(&mut self, node: usize) {
        let own = &mut self.nodes[node];
        let Some(host) = own.host.take() else { return };
        let status = host.office.status(own.clock.now(self.now));
        let counts = &mut self.menu.counts;
        counts.take_overs += status.counts.take_overs;
        counts.restored += status.counts.restored;
        counts.cold_starts += status.counts.cold_starts;
        counts.unprotected += status.counts.unprotected;
        counts.resent += status.counts.resent;
        counts.given_up += status.counts.given_up;
        counts.stale_letters += status.counts.stale_letters;
        counts.stale_records += status.counts.stale_records;
        counts.fills += status.counts.fills;
        counts.letters += host.letters;
        self.menu.differences += status.counts.differences;
        self.menu.unreadable += status.counts.unreadable;
        self.menu.letters_max = self.menu.letters_max.max(host.letters_max);
        self.menu.loops += host.loops;
        let name = self.scene.name(node);
        self.menu.panics.extend(host.panics.iter().map(|panic| format!("{name}: {panic}")));
    }

    pub(in crate::cluster) fn restart(&mut self, node: usize) {
        if self.nodes[node].host.is_some() {
            return;
        }
        let others = || (0..self.nodes.len()).filter(|other| *other != node);
        if self.nodes[node].powerless {
            let lanes: Vec<(usize, usize)> = others().flat_map(|other| [(node, other), (other, node)]).collect();
            for (from, to) in lanes {
                self.net.heal(from, to, false, self.now);
            }
            self.nodes[node].powerless = false;
        }
        // A new process knows nothing of old sessions, and says so.
        for other in 0..self.nodes.len() {
            if other != node {
                self.break_link(node, other);
            }
        }
        self.start(node);
    }

    pub(in crate::cluster) fn pause(&mut self, node: usize) -> bool {
        if self.nodes[node].host.is_none() || self.nodes[node].paused {
            return false;
        }
        self.nodes[node].paused = true;
        self.watch.hurt.entry(node).or_insert(self.now);
        self.watch_calls(node);
        self.watch.tell(self.now, Some(node), "paused", "");
        true
    }

    pub(in crate::cluster) fn unpause(&mut self, node: usize) {
        if !std::mem::take(&mut self.nodes[node].paused) {
            return;
        }
        let since = self.watch.hurt.remove(&node).unwrap_or(self.now);
        if self.now > since + 400_000 {
            self.watch.sometimes.hit("lease ran out while paused");
        }
        self.watch.tell(self.now, Some(node), "resumed", format!("after {} ms", (self.now - since) / 1_000));
        // A deadline may have passed long ago: a process finds its timers due before it reads its sockets, or after.
        if self.dice.permille(500) {
            self.visit(node, |host, now, doings| host.wake(now, doings));
        }
        self.resume(node);
        self.visit(node, |host, now, doings| host.wake(now, doings));
    }

    /// A clock was changed: the alarm stands at the wrong moment.
    pub(in crate::cluster) fn rearm(&mut self, node: usize) {
        if let Some(host) = &mut self.nodes[node].host {
            host.armed = None;
        }
        self.arm(node);
    }

    pub(in crate::cluster) fn store_back(&mut self) {
        self.central.out = false;
        let waiting = std::mem::take(&mut self.central.waiting);
        if !waiting.is_empty() {
            self.watch.sometimes.hit("records waited for the store");
        }
        for (node, boot, envelope) in waiting {
            if self.nodes[node].boot == boot && self.nodes[node].host.is_some() {
                self.store(node, envelope);
            }
        }
    }
}
