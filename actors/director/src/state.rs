//! What the directors have agreed on: the table that everybody obeys, and what they need to know to change it.

use fabric::hash::hash64;
use fabric::ownership::{Member, Ownership, Site};
use fabric::{Epoch, GroupId, NodeId, SLOTS, Table, zone};
use serde::{Deserialize, Serialize};

use crate::settings::{PairSetting, Settings, SiteSetting};

/// The replicated state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decided {
    pub table: Table,
    pub plan: Plan,
    pub known: Vec<Known>,
    pub seats: Vec<Seat>,
}

/// The operator's part: taken over from the settings once a majority of the voters has the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub sum: u64,
    pub members: Vec<(NodeId, u16)>,
    pub pairs: Vec<PairSetting>,
    pub sites: Vec<SiteSetting>,
    pub warning: String,
}

/// Of a node: what the table need not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub node: NodeId,
    /// A lease is granted to it only when it obeys a table of at least this version.
    pub since: u64,
    /// Processes that ended before, newest last.
    pub old: Vec<u64>,
}

/// Of a group: what the table need not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub group: GroupId,
    /// Where its state is; the pair in the table is where it is to be.
    pub nodes: [NodeId; 2],
    /// Version since which its row stands; what older tables made a node report says nothing about it.
    pub since: u64,
}

/// A whole new state in the place of the one with this version.
#[derive(Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub instead_of: u64,
    pub decided: Decided,
}

impl Plan {
    pub fn of(settings: &Settings) -> Plan {
        Plan {
            sum: settings.sum(),
            members: settings.members.iter().map(|member| (member.node, member.chassis)).collect(),
            pairs: settings.pairs.clone(),
            sites: settings.sites.clone(),
            warning: settings.warning(),
        }
    }

    /// The pair that is to hold a slot: of those of its zone the one whose hash with it is highest, so that a new pair takes its share from
    /// all others and nothing moves between those.
    pub fn pair_of_slot(&self, slot: u16) -> Option<u16> {
        let weight = |pair: &PairSetting| hash64(PAIRS, &[&slot.to_be_bytes(), &pair.pair.to_be_bytes()]);
        let zone = zone::of_slot(slot, self.zones());
        let here = self.pairs.iter().filter(|pair| zone::of_pair(pair.pair).0 == zone);
        here.max_by_key(|pair| (weight(pair), pair.pair)).map(|pair| pair.pair)
    }

    /// Zones that the pairs have, count; 0 when they have none.
    fn zones(&self) -> u16 {
        self.pairs.iter().map(|pair| zone::of_pair(pair.pair).0).max().unwrap_or(0)
    }

    pub fn nodes(&self, pair: u16) -> Option<[NodeId; 2]> {
        self.pairs.iter().find(|other| other.pair == pair).map(|pair| pair.nodes)
    }
}

impl Decided {
    pub fn version(&self) -> u64 {
        self.table.version
    }

    /// The version after this one, if the proposal was made for this one.
    pub fn after(&self, data: &[u8]) -> Option<Decided> {
        let proposal: Proposal = postcard::from_bytes(data).ok()?;
        (proposal.instead_of == self.version() || fabric::mutant!(ProposalStale)).then_some(proposal.decided)
    }

