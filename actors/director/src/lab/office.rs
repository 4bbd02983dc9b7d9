//! A pretended office: beats, holds a lease, fills its standby, yields; as the real one does, without any calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fabric::letters::cluster::{Beat, GroupReport, Hearing};
use fabric::ownership::Ownership;
use fabric::{Epoch, GroupId, Instant, Letter, NodeId, SLOTS, Table};

#[derive(Default)]
pub(crate) struct Office {
    pub boot: u64,
    pub table: Arc<Table>,
    pub leaving: bool,
    granted: BTreeMap<Instant, BTreeSet<NodeId>>,
    lease: Instant,
    rests: Option<Instant>,
    heard: BTreeMap<NodeId, Instant>,
    listened: Instant,
    fills: BTreeMap<(GroupId, Epoch, NodeId), Fill>,
    yields: BTreeMap<(GroupId, Epoch, NodeId), Instant>,
    taste: u64,
}

#[derive(Clone, Copy)]
struct Fill {
    boot: u64,
    done: Instant,
    reached: Instant,
}

impl Office {
    pub fn new(boot: u64, taste: u64) -> Office {
        Office { boot, taste, ..Office::default() }
    }

    /// `true`: the directors are to hear at once that it has stopped.
    pub fn handle(&mut self, letter: &Letter, now: Instant, majority: usize) -> bool {
        match letter {
            Letter::Grant(grant) if grant.boot == self.boot && grant.granted => {
                if self.rests.is_some_and(|rests| grant.sent < rests) {
                    return false;
                }
                let granted = self.granted.entry(grant.sent).or_default();
                granted.insert(grant.director);
                if granted.len() >= majority {
                    self.lease = self.lease.max(grant.sent + Duration::from_millis(300));
                    self.granted = self.granted.split_off(&grant.sent);
                }
            }
            Letter::Table(table) if table.version > self.table.version => {
                let was = std::mem::replace(&mut self.table, Arc::clone(table));
                // A split keeps what the parent had.
                for row in &table.groups {
                    if was.version > 0 && was.group(row.group).is_none() {
                        let slot = (0..SLOTS).find(|slot| table.group_of_slot(*slot) == Some(row.group));
                        let parent = slot.and_then(|slot| was.group_of_slot(slot));
                        let its = self.fills.iter().filter(|((group, ..), _)| Some(*group) == parent);
                        let its: Vec<_> = its.map(|((_, e, n), fill)| ((row.group, *e, *n), *fill)).collect();
                        self.fills.extend(its);
                    }
                    // Who asks no more is not yielded to.
                    self.yields.retain(|(group, epoch, next), _| {
                        *group != row.group || (*epoch == row.epoch && row.next == Some(*next))
                    });
                }
                if table.members.iter().any(|member| member.boot == self.boot && !member.up) {
                    self.give_up(now);
                    return true;
                }
            }
            _ => {}
        }
        false
    }

    fn give_up(&mut self, now: Instant) {
        self.lease = self.lease.min(now);
        self.rests = Some(now);
        self.granted.clear();
    }

    /// What goes before the beat of this moment.
    pub fn hearing(&mut self, me: NodeId, now: Instant, heard: &[NodeId]) -> Hearing {
        let slept = now.since(self.listened) > Duration::from_millis(100);
        self.listened = now;
        self.heard.extend(heard.iter().map(|node| (*node, now)));
        if slept {
            self.heard.values_mut().for_each(|at| *at = now);
        }
        let is_deaf = |at: &Instant| now.since(*at) >= Duration::from_millis(200);
        let deaf = self.heard.iter().filter(|(node, at)| **node != me && is_deaf(at)).map(|(node, _)| *node).collect();
        let is_late = |rests: Instant| now.since(rests) >= Duration::from_millis(150);
        if now < self.lease {
            self.rests = None;
        } else if self.rests.is_none_or(is_late) {
            self.give_up(now);
        }
        Hearing { node: me, boot: self.boot, sent: now, deaf, rests: self.rests }
    }

    fn is_known(&self, me: Option<NodeId>) -> bool {
        self.table.members.iter().any(|member| member.boot == self.boot && me.is_none_or(|me| member.node == me))
    }

    pub fn me(&self) -> Option<NodeId> {
        self.table.members.iter().find(|member| member.boot == self.boot).map(|member| member.node)
    }

    pub fn has_lease(&self, now: Instant) -> bool {
        now < self.lease
    }

    /// Groups that its table makes it active for.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        let me = self.me();
        self.table.groups.iter().filter(move |row| me.is_some() && row.active == me).map(|row| row.group)
    }

    /// Whether it runs the machines of a group.
    pub fn acts(&self, group: GroupId, now: Instant, needs_lease: bool) -> bool {
        let Some(row) = self.table.group(group) else { return false };
        let has_yielded =
            row.next.is_some_and(|next| self.yields.get(&(group, row.epoch, next)).is_some_and(|at| *at <= now));
        self.boot != 0
            && self.is_known(None)
            && row.active.is_some()
            && row.active == self.me()
            && !has_yielded
            && (!needs_lease || self.has_lease(now))
    }

    pub fn beat(&mut self, me: NodeId, now: Instant, reached: &BTreeMap<NodeId, u64>) -> Beat {
        let table = Arc::clone(&self.table);
        let is_known = self.is_known(Some(me));
        let mut reports = Vec::new();
        for row in &table.groups {
            let part = [row.active, row.standby, row.learner].contains(&Some(me));
            if !part || !is_known {
                continue;
            }
            let mut report = GroupReport {
                group: row.group,
                epoch: row.epoch,
                standby_full: false,
                learner_full: false,
                yielded: false,
                machines: 0,
            };
            if row.active == Some(me) {
                report.standby_full = row.standby.is_some_and(|node| self.is_full(row, node, now, reached));
                report.learner_full = row.learner.is_some_and(|node| self.is_full(row, node, now, reached));
                if let Some(next) = row.next
                    && self.is_full(row, next, now, reached)
                {
                    let wait = Duration::from_micros(self.draw(5_000, 60_000));
                    let at = *self.yields.entry((row.group, row.epoch, next)).or_insert(now + wait);
                    report.yielded = at <= now;
                }
            }
            reports.push(report);
        }
        let version = table.version;
        Beat { node: me, boot: self.boot, sent: now, version, leaving: self.leaving, reports }
    }

    fn is_full(&mut self, row: &Ownership, node: NodeId, now: Instant, reached: &BTreeMap<NodeId, u64>) -> bool {
        let key = (row.group, row.epoch, node);
        let Some(boot) = reached.get(&node).copied() else {
            // As the office does: who is not heard has twice `unprotected_ms` until it does not count.
            let is_late = |fill: &Fill| now.since(fill.reached) >= Duration::from_millis(900);
            let fill = self.fills.get(&key).copied().filter(|fill| !is_late(fill));
            if fill.is_none() {
                self.fills.remove(&key);
            }
            return fill.is_some_and(|fill| fill.done <= now);
        };
        let wait = Duration::from_micros(self.draw(20_000, 200_000));
        let fill = self.fills.entry(key).or_insert(Fill { boot, done: now + wait, reached: now });
        if fill.boot != boot {
            *fill = Fill { boot, done: now + wait, reached: now };
        }
        fill.reached = now;
        fill.done <= now
    }

    fn draw(&mut self, low: u64, high: u64) -> u64 {
        self.taste = self.taste.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (self.taste >> 33) % (high - low)
    }
}
