//! Orders: what an operator or a leaving node wants, from the letter to the answer once it is carried out.

use fabric::letters::cluster::Order;
use fabric::{Envelope, GroupId, Instant, NodeId};

use crate::decide::Wish;
use crate::state::Decided;

/// An order that is being carried out.
pub(crate) struct Pending {
    pub mail: Envelope,
    pub wishes: Vec<Wish>,
    pub deadline: Instant,
}

/// What an order comes to; `Err` says why it cannot be.
pub(crate) fn wishes(order: &Order, decided: &Decided) -> Result<Vec<Wish>, String> {
    match *order {
        Order::MakeActive { node, group } => make_active(decided, node, group),
        Order::MakeStandby { node, group } => make_standby(decided, node, group),
        Order::HoldSite { site, node } => hold_site(decided, site, node),
        Order::Force { node, group } => force(decided, node, group),
    }
}

fn make_active(decided: &Decided, node: NodeId, group: Option<GroupId>) -> Result<Vec<Wish>, String> {
    must_be_member(decided, node)?;
    let mut wishes = Vec::new();
    for row in decided.table.groups.iter().filter(|row| group.is_none_or(|group| row.group == group)) {
        if row.active == Some(node) {
            wishes.push(Wish::Active { group: row.group, node });
        } else if row.standby == Some(node) {
            if !row.full {
                return Err(format!("node {} has not all of group {} yet", node.0, row.group.0));
            }
            wishes.push(Wish::Active { group: row.group, node });
        } else if group.is_some() {
            return Err(format!("node {} is not the standby of group {}", node.0, row.group.0));
        }
    }
    match wishes.is_empty() {
        true => Err(format!("node {} is the standby of no group", node.0)),
        false => Ok(wishes),
    }
}

fn make_standby(decided: &Decided, node: NodeId, group: Option<GroupId>) -> Result<Vec<Wish>, String> {
    must_be_member(decided, node)?;
    let mut wishes = Vec::new();
    for row in decided.table.groups.iter().filter(|row| group.is_none_or(|group| row.group == group)) {
        if row.active == Some(node) {
            match row.standby.filter(|_| row.full) {
                Some(standby) => wishes.push(Wish::Active { group: row.group, node: standby }),
                None => return Err(format!("group {} has no standby that has everything", row.group.0)),
            }
        } else if group.is_some() && row.standby != Some(node) {
            return Err(format!("node {} has no part in group {}", node.0, row.group.0));
        }
    }
    Ok(wishes)
}

fn hold_site(decided: &Decided, site: NodeId, node: NodeId) -> Result<Vec<Wish>, String> {
    must_be_member(decided, node)?;
    let Some(plan) = decided.plan.sites.iter().find(|plan| plan.site == site) else {
        return Err(format!("there is no site {}", site.0));
    };
    if !plan.holders.contains(&node) {
        return Err(format!("node {} is not among the holders of site {}", node.0, site.0));
    }
    if !decided.is_up(node) {
        return Err(format!("node {} is not up", node.0));
    }
    Ok(vec![Wish::Holder { site, node }])
}

fn force(decided: &Decided, node: NodeId, group: Option<GroupId>) -> Result<Vec<Wish>, String> {
    must_be_member(decided, node)?;
    let has_part = |group| {
        let is_seated = decided.seat(group).is_some_and(|seat| seat.nodes.contains(&node));
        is_seated
            || decided.table.group(group).is_some_and(|row| row.standby == Some(node) || row.learner == Some(node))
    };
    let groups = decided.table.groups.iter().map(|row| row.group);
    let wishes: Vec<Wish> = groups
        .filter(|other| group.is_none_or(|group| *other == group) && has_part(*other))
        .map(|group| Wish::Forced { group, node })
        .collect();
    match wishes.is_empty() {
        true => Err(format!("node {} has no part in it", node.0)),
        false => Ok(wishes),
    }
}

fn must_be_member(decided: &Decided, node: NodeId) -> Result<(), String> {
    match decided.is_member(node) {
        true => Ok(()),
        false => Err(format!("node {} is not a member of the cluster", node.0)),
    }
}

/// How far a wish has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    Open,
    /// It cannot happen any more.
    Impossible,
}

pub(crate) fn progress(wish: &Wish, decided: &Decided) -> Progress {
    match *wish {
        Wish::Active { group, node } => match decided.table.group(group) {
            Some(row) if row.active == Some(node) => Progress::Done,
            Some(row) if row.next == Some(node) || row.standby == Some(node) && row.full => Progress::Open,
            _ => Progress::Impossible,
        },
        Wish::Forced { group, node } => match decided.table.group(group) {
            Some(row) if row.active == Some(node) => Progress::Done,
            Some(_) => Progress::Open,
            None => Progress::Impossible,
        },
        Wish::Holder { site, node } => match decided.table.sites.iter().find(|row| row.site == site) {
            Some(row) if row.holder == node => Progress::Done,
            Some(_) => Progress::Open,
            None => Progress::Impossible,
        },
    }
}
