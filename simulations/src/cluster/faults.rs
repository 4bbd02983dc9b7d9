//! Striking and repairing: what each fault of the menu does, and whether it did anything.

use std::collections::{BTreeMap, BTreeSet};

use fabric::letters::cluster::Order;

use crate::cluster::event::Event;
use crate::cluster::lab::ClusterLab;
use crate::cluster::outcome::{Counts, FaultReport};
use crate::cluster::plan::{FaultKind, Target};
use crate::cluster::scene::{Role, Scene, Strike};
use crate::cluster::watch::CALM_US;

mod process;
mod roll;
mod states;
mod world;

pub(super) use roll::Roll;

/// Faults under way, and what they have done.
#[derive(Default)]
pub struct Menu {
    under_way: BTreeMap<usize, Applied>,
    pub reports: Vec<FaultReport>,
    /// Nodes that are cut off from everybody.
    lonely: BTreeSet<usize>,
    /// What ended processes have counted.
    pub counts: Counts,
    pub differences: u64,
    pub unreadable: u64,
    pub panics: Vec<String>,
    pub letters_max: usize,
    pub loops: u64,
    // What the world has felt of it.
    pub lost: u64,
    pub dialled_in_vain: u64,
    pub into_the_void: u64,
    pub flows_gone: u64,
    pub relay_silent: u64,
    /// Parcels between nodes of two releases, and those that the older one could not read.
    pub mixed: u64,
    pub unread: u64,
    /// When something was repaired last, microseconds.
    repaired: u64,
}

/// What a strike has touched.
#[derive(Default)]
pub(super) struct Applied {
    nodes: Vec<usize>,
    cuts: Vec<(usize, usize)>,
    clogs: Vec<(usize, usize)>,
    sites: Vec<usize>,
    /// Nodes that a cut may cost what they hold.
    hurt: Vec<usize>,
    /// A flapping link is cut at this moment.
    is_cut: bool,
    roll: Option<Roll>,
    /// Version of the table when an operator asked for a change; what the world had felt before.
    version: u64,
    felt: u64,
}

impl Menu {
    pub fn new(_scene: &Scene) -> Menu {
        Menu::default()
    }

    pub fn is_lonely(&self, node: usize) -> bool {
        self.lonely.contains(&node)
    }

    /// Whether no fault is under way, nor was a moment ago.
    pub fn is_calm(&self, now: u64) -> bool {
        self.under_way.is_empty() && self.repaired + CALM_US <= now
    }

    fn felt(&self) -> u64 {
        self.lost + self.dialled_in_vain + self.into_the_void + self.flows_gone + self.relay_silent
    }
}

impl ClusterLab {
    pub(super) fn strike(&mut self, number: usize) {
        let strike = self.scene.strikes[number].clone();
        let mut applied = Applied { version: self.watch.table.version, felt: self.menu.felt(), ..Applied::default() };
        let nodes = self.resolve(strike.target);
        let (effect, what) = self.apply(&strike, &nodes, &mut applied);
        let target = self.names(&nodes, strike.target);
        self.watch.tell(self.now, nodes.first().copied(), "fault", format!("{} {target}", strike.kind.name()));
        self.menu.reports.push(FaultReport {
            kind: strike.kind.name().to_owned(),
            target,
            at_ms: strike.at_ms,
            until_ms: strike.until_ms,
            effect,
            what,
        });
        self.menu.under_way.insert(number, applied);
        self.heap.push(strike.until_ms * 1_000, Event::Repair(number));
    }

    fn names(&self, nodes: &[usize], target: Target) -> String {
        match (nodes, target) {
            (_, Target::Chassis(number)) => format!("chassis {number}"),
            (_, Target::Country(number)) => format!("country {number}"),
            ([one], _) => self.scene.name(*one),
            ([one, ..], Target::AnyChassis) => format!("chassis {}", self.scene.nodes[*one].chassis + 1),
            _ => String::new(),
        }
    }