    pub fn known(&self, node: NodeId) -> Option<&Known> {
        self.known.iter().find(|known| known.node == node)
    }

    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.table.members.iter().find(|member| member.node == node)
    }

    /// The process of a node that the table speaks of; 0 before it was ever heard.
    pub fn boot(&self, node: NodeId) -> u64 {
        self.member(node).map_or(0, |member| member.boot)
    }

    pub fn is_member(&self, node: NodeId) -> bool {
        self.member(node).is_some()
    }

    pub fn is_up(&self, node: NodeId) -> bool {
        self.member(node).is_some_and(|member| member.up)
    }

    pub fn chassis(&self, node: NodeId) -> Option<u16> {
        self.member(node).map(|member| member.chassis)
    }

    /// Takes the operator's plan over: slots whose pair is another one become groups of their own, which still stand
    /// where they stood and move from there.
    pub fn adopt(&mut self, plan: &Plan) {
        for (node, chassis) in &plan.members {
            match self.table.members.iter_mut().find(|member| member.node == *node) {
                Some(member) => member.chassis = *chassis,
                None => self.table.members.push(Member { node: *node, chassis: *chassis, up: false, boot: 0 }),
            }
            if self.known(*node).is_none() {
                self.known.push(Known { node: *node, ..Known::default() });
            }
        }
        self.table.members.sort_by_key(|member| member.node);
        self.table.warning.clone_from(&plan.warning);
        self.table.sites.retain(|row| plan.sites.iter().any(|site| site.site == row.site));
        for site in &plan.sites {
            match self.table.sites.iter_mut().find(|row| row.site == site.site) {
                Some(row) if site.holders.contains(&row.holder) => {}
                Some(row) => (row.holder, row.epoch) = (site.holders[0], Epoch(row.epoch.0 + 1)),
                None => {
                    self.table.sites.push(Site { site: site.site, holder: site.holders[0], epoch: Epoch(1) });
                }
            }
        }
        self.plan = plan.clone();
        self.regroup();
    }

    fn regroup(&mut self) {
        let old: Vec<Option<GroupId>> = (0..SLOTS).map(|slot| self.table.group_of_slot(slot)).collect();
        let wanted: Vec<Option<u16>> = (0..SLOTS).map(|slot| self.plan.pair_of_slot(slot)).collect();
        let mut groups = vec![GroupId::default(); SLOTS.into()];
        let mut made: Vec<(Option<GroupId>, u16, GroupId)> = Vec::new();
        // First those that stay with their pair, so that they keep their group.
        let mut order: Vec<usize> = (0..usize::from(SLOTS)).collect();
        order.sort_by_key(|slot| !old[*slot].is_some_and(|group| self.pair(group) == wanted[*slot]));
        for slot in order {
            let Some(pair) = wanted[slot] else { return };
            let group = match made.iter().find(|(from, to, _)| *from == old[slot] && *to == pair) {
                Some((_, _, group)) => *group,
                None => {
                    let group = self.make_group(old[slot], pair, &made);
                    made.push((old[slot], pair, group));
                    group
                }
            };
            groups[slot] = group;
        }
        self.table.slots = Table::runs(groups.iter().copied());
        self.table.groups.retain(|row| groups.contains(&row.group));
        self.table.groups.sort_by_key(|row| row.group);
        self.seats.retain(|seat| groups.contains(&seat.group));
    }

    /// The group for slots of group `from` that pair `to` is to hold: the same one when nobody else has it.
    fn make_group(&mut self, from: Option<GroupId>, to: u16, made: &[(Option<GroupId>, u16, GroupId)]) -> GroupId {
        let taken = made.iter().any(|(_, _, group)| Some(*group) == from);
        if let Some(group) = from.filter(|_| !taken) {
            if let Some(row) = self.table.groups.iter_mut().find(|row| row.group == group) {
                if row.pair != to {
                    (row.learner, row.next) = (None, None);
                }
                row.pair = to;
            }
            return group;
        }
        let group = GroupId(self.table.groups.iter().map(|row| row.group.0 + 1).max().unwrap_or(0));
        let parent = from.and_then(|from| self.table.group(from).cloned());
        let nodes = from.and_then(|from| self.seat(from)).map(|seat| seat.nodes);
        let row = match parent {
            Some(parent) => Ownership { group, pair: to, learner: None, next: None, ..parent },
            None => Ownership {
                group,
                pair: to,
                epoch: Epoch(0),
                active: None,
                standby: None,
                full: false,
                learner: None,
                next: None,
            },
        };
        self.table.groups.push(row);
        let nodes = nodes.or_else(|| self.plan.nodes(to)).unwrap_or_default();
        self.seats.push(Seat { group, nodes, since: 0 });
        group
    }

    fn pair(&self, group: GroupId) -> Option<u16> {
        self.table.group(group).map(|row| row.pair)
    }

    pub fn seat(&self, group: GroupId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.group == group)
    }

    /// Forgets members that the plan no longer has, once nothing depends on them.
    pub fn drop_members(&mut self) {
        let (plan, table) = (&self.plan, &self.table);
        let used = |node: NodeId| {
            plan.members.iter().any(|(member, _)| *member == node)
                || table.groups.iter().any(|row| [row.active, row.standby, row.learner, row.next].contains(&Some(node)))
                || table.sites.iter().any(|site| site.holder == node)
        };
        let gone: Vec<NodeId> = table.members.iter().map(|member| member.node).filter(|node| !used(*node)).collect();
        self.table.members.retain(|member| !gone.contains(&member.node));
        self.known.retain(|known| !gone.contains(&known.node));
    }
}

/// Names what is hashed; never changes.
const PAIRS: &[u8; 16] = b"tandem pairs/v1\0";

#[cfg(test)]
mod tests;
