//! Nodes that need each other, are heard by a director, and do not hear each other: one side has to go.
//!
//! A node that is *shut out* is down in the table although it is heard. It gets no lease, and what it holds goes to others
//! as soon as nothing that was granted to it can count any more. It is let in again when the ways that it needs have been
//! there for a while, and nothing moves back: so a link that comes and goes costs a standby, not an owner.

use std::collections::{BTreeMap, BTreeSet};

use fabric::NodeId;
use fabric::letters::cluster::Divides;
use fabric::ownership::Ownership;

use super::View;
use crate::state::Decided;

/// Who does not hear whom, in either direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Apart(BTreeMap<NodeId, BTreeSet<NodeId>>);

impl Apart {
    pub fn of(divides: &[&Divides]) -> Apart {
        let mut apart = Apart::default();
        for (one, other) in divides.iter().flat_map(|divides| &divides.apart) {
            apart.add(*one, *other);
        }
        apart
    }

    pub fn add(&mut self, one: NodeId, other: NodeId) {
        self.0.entry(one).or_default().insert(other);
        self.0.entry(other).or_default().insert(one);
    }

    /// Whom a node is apart from.
    pub fn from(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.0.get(&node).into_iter().flatten().copied()
    }
}

/// Whether a node that is to be let in would not reach, or not be reached by, somebody that it needs.
pub(crate) fn lacks_a_way(decided: &Decided, apart: &Apart, node: NodeId) -> bool {
    apart.from(node).any(|other| decided.is_up(other) && need_each_other(decided, node, other))
}

/// Whether any two that take part and need each other are apart.
pub(crate) fn is_divided(decided: &Decided, apart: &Apart) -> bool {
    decided.table.members.iter().any(|member| member.up && lacks_a_way(decided, apart, member.node))
}

/// Proxies need all proxies and balancers: calls of one pair ring at phones of another.
fn need_each_other(decided: &Decided, one: NodeId, other: NodeId) -> bool {
    let is_proxy = |node| {
        decided.plan.pairs.iter().any(|pair| pair.nodes.contains(&node))
            || decided.seats.iter().any(|seat| seat.nodes.contains(&node))
    };
    let is_balancer = |node| decided.plan.sites.iter().any(|site| site.holders.contains(&node));
    let has_part = |node| is_proxy(node) || is_balancer(node);
    has_part(one) && has_part(other) && (is_proxy(one) || is_proxy(other))
}

/// The nodes that are to be out: those that are and may not come in yet, those that hold something and have no lease, and
/// of two that are apart the one that reaches fewer others; of equal ones the one on whose chassis others go too, then the
/// one that holds less, then by number. A chassis where somebody cannot go, since nobody else has what it holds, stays.
pub(crate) fn shut_out(decided: &Decided, view: &View) -> BTreeSet<NodeId> {
    let mut work = Work { decided, view, out: BTreeSet::new() };
    if !decided.plan.warning.is_empty() {
        return work.out;
    }
    for member in &decided.table.members {
        let Some(standing) = view.nodes.get(&member.node).filter(|it| [0, member.boot].contains(&it.boot)) else {
            continue;
        };
        let stays_out = !member.up && standing.barred;
        let is_useless = member.up && standing.idle && work.load(member.node) > 0;
        if (stays_out || is_useless) && work.may_go(member.node) {
            work.out.insert(member.node);
        }
    }
    let before = work.out.clone();
    while let Some(node) = work.next().filter(|_| view.all_said) {
        work.out.insert(node);
    }
    // Half a division would be worse than none.
    if work.cut_off().is_empty() { work.out } else { before }
}

struct Work<'a> {
    decided: &'a Decided,
    view: &'a View,
    out: BTreeSet<NodeId>,
}

