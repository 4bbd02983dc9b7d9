//! The rules: from what was decided and what is heard to what is decided next. A pure function.

pub(crate) mod divide;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fabric::letters::cluster::GroupReport;
use fabric::ownership::Ownership;
use fabric::{Epoch, GroupId, NodeId};

use crate::state::{Decided, Plan, Seat};
use divide::Apart;

/// What the leading director sees.
#[derive(Default)]
pub(crate) struct View {
    pub nodes: BTreeMap<NodeId, Standing>,
    /// A plan that a majority of the voters has been given.
    pub plan: Option<Plan>,
    pub wishes: Vec<Wish>,
    /// Who does not hear whom, though a director hears both.
    pub apart: Apart,
    /// It has been so for long enough that everybody has said so.
    pub all_said: bool,
    /// Since this director leads.
    pub leading: Duration,
    pub settle: Duration,
    pub patience: Duration,
    /// Groups whose hand-over took too long, and those where it is too early for another try.
    pub overdue: BTreeSet<GroupId>,
    pub paused: BTreeSet<GroupId>,
}

/// How a node stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// A majority of the voters has not heard it for longer than a lease lasts.
    pub silent: bool,
    /// It has no lease and gets none before the next decision: a majority says that it is silent, or rests.
    pub safe: bool,
    /// It was shut out, and has not had for long enough what it lacked.
    pub barred: bool,
    /// It is heard, and does not hear the directors: it has no lease.
    pub idle: bool,
    /// For how long this director has not.
    pub silence: Duration,
    /// The process that a majority hears; 0 when no majority hears one.
    pub boot: u64,
    pub leaving: bool,
    /// It was lost so often that it is no standby yet.
    pub quarantined: bool,
    /// What it told this director, and the version of the table it then obeyed.
    pub version: u64,
    pub reports: Vec<GroupReport>,
}

/// What an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Active { group: GroupId, node: NodeId },
    Forced { group: GroupId, node: NodeId },
    Holder { site: NodeId, node: NodeId },
}

/// What people should hear of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    TakeOver {
        group: GroupId,
        from: NodeId,
        to: NodeId,
        epoch: Epoch,
    },
    /// Nobody alive had all of the group's state.
    ColdStart {
        group: GroupId,
        from: NodeId,
        to: NodeId,
        epoch: Epoch,
    },
    HandOver {
        group: GroupId,
        from: NodeId,
        to: NodeId,
        epoch: Epoch,
    },
    Holder {
        site: NodeId,
        to: NodeId,
    },
    ShutOut {
        node: NodeId,
    },
}

/// What follows `decided` in this view; `None` when all is as it should be.
pub(crate) fn decide(decided: &Decided, view: &View) -> (Option<Decided>, Vec<Note>) {
    let mut work = Work { view, before: decided, next: decided.clone(), reborn: BTreeSet::new(), notes: Vec::new() };
    if let Some(plan) = view.plan.as_ref().filter(|plan| plan.sum != decided.plan.sum) {
        work.next.adopt(plan);
    }
    work.look_at_nodes();
    let mut seats = std::mem::take(&mut work.next.seats);
    let mut rows = std::mem::take(&mut work.next.table.groups);
    for row in &mut rows {
        if let Some(seat) = seats.iter_mut().find(|seat| seat.group == row.group) {
            work.govern(row, seat);
        }
    }
    (work.next.seats, work.next.table.groups) = (seats, rows);
    work.look_at_sites();
    let Work { mut next, notes, .. } = work;
    next.drop_members();
    if next == *decided {
        return (None, notes);
    }
    stamp(decided, &mut next);
    (Some(next), notes)
}