    /// The nodes that a target means at this moment.
    fn resolve(&mut self, target: Target) -> Vec<usize> {
        let count = self.scene.nodes.len();
        let lives = |lab: &ClusterLab, node: &usize| lab.nodes[*node].host.is_some() && !lab.nodes[*node].paused;
        let any = |lab: &mut ClusterLab, role: Option<Role>| {
            let all: Vec<usize> =
                (0..count).filter(|node| role.is_none_or(|role| lab.role(*node) == role) && lives(lab, node)).collect();
            if all.is_empty() { Vec::new() } else { vec![*lab.dice.pick(&all)] }
        };
        match target {
            Target::AnyProxy => any(self, Some(Role::Proxy)),
            Target::AnyBalancer => any(self, Some(Role::Balancer)),
            Target::AnyDirector => any(self, Some(Role::Director)),
            Target::AnyNode => any(self, None),
            Target::AnyChassis => {
                let chassis = self.dice.below(self.scene.plan.topology.chassis);
                (0..count).filter(|node| self.scene.nodes[*node].chassis == chassis).collect()
            }
            Target::Node(id) => self.scene.place(fabric::NodeId(id)).into_iter().collect(),
            Target::Chassis(number) => {
                (0..count).filter(|node| self.scene.nodes[*node].chassis + 1 == number).collect()
            }
            Target::Country(number) => {
                // A witness stands on neutral ground.
                let chassis = self.scene.plan.topology.chassis;
                let inside = |node: &usize| {
                    self.scene.nodes[*node].country + 1 == number && self.scene.nodes[*node].chassis < chassis
                };
                (0..count).filter(inside).collect()
            }
            Target::Active => self.busiest().into_iter().collect(),
            Target::Standby => {
                let Some(active) = self.busiest() else { return Vec::new() };
                let id = self.id(active);
                let rows = &self.watch.table.groups;
                let row = rows.iter().find(|row| row.active == Some(id) && row.standby.is_some());
                row.and_then(|row| row.standby).and_then(|node| self.scene.place(node)).into_iter().collect()
            }
            Target::Leader => match self.watch.leader.filter(|node| lives(self, node)) {
                Some(leader) => vec![leader],
                None => any(self, Some(Role::Director)),
            },
        }
    }

    /// The node with most calls.
    fn busiest(&self) -> Option<usize> {
        let calls = |node: &usize| self.nodes[*node].host.as_ref().map_or(0, |host| host.count("call"));
        let proxies = (0..self.nodes.len()).filter(|node| self.role(*node) == Role::Proxy);
        proxies.filter(|node| self.nodes[*node].host.is_some()).max_by_key(|node| (calls(node), usize::MAX - node))
    }