impl Work<'_> {
    /// Takes part at this moment.
    fn is_in(&self, node: NodeId) -> bool {
        self.decided.is_up(node) && !self.out.contains(&node)
    }

    /// Nodes that are apart from one that they need.
    fn cut_off(&self) -> Vec<NodeId> {
        let lacks = |one: &NodeId| {
            let needed = |other: NodeId| self.is_in(other) && need_each_other(self.decided, *one, other);
            self.is_in(*one) && self.view.apart.from(*one).any(needed)
        };
        self.view.apart.0.keys().copied().filter(lacks).collect()
    }

    fn next(&self) -> Option<NodeId> {
        let cut_off = self.cut_off();
        let candidates = cut_off.iter().copied().filter(|node| self.may_go(*node));
        candidates.max_by_key(|node| {
            let chassis = self.decided.chassis(*node);
            let beside = |other: &NodeId| self.decided.chassis(*other) == chassis;
            let stuck = cut_off.iter().filter(|other| beside(other) && !self.may_go(**other)).count();
            let unheard = self.view.apart.from(*node).filter(|other| !self.out.contains(other)).count();
            let out = self.out.iter().filter(|other| beside(other)).count();
            let members = self.decided.table.members.iter().map(|member| member.node);
            let held: usize = members.filter(beside).map(|other| self.load(other)).sum();
            (usize::MAX - stuck, unheard, out, usize::MAX - held, usize::MAX - self.load(*node), chassis, *node)
        })
    }

    /// Groups and sites that a node holds.
    fn load(&self, node: NodeId) -> usize {
        let table = &self.decided.table;
        table.groups.iter().filter(|row| row.active == Some(node)).count()
            + table.sites.iter().filter(|row| row.holder == node).count()
    }

    /// Whether all that a node holds has somebody else to go to.
    fn may_go(&self, node: NodeId) -> bool {
        let table = &self.decided.table;
        let is_there = |other: NodeId| {
            other != node && self.is_in(other) && !self.view.nodes.get(&other).is_some_and(|it| it.idle)
        };
        // What it says of its standby, before the table takes it up; once it is out it only tells of the cut.
        let up = self.view.nodes.get(&node).filter(|_| self.decided.is_up(node));
        let lacks = |row: &Ownership| {
            let since = self.decided.seat(row.group).map_or(0, |seat| seat.since);
            let mut reports = up.filter(|it| it.version >= since).into_iter().flat_map(|it| &it.reports);
            reports.any(|report| (report.group, report.epoch) == (row.group, row.epoch) && !report.standby_full)
        };
        let groups = table.groups.iter().filter(|row| row.active == Some(node));
        let sites = table.sites.iter().filter(|row| row.holder == node);
        groups.into_iter().all(|row| row.full && !lacks(row) && row.standby.is_some_and(is_there))
            && sites.into_iter().all(|row| {
                let plan = self.decided.plan.sites.iter().find(|plan| plan.site == row.site);
                plan.is_some_and(|plan| plan.holders.iter().any(|holder| is_there(*holder)))
            })
    }
}

/// What people are told of it; says the same as long as the same nodes are out.
pub(crate) fn warning(decided: &Decided, view: &View, out: &BTreeSet<NodeId>) -> String {
    if out.is_empty() {
        return decided.plan.warning.clone();
    }
    let head = format!("shut out: node {}", names(out));
    if decided.table.warning == head || decided.table.warning.starts_with(&format!("{head};")) {
        return decided.table.warning.clone();
    }
    let mut why = String::new();
    for node in out {
        let others: BTreeSet<NodeId> = view.apart.from(*node).filter(|other| !out.contains(other)).collect();
        if !others.is_empty() {
            why += &format!("; {} and {} do not hear each other", node.0, names(&others));
        } else if view.nodes.get(node).is_some_and(|standing| standing.idle) {
            why += &format!("; {} does not hear the directors", node.0);
        }
    }
    head + &why
}

fn names(nodes: &BTreeSet<NodeId>) -> String {
    nodes.iter().map(|node| node.0.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