/// Gives the new state its version, and marks what stands only since then.
fn stamp(old: &Decided, next: &mut Decided) {
    let version = old.version() + 1;
    next.table.version = version;
    for seat in &mut next.seats {
        let row = |decided: &Decided| {
            let row = decided.table.group(seat.group)?;
            Some((row.epoch, row.active, row.standby, row.learner, row.next, row.pair))
        };
        if row(old) != next.table.group(seat.group).map(|r| (r.epoch, r.active, r.standby, r.learner, r.next, r.pair)) {
            seat.since = version;
        }
    }
    for known in &mut next.known {
        let lost = old.table.groups.iter().any(|row| {
            row.active == Some(known.node)
                && next.table.group(row.group).is_some_and(|row| row.active != Some(known.node))
        });
        let boot = next.table.members.iter().find(|member| member.node == known.node).map(|member| member.boot);
        // One that is shut out knows it before it can have a lease again.
        let fell =
            old.is_up(known.node) && next.table.members.iter().any(|member| member.node == known.node && !member.up);
        if lost || fell || boot != Some(old.boot(known.node)) {
            known.since = version;
        }
    }
}

struct Work<'a> {
    view: &'a View,
    before: &'a Decided,
    next: Decided,
    /// Nodes whose process is a new one: what they held is gone.
    reborn: BTreeSet<NodeId>,
    notes: Vec<Note>,
}