    fn apply(&mut self, strike: &Strike, nodes: &[usize], applied: &mut Applied) -> (bool, String) {
        let number = strike.number;
        applied.nodes = nodes.to_vec();
        match strike.kind {
            FaultKind::KillProcess => {
                let lived = nodes.iter().filter(|node| self.kill(**node, false, strike.disk_lost)).count();
                (lived > 0, format!("{lived} processes"))
            }
            FaultKind::KillChassis => {
                let lived = nodes.iter().filter(|node| self.kill(**node, true, strike.disk_lost)).count();
                for node in nodes {
                    if let Some(site) = self.scene.site_of(*node) {
                        self.relays[site].relay.restart();
                        self.relays[site].dead = true;
                        applied.sites.push(site);
                    }
                }
                (lived > 0, format!("{lived} processes"))
            }
            FaultKind::Pause => {
                let lived = nodes.iter().filter(|node| self.pause(**node)).count();
                self.heap.push(self.now + self.scene.plan.links.dead_ms * 1_000, Event::Rhythm(number, 0));
                (lived > 0, format!("{lived} processes"))
            }
            FaultKind::Cut | FaultKind::CutOneWay | FaultKind::CutPartial => self.cut(strike, nodes, applied),
            FaultKind::Flap => {
                let others = match strike.from {
                    Some(from) => self.resolve(from),
                    None => self.rest(nodes),
                };
                let pair = nodes.first().copied().zip(others.into_iter().find(|other| !nodes.contains(other)));
                let Some((one, other)) = pair else { return (false, "no link".to_owned()) };
                applied.cuts = vec![(one, other), (other, one)];
                self.heap.push(self.now + 1, Event::Rhythm(number, 0));
                (true, format!("{} and {}", self.scene.name(one), self.scene.name(other)))
            }
            FaultKind::Clog => {
                let mut others = match strike.from {
                    Some(from) => self.resolve(from),
                    None => self.rest(nodes),
                };
                others.retain(|other| !nodes.contains(other));
                for node in nodes {
                    applied.clogs.extend(others.iter().flat_map(|other| [(*node, *other), (*other, *node)]));
                }
                applied.clogs.iter().for_each(|(from, to)| self.net.clog(*from, *to));
                (!applied.clogs.is_empty(), format!("{} directions", applied.clogs.len()))
            }
            FaultKind::Loss => {
                self.street.storm_permille = (strike.much_milli / 1_000).min(900);
                (true, format!("{} of a thousand", self.street.storm_permille))
            }
            FaultKind::ClockDrift => {
                let sign = if self.dice.permille(500) { 1 } else { -1 };
                let ppm = sign * (strike.much_milli.min(200_000) as i64);
                for node in nodes {
                    self.nodes[*node].clock.drift(self.now, ppm);
                    self.rearm(*node);
                }
                (ppm != 0 && !nodes.is_empty(), format!("{ppm} millionths"))
            }
            FaultKind::ClockStep => {
                let sign = if self.dice.permille(500) { 1 } else { -1 };
                let by_ms = sign * (strike.much_milli / 1_000) as i64;
                nodes.iter().for_each(|node| self.nodes[*node].clock.step(by_ms));
                (by_ms != 0 && !nodes.is_empty(), format!("{by_ms} ms"))
            }
            FaultKind::DiskStall => {
                nodes.iter().for_each(|node| self.nodes[*node].disk.stall_us = strike.much_milli);
                (strike.much_milli > 0 && !nodes.is_empty(), format!("{} ms a sync", strike.much_milli / 1_000))
            }
            FaultKind::RelayDeath | FaultKind::RelayHang => {
                let sites: Vec<usize> = nodes.iter().filter_map(|node| self.scene.site_of(*node)).collect();
                let mut sessions = 0;
                for site in &sites {
                    sessions += self.relays[*site].relay.sessions();
                    match strike.kind {
                        FaultKind::RelayDeath => {
                            self.relays[*site].relay.restart();
                            self.relays[*site].dead = true;
                        }
                        _ => self.relays[*site].hangs = true,
                    }
                }
                let some = !sites.is_empty();
                applied.sites = sites;
                (some, format!("{sessions} sessions"))
            }
            FaultKind::StoreOutage => {
                self.central.out = true;
                (true, String::new())
            }
            FaultKind::SlowAnswers => {
                nodes.iter().for_each(|node| self.nodes[*node].answers_us = strike.much_milli);
                (strike.much_milli > 0 && !nodes.is_empty(), format!("{} ms an answer", strike.much_milli / 1_000))
            }
            FaultKind::StoreLag | FaultKind::StoreReplicaLoss => self.hurt_store(strike, applied),
            FaultKind::TornWrite => {
                nodes.iter().for_each(|node| self.nodes[*node].disk.trap = Some(number));
                (false, "nothing was written".to_owned())
            }
            FaultKind::NatReset => self.reset_nats(strike.much_milli / 1_000),
            FaultKind::RollingRestart | FaultKind::RollingUpgrade | FaultKind::RollingRollback => {
                let roll = self.begin_roll(strike.kind);
                let count = roll.nodes_left();
                applied.roll = Some(roll);
                applied.felt = self.menu.mixed;
                self.heap.push(self.now + 1, Event::Rhythm(number, 0));
                (count > 0, format!("{count} nodes"))
            }
            FaultKind::Gray => {
                nodes.iter().for_each(|node| self.nodes[*node].slow_us = strike.much_milli);
                (strike.much_milli > 0 && !nodes.is_empty(), format!("{} ms a letter", strike.much_milli / 1_000))
            }
            FaultKind::MakeActive | FaultKind::MakeStandby | FaultKind::HoldSite => self.ask(strike, nodes),
        }
    }

    fn rest(&self, nodes: &[usize]) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| !nodes.contains(node)).collect()
    }

    fn cut(&mut self, strike: &Strike, nodes: &[usize], applied: &mut Applied) -> (bool, String) {
        let mut others = match strike.from {
            Some(from) => self.resolve(from),
            None => self.rest(nodes),
        };
        others.retain(|other| !nodes.contains(other));
        if strike.kind == FaultKind::CutPartial {
            others.truncate(1);
        }
        for node in nodes {
            for other in &others {
                applied.cuts.push((*node, *other));
                if strike.kind != FaultKind::CutOneWay {
                    applied.cuts.push((*other, *node));
                }
            }
        }
        applied.cuts.iter().for_each(|(from, to)| self.net.cut(*from, *to));
        if strike.from.is_none() {
            self.menu.lonely.extend(nodes);
        }
        // Between two sides either may have to go.
        applied.hurt = match strike.from {
            Some(_) => nodes.iter().chain(&others).copied().collect(),
            None => nodes.to_vec(),
        };
        for node in applied.hurt.clone() {
            self.watch.hurt.insert(node, self.now);
            self.watch_calls(node);
        }
        (!applied.cuts.is_empty(), format!("{} directions", applied.cuts.len()))
    }

    /// An operator wants something.
    fn ask(&mut self, strike: &Strike, nodes: &[usize]) -> (bool, String) {
        let Some(node) = nodes.first().copied() else { return (false, "nobody".to_owned()) };
        let id = self.id(node);
        let rows = self.watch.table.groups.clone();
        let order = match strike.kind {
            FaultKind::MakeActive => {
                let Some(row) = rows.iter().find(|row| row.standby == Some(id) && row.full) else {
                    return (false, "not the full standby of anything".to_owned());
                };
                if let Some(active) = row.active.and_then(|active| self.scene.place(active)) {
                    self.watch.asked.insert(active, self.now);
                }
                Order::MakeActive { node: id, group: Some(row.group) }
            }
            FaultKind::MakeStandby => {
                self.watch.asked.insert(node, self.now);
                Order::MakeStandby { node: id, group: None }
            }
            _ => {
                let sites = &self.scene.sites;
                let own = &self.scene.nodes[node];
                let other = sites.iter().find(|other| {
                    let there = &self.scene.nodes[**other];
                    there.country == own.country && there.chassis != own.chassis
                });
                let Some(other) = other.copied() else { return (false, "no stand-in".to_owned()) };
                self.watch.asked.insert(node, self.now);
                Order::HoldSite { site: id, node: self.id(other) }
            }
        };
        self.order(node, order);
        (true, format!("{order:?}"))
    }

    pub(super) fn repair(&mut self, number: usize) {
        let Some(mut applied) = self.menu.under_way.remove(&number) else { return };
        self.menu.repaired = self.now;
        let strike = self.scene.strikes[number].clone();
        match strike.kind {
            FaultKind::KillProcess | FaultKind::KillChassis => {
                for site in &applied.sites {
                    self.relays[*site].dead = false;
                    self.relays[*site].whole_since_ms = self.now_ms();
                }
                for node in &applied.nodes {
                    let wait = self.dice.between(0, 400_000);
                    self.heap.push(self.now + wait, Event::Start(*node));
                }
            }
            FaultKind::Pause => applied.nodes.iter().for_each(|node| self.unpause(*node)),
            FaultKind::Cut | FaultKind::CutOneWay | FaultKind::CutPartial | FaultKind::Flap => {
                if strike.kind != FaultKind::Flap || applied.is_cut {
                    self.heal_lanes(&applied.cuts, false);
                }
                for node in &applied.nodes {
                    self.menu.lonely.remove(node);
                }
                for node in &applied.hurt {
                    self.watch.hurt.remove(node);
                }
            }
            FaultKind::Clog => self.heal_lanes(&applied.clogs, true),
            FaultKind::Loss => self.street.storm_permille = 0,
            FaultKind::ClockDrift => {
                for node in &applied.nodes {
                    self.nodes[*node].clock.drift(self.now, 20);
                    self.rearm(*node);
                }
            }
            FaultKind::ClockStep => {}
            FaultKind::DiskStall => applied.nodes.iter().for_each(|node| self.nodes[*node].disk.stall_us = 0),
            FaultKind::RelayDeath | FaultKind::RelayHang => {
                for site in &applied.sites {
                    (self.relays[*site].dead, self.relays[*site].hangs) = (false, false);
                    self.relays[*site].whole_since_ms = self.now_ms();
                }
            }
            FaultKind::StoreOutage => self.store_back(),
            FaultKind::SlowAnswers => applied.nodes.iter().for_each(|node| self.nodes[*node].answers_us = 0),
            // What was torn has started again by itself.
            FaultKind::TornWrite => applied.nodes.iter().for_each(|node| self.nodes[*node].disk.trap = None),
            FaultKind::StoreLag | FaultKind::StoreReplicaLoss => self.mend_store(number, strike.kind, &applied),
            FaultKind::RollingRestart | FaultKind::RollingUpgrade | FaultKind::RollingRollback => {
                self.end_roll(number, strike.kind, applied.roll.take(), applied.felt);
            }
            FaultKind::NatReset => {}
            FaultKind::Gray => {
                for node in &applied.nodes {
                    self.nodes[*node].slow_us = 0;
                    self.resume(*node);
                }
            }
            FaultKind::MakeActive | FaultKind::MakeStandby | FaultKind::HoldSite => {
                let moved = self.watch.table.version > applied.version;
                self.menu.reports[number].effect &= moved;
            }
        }
        if strike.kind == FaultKind::Loss && self.menu.felt() == applied.felt {
            self.menu.reports[number].effect = false;
        }
        self.watch.tell(self.now, applied.nodes.first().copied(), "repair", strike.kind.name());
    }

    fn heal_lanes(&mut self, lanes: &[(usize, usize)], clog: bool) {
        for (from, to) in lanes {
            let session = self.net.session(*from, *to);
            for (at, parcel) in self.net.heal(*from, *to, clog, self.now) {
                self.heap.push(at, Event::Parcel(*from, *to, session, Box::new(parcel)));
            }
        }
    }

    /// The next beat of a fault that has a rhythm.
    pub(super) fn rhythm(&mut self, number: usize, beat: u64) {
        let Some(mut applied) = self.menu.under_way.remove(&number) else { return };
        let strike = self.scene.strikes[number].clone();
        match strike.kind {
            FaultKind::Flap => {
                if applied.is_cut {
                    self.heal_lanes(&applied.cuts, false);
                } else {
                    applied.cuts.iter().for_each(|(from, to)| self.net.cut(*from, *to));
                }
                applied.is_cut = !applied.is_cut;
                // `much` ups and downs a second.
                let half_us = 500_000_000 / strike.much_milli.clamp(100, 20_000);
                self.heap.push(self.now + half_us, Event::Rhythm(number, beat + 1));
            }
            FaultKind::Pause => {
                // Its peers have given it up.
                for node in applied.nodes.clone() {
                    if self.nodes[node].paused {
                        (0..self.nodes.len())
                            .filter(|other| *other != node)
                            .for_each(|other| self.break_link(node, other));
                    }
                }
            }
            FaultKind::RollingRestart | FaultKind::RollingUpgrade | FaultKind::RollingRollback => {
                let goes_on = applied.roll.take().and_then(|roll| self.roll(roll));
                if let Some(roll) = goes_on {
                    applied.roll = Some(roll);
                    self.heap.push(self.now + 200_000, Event::Rhythm(number, beat + 1));
                }
            }
            _ => {}
        }
        self.menu.under_way.insert(number, applied);
    }

    /// The end of all faults.
    pub(super) fn heal(&mut self) {
        let under_way: Vec<usize> = self.menu.under_way.keys().copied().collect();
        for number in under_way {
            self.repair(number);
        }
        self.watch.tell(self.now, None, "heal", "");
        for node in 0..self.nodes.len() {
            self.unpause(node);
            if self.nodes[node].host.is_none() {
                self.heap.push(self.now + 500_000, Event::Start(node));
            }
        }
    }
}