impl Work<'_> {
    fn look_at_nodes(&mut self) {
        let out = divide::shut_out(&self.next, self.view);
        self.next.table.warning = divide::warning(&self.next, self.view, &out);
        for known in &mut self.next.known {
            let Some(standing) = self.view.nodes.get(&known.node) else { continue };
            let Some(member) = self.next.table.members.iter_mut().find(|member| member.node == known.node) else {
                continue;
            };
            if standing.boot != 0 && standing.boot != member.boot {
                if member.boot != 0 {
                    known.old.push(member.boot);
                    let surplus = known.old.len().saturating_sub(OLD_BOOTS_MAX);
                    known.old.drain(..surplus);
                    self.reborn.insert(known.node);
                }
                member.boot = standing.boot;
            }
            // Whom only some directors hear may be shut out as well.
            let is_same = standing.boot == 0 || !self.reborn.contains(&known.node) && standing.boot == member.boot;
            if standing.silent {
                member.up = false;
            } else if is_same && out.contains(&known.node) {
                if std::mem::replace(&mut member.up, false) {
                    self.notes.push(Note::ShutOut { node: known.node });
                }
            } else if standing.boot != 0 {
                member.up = true;
            }
        }
    }

    fn standing(&self, node: NodeId) -> Standing {
        self.view.nodes.get(&node).cloned().unwrap_or_default()
    }

    /// Another one may have what this node held.
    fn is_gone(&self, node: NodeId) -> bool {
        self.view.nodes.get(&node).is_some_and(|standing| standing.silent || standing.safe && !self.is_up(node))
    }

    fn is_leaving(&self, node: NodeId) -> bool {
        self.view.nodes.get(&node).is_some_and(|standing| standing.leaving)
    }

    fn is_up(&self, node: NodeId) -> bool {
        self.next.is_up(node)
    }

    /// May be given something that it does not have yet.
    fn is_fit(&self, node: NodeId) -> bool {
        let standing = self.standing(node);
        self.is_up(node) && !standing.leaving && !standing.quarantined
    }

    fn is_automatic(&self) -> bool {
        self.next.plan.warning.is_empty()
    }

    /// What the active node says of the row as it stands, if it does.
    fn report(&self, row: &Ownership, seat: &Seat) -> Option<GroupReport> {
        let active = row.active?;
        let standing = self.view.nodes.get(&active)?;
        let is_current = standing.boot == self.next.boot(active) && standing.version >= seat.since.max(1);
        let report = standing.reports.iter().find(|report| report.group == row.group && report.epoch == row.epoch);
        report.copied().filter(|_| is_current && !self.reborn.contains(&active))
    }

    /// One group.
    fn govern(&mut self, row: &mut Ownership, seat: &mut Seat) {
        let report = self.report(row, seat);
        let lost = |node: NodeId| !self.is_up(node) || self.reborn.contains(&node);
        if row.standby.is_some_and(lost) {
            (row.standby, row.full) = (None, false);
        }
        row.learner = row.learner.filter(|node| !lost(*node));
        let is_successor = |node: NodeId| row.standby == Some(node) && row.full || row.learner == Some(node);
        row.next =
            row.next.filter(|node| !lost(*node) && is_successor(*node) && !self.view.overdue.contains(&row.group));
        // What one that is shut out says of its standby is what it cannot reach.
        if let Some(report) = report.filter(|_| row.active.is_some_and(|active| self.before.is_up(active))) {
            row.full = row.standby.is_some() && report.standby_full;
        }
        let epoch = row.epoch;
        match row.active {
            None => self.begin(row, seat),
            Some(active) if self.reborn.contains(&active) => self.replace_reborn(row, active),
            Some(active) if self.is_gone(active) => self.replace_silent(row, seat, active),
            Some(active) => {
                if let Some(next) =
                    row.next.filter(|_| report.is_some_and(|report| report.yielded) || fabric::mutant!(YieldUnawaited))
                {
                    self.hand_over(row, seat, active, next);
                }
            }
        }
        self.force(row, seat);
        self.seat_standby(row, seat);
        if row.epoch == epoch {
            self.arrange_move(row, seat, report);
            self.ask_to_yield(row);
        }
    }

    fn begin(&mut self, row: &mut Ownership, seat: &mut Seat) {
        if let Some(target) = self.next.plan.nodes(row.pair) {
            seat.nodes = target;
        }
        let candidates = if self.view.leading >= self.view.settle { &seat.nodes[..] } else { &seat.nodes[..1] };
        if let Some(node) = candidates.iter().copied().find(|node| self.is_up(*node) && !self.is_leaving(*node)) {
            appoint(row, node);
        }
    }

    fn replace_reborn(&mut self, row: &mut Ownership, from: NodeId) {
        // Its state is gone with its process, so there is no lease to be waited for.
        let heir = row.standby.filter(|node| self.is_up(*node));
        let (to, full) = (heir.unwrap_or(from), row.full && heir.is_some());
        self.take_over(row, from, to, full);
    }

    fn replace_silent(&mut self, row: &mut Ownership, seat: &Seat, from: NodeId) {
        if !self.is_automatic() {
            return;
        }
        match row.standby {
            Some(standby) if row.full => self.take_over(row, from, standby, true),
            _ if self.standing(from).silence >= self.view.patience => {
                let other = seat.nodes.iter().copied().find(|node| *node != from && self.is_up(*node));
                if let Some(to) = other {
                    self.take_over(row, from, to, false);
                }
            }
            _ => {}
        }
    }

    fn take_over(&mut self, row: &mut Ownership, from: NodeId, to: NodeId, full: bool) {
        appoint(row, to);
        let (group, epoch) = (row.group, row.epoch);
        self.notes.push(match full {
            true => Note::TakeOver { group, from, to, epoch },
            false => Note::ColdStart { group, from, to, epoch },
        });
    }

    fn hand_over(&mut self, row: &mut Ownership, seat: &mut Seat, from: NodeId, to: NodeId) {
        if row.learner == Some(to)
            && let Some(target) = self.next.plan.nodes(row.pair)
        {
            seat.nodes = target;
        }
        appoint(row, to);
        self.notes.push(Note::HandOver { group: row.group, from, to, epoch: row.epoch });
    }

    fn force(&mut self, row: &mut Ownership, seat: &Seat) {
        for wish in &self.view.wishes {
            let Wish::Forced { group, node } = *wish else { continue };
            let has_part = seat.nodes.contains(&node) || row.standby == Some(node) || row.learner == Some(node);
            if group == row.group && has_part && row.active != Some(node) && self.is_up(node) {
                let from = row.active.unwrap_or(node);
                let full = row.full && row.standby == Some(node);
                self.take_over(row, from, node, full);
            }
        }
    }

    /// The other node of the pair, when it is there and on another chassis.
    fn seat_standby(&mut self, row: &mut Ownership, seat: &Seat) {
        let Some(active) = row.active.filter(|_| row.standby.is_none()) else { return };
        let mate = seat.nodes.iter().copied().find(|node| *node != active);
        let apart = |node: &NodeId| self.next.chassis(*node) != self.next.chassis(active);
        if let Some(mate) = mate.filter(|node| seat.nodes.contains(&active) && self.is_fit(*node) && apart(node)) {
            (row.standby, row.full) = (Some(mate), false);
            row.learner = row.learner.filter(|learner| *learner != mate);
        }
    }

    /// Brings a group to the pair that is to hold it: its node learns, and when it knows everything it becomes active.
    fn arrange_move(&mut self, row: &mut Ownership, seat: &mut Seat, report: Option<GroupReport>) {
        let (Some(active), Some(target)) = (row.active, self.next.plan.nodes(row.pair)) else { return };
        if target.iter().all(|node| seat.nodes.contains(node)) {
            return;
        }
        row.learner = row.learner.filter(|learner| target.contains(learner));
        if row.learner.is_none() {
            let apart = |node: &NodeId| self.next.chassis(*node) != self.next.chassis(active);
            let mut candidates = target.iter().copied().filter(|node| *node != active && self.is_fit(*node));
            row.learner = match target.contains(&active) {
                true => candidates.find(apart),
                false => candidates.next(),
            };
            return;
        }
        if !report.is_some_and(|report| report.learner_full) || row.next.is_some() {
            return;
        }
        if target.contains(&active) {
            // Only the standby changes, and the new one has everything.
            (row.standby, row.full, row.learner) = (row.learner, true, None);
            seat.nodes = target;
        } else if self.may_ask(row) && (row.full || row.standby.is_none()) {
            row.next = row.learner;
        }
    }

    fn may_ask(&self, row: &Ownership) -> bool {
        !self.view.paused.contains(&row.group) && !self.view.overdue.contains(&row.group)
    }

    /// A planned change of the active node: an order, or a node that leaves.
    fn ask_to_yield(&self, row: &mut Ownership) {
        let Some(standby) = row.standby.filter(|_| row.full && row.next.is_none()) else { return };
        let leaves = row.active.is_some_and(|active| self.is_leaving(active)) && !self.is_leaving(standby);
        let wished = self.view.wishes.contains(&Wish::Active { group: row.group, node: standby });
        if (wished && !self.view.overdue.contains(&row.group)) || (leaves && self.may_ask(row)) {
            row.next = Some(standby);
        }
    }

    fn look_at_sites(&mut self) {
        for at in 0..self.next.table.sites.len() {
            let row = &self.next.table.sites[at];
            let (site, holder) = (row.site, row.holder);
            let wished = self.view.wishes.iter().find_map(|wish| match wish {
                Wish::Holder { site: other, node } if *other == site && *node != holder => Some(*node),
                _ => None,
            });
            // Who was never there may be on its way.
            let is_gone = self.is_automatic()
                && self.is_gone(holder)
                && (self.next.boot(holder) != 0 || self.view.leading >= self.view.patience);
            let Some(plan) = self.next.plan.sites.iter().find(|plan| plan.site == site) else { continue };
            let can = |node: &NodeId| *node != holder && self.is_up(*node) && !self.is_leaving(*node);
            let other = plan.holders.iter().copied().find(can).filter(|_| is_gone || self.is_leaving(holder));
            let wished = wished.filter(|node| plan.holders.contains(node) && self.is_up(*node));
            if let Some(to) = wished.or(other) {
                let row = &mut self.next.table.sites[at];
                (row.holder, row.epoch) = (to, Epoch(row.epoch.0 + 1));
                self.notes.push(Note::Holder { site, to });
            }
        }
    }
}

/// Makes a node the active one; whoever else had a part has to be told of it anew.
fn appoint(row: &mut Ownership, node: NodeId) {
    row.active = Some(node);
    if !fabric::mutant!(EpochKept) {
        row.epoch = Epoch(row.epoch.0 + 1);
    }
    (row.standby, row.full, row.learner, row.next) = (None, false, None, None);
}

/// Ended processes of a node that are remembered, count.
const OLD_BOOTS_MAX: usize = 4;

#[cfg(test)]
mod tests;
