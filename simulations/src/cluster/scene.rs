//! A plan with a seed: which nodes there are, who calls whom, what strikes when.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use fabric::NodeId;
use fabric::letters::flow::Transport;

use crate::cluster::nat::NatKind;
use crate::cluster::node::Release;
use crate::cluster::plan::{FaultKind, Plan, Target};
use crate::dice::Dice;
use crate::plan::{Attempt, Callee, Device, Plan as Script, Reply, Side, User};
use crate::weather::Climate;

/// A node and where it stands.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    pub id: NodeId,
    pub role: Role,
    /// From 0; a witness has one of its own.
    pub chassis: usize,
    pub country: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Balancer,
    Proxy,
    Director,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Balancer => "balancer",
            Role::Proxy => "proxy",
            Role::Director => "director",
        }
    }
}

/// A fault with its time.
#[derive(Clone, Debug)]
pub struct Strike {
    pub number: usize,
    pub kind: FaultKind,
    pub at_ms: u64,
    pub until_ms: u64,
    pub target: Target,
    pub from: Option<Target>,
    /// How bad, in thousandths of the plan's unit.
    pub much_milli: u64,
    pub disk_lost: bool,
}

pub struct Scene {
    pub seed: u64,
    pub plan: Arc<Plan>,
    pub nodes: Vec<NodeSpec>,
    /// Places of the balancers among the nodes: site number to node.
    pub sites: Vec<usize>,
    /// Proxy pairs: places of two nodes on different chassis.
    pub pairs: Vec<(usize, usize)>,
    /// Phones, users and calls.
    pub script: Arc<Script>,
    pub strikes: Vec<Strike>,
    /// The NAT box of each device, where there is one for datagrams: its kind, and how long it remembers, microseconds.
    pub nats: Vec<Option<(NatKind, u64)>>,
    /// When everything is whole again, milliseconds.
    pub healed_ms: u64,
}

/// Before the busy time: nodes start, phones register; milliseconds.
pub const LEAD_MS: u64 = 14_000;

/// Between two heavy faults: what was lost is filled again; milliseconds.
const GAP_MS: u64 = 12_000;

impl Scene {
    pub fn new(plan: &Arc<Plan>, seed: u64) -> Scene {
        let mut dice = Dice::named(seed, &[b"scene"]);
        let nodes = nodes(plan);
        let sites: Vec<usize> = places(&nodes, Role::Balancer);
        let pairs = pairs(&nodes);
        // Dice of their own: phones and calls stay the same whatever strikes.
        let strikes = strikes(plan, &mut Dice::named(seed, &[b"strikes"]));
        let busy_ms = (plan.busy_s * 1_000.0) as u64;
        let last = strikes.iter().map(|strike| strike.until_ms).max().unwrap_or(0);
        let healed_ms = (LEAD_MS + busy_ms).max(last);
        let script = script(plan, seed, &nodes, &sites, healed_ms, &mut dice);
        let nats = nats(plan, &script);
        Scene { seed, plan: plan.clone(), nodes, sites, pairs, script: Arc::new(script), strikes, nats, healed_ms }
    }

    /// What nodes run when it begins: a plan that upgrades them starts with the release before this one.
    pub fn first_release(&self) -> Release {
        let upgrades = self.strikes.iter().any(|strike| strike.kind == FaultKind::RollingUpgrade);
        if upgrades { Release::Previous } else { Release::Present }
    }

    /// How wrong clocks may run in this plan, thousandths, where it is more than the one per cent that promises allow for.
    pub fn drift_permille(&self) -> u64 {
        let drifts = self.strikes.iter().filter(|strike| strike.kind == FaultKind::ClockDrift);
        drifts.map(|strike| strike.much_milli.div_ceil(1_000)).filter(|drift| *drift > 10).max().unwrap_or(0)
    }

    pub fn place(&self, id: NodeId) -> Option<usize> {
        usize::from(id.0).checked_sub(1).filter(|place| *place < self.nodes.len())
    }

    pub fn site_of(&self, node: usize) -> Option<usize> {
        self.sites.iter().position(|place| *place == node)
    }

    /// The name of a node for people: `c1.balancer2`.
    pub fn name(&self, node: usize) -> String {
        let spec = &self.nodes[node];
        let same = |other: &&NodeSpec| other.chassis == spec.chassis && other.role == spec.role;
        let ordinal = self.nodes[..=node].iter().filter(same).count();
        format!("c{}.{}{}", spec.chassis + 1, spec.role.name(), ordinal)
    }
}

fn nodes(plan: &Plan) -> Vec<NodeSpec> {
    let topology = &plan.topology;
    let mut nodes = Vec::new();
    let mut add = |role, chassis: usize, country| {
        let id = NodeId(nodes.len() as u16 + 1);
        nodes.push(NodeSpec { id, role, chassis, country });
    };
    for chassis in 0..topology.chassis {
        let country = chassis % topology.countries;
        (0..topology.balancers_per_chassis).for_each(|_| add(Role::Balancer, chassis, country));
        (0..topology.proxies_per_chassis).for_each(|_| add(Role::Proxy, chassis, country));
    }
    for number in 0..topology.directors {
        let alone = topology.witness && number + 1 == topology.directors || number >= topology.chassis;
        let chassis = if alone { topology.chassis + number } else { number };
        add(Role::Director, chassis, number % topology.countries);
    }
    nodes
}

fn places(nodes: &[NodeSpec], role: Role) -> Vec<usize> {
    (0..nodes.len()).filter(|place| nodes[*place].role == role).collect()
}

/// Proxies of a country in pairs over two chassis; one that finds no partner there looks abroad, then stays alone.
fn pairs(nodes: &[NodeSpec]) -> Vec<(usize, usize)> {
    let mut free = places(nodes, Role::Proxy);
    let mut pairs = Vec::new();
    while let Some(one) = (!free.is_empty()).then(|| free.remove(0)) {
        let other_chassis = |other: &&usize| nodes[**other].chassis != nodes[one].chassis;
        let partner = free
            .iter()
            .filter(other_chassis)
            .find(|other| nodes[**other].country == nodes[one].country)
            .or_else(|| free.iter().find(other_chassis))
            .copied();
        let Some(partner) = partner else { continue };
        free.retain(|other| *other != partner);
        pairs.push((one, partner));
    }
    pairs
}

fn strikes(plan: &Plan, dice: &mut Dice) -> Vec<Strike> {
    let busy_ms = (plan.busy_s * 1_000.0) as u64;
    let mut strikes = Vec::new();
    for fault in &plan.faults {
        for _ in 0..fault.times {
            let at = match fault.at_s {
                Some(at) => at.draw_milli(dice),
                None => dice.between(1_000, busy_ms),
            };
            let length = fault.for_s.map(|length| length.draw_milli(dice));
            let target = fault.target.as_deref().map_or(Ok(Target::AnyNode), Target::parse);
            let from = fault.from.as_deref().map(Target::parse);
            let (Ok(target), Ok(from)) = (target, from.transpose()) else { continue };
            let strike = Strike {
                number: 0,
                kind: *fault.kind.get_ref(),
                at_ms: LEAD_MS + at,
                until_ms: LEAD_MS + length.map_or(busy_ms.max(at + 1), |length| at + length),
                target,
                from,
                much_milli: fault.much.map_or(0, |much| much.draw_milli(dice)),
                disk_lost: fault.disk_lost,
            };
            strikes.push((fault.together || !fault.kind.get_ref().is_heavy(), strike));
        }
    }
    strikes.sort_by_key(|(_, strike)| strike.at_ms);
    // Heavy faults wait for each other.
    let mut free_ms = 0;
    for (together, strike) in &mut strikes {
        if *together {
            continue;
        }
        let late = free_ms.max(strike.at_ms) - strike.at_ms;
        strike.at_ms += late;
        strike.until_ms += late;
        free_ms = strike.until_ms + GAP_MS;
    }
    strikes.sort_by_key(|(_, strike)| strike.at_ms);
    let mut strikes: Vec<Strike> = strikes.into_iter().map(|(_, strike)| strike).collect();
    strikes.iter_mut().enumerate().for_each(|(number, strike)| strike.number = number);
    strikes
}

fn script(plan: &Plan, seed: u64, nodes: &[NodeSpec], sites: &[usize], healed_ms: u64, dice: &mut Dice) -> Script {
    let (weather, work) = (&plan.weather, &plan.workload);
    let relays_fail = plan.faults.iter().any(|fault| {
        // A dead chassis takes its relay along.
        matches!(*fault.kind.get_ref(), FaultKind::RelayDeath | FaultKind::RelayHang | FaultKind::KillChassis)
    });
    let mut script = Script {
        seed,
        climate: Climate {
            loss_permille: weather.loss_permille,
            duplicate_permille: weather.duplicate_permille,
            reorder_permille: weather.reorder_permille,
            delay_ms: (weather.delay_ms.from.max(1.0) as u64, weather.delay_ms.to.max(1.0) as u64),
            late_ms: 400,
            cuts: Vec::new(),
        },
        users: Vec::new(),
        devices: Vec::new(),
        attempts: Vec::new(),
        length_max_s: 21_600,
        // A call whose phone is gone ends by its session timer, within the run.
        session_expires_s: 90,
        ring_max_s: 40,
        relay_sick: None,
        relay_restart: relays_fail.then_some(0),
        store_sick: None,
        panic_per_million: 0,
        busy_ms: healed_ms,
        end_ms: healed_ms + (plan.drain_s * 1_000.0) as u64,
    };
    let storm = work.storm_at_s.map(|at| LEAD_MS + at.draw_milli(dice));
    while script.devices.len() < work.phones {
        let user = script.users.len();
        let two = dice.permille(work.second_phone_permille) && script.devices.len() + 2 <= work.phones;
        let country = user % plan.topology.countries;
        let near: Vec<usize> = (0..sites.len()).filter(|site| nodes[sites[*site]].country == country).collect();
        let mut owned = Vec::new();
        for ordinal in 0..1 + usize::from(two) {
            owned.push(script.devices.len());
            let mut device = device(script.devices.len(), user, ordinal, *dice.pick(&near), plan, healed_ms, dice);
            if let Some(at) = storm {
                device.reboot_at_ms = Some(at + dice.between(0, 2_000));
            }
            script.devices.push(device);
        }
        let password = format!("secret{}", dice.below(1_000_000));
        script.users.push(User {
            name: format!("user{user}"),
            number: format!("4319{user:05}"),
            password,
            devices: owned,
        });
    }
    attempts(&mut script, plan, healed_ms, dice);
    script
}

/// Boxes by dice of their own.
fn nats(plan: &Plan, script: &Script) -> Vec<Option<(NatKind, u64)>> {
    let work = &plan.workload;
    let nat = |(index, device): (usize, &Device)| {
        let mut dice = Dice::named(script.seed, &[b"nat", &(index as u64).to_le_bytes()]);
        let idle_us = work.nat_idle_s.draw_milli(&mut dice) * 1_000;
        let there = device.private != device.public && device.transport == Transport::Udp && idle_us > 0;
        there.then(|| (*dice.pick(&work.nat_kinds), idle_us))
    };
    script.devices.iter().enumerate().map(nat).collect()
}

fn device(
    index: usize,
    user: usize,
    ordinal: usize,
    site: usize,
    plan: &Plan,
    healed_ms: u64,
    dice: &mut Dice,
) -> Device {
    let work = &plan.workload;
    let nat = dice.permille(work.nat_permille);
    let (high, low) = ((index / 250) as u8, (index % 250) as u8 + 1);
    let outside = Ipv4Addr::new(198, 18, high, low);
    let public = SocketAddr::new(IpAddr::V4(outside), if nat { 40_000 } else { 5060 });
    let private = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 168, high, low)), 5060);
    let transport = if dice.permille(work.tcp_permille) { Transport::Tcp } else { Transport::Udp };
    let some = |share: u64, dice: &mut Dice| dice.permille(share).then(|| dice.between(LEAD_MS + 6_000, healed_ms));
    Device {
        user,
        ordinal,
        transport,
        public,
        private: if nat { private } else { public },
        register_at_ms: work.register_s.draw_milli(dice),
        expires_s: *dice.pick(&[60, 90, 120, 600]),
        unregister_at_ms: some(work.leave_permille, dice),
        slow_ms: if dice.permille(work.slow_permille) { dice.between(20, 1_500) } else { 0 },
        wrong_password: dice.permille(work.wrong_password_permille),
        silent_from_ms: some(work.silent_permille, dice),
        reboot_at_ms: some(work.reboot_permille, dice),
        reliable: dice.permille(400),
        keeps_nonce: dice.permille(500),
        timer: dice.permille(600),
        patient: true,
        rude: dice.permille(work.rude_permille),
        site,
    }
}

fn attempts(script: &mut Script, plan: &Plan, healed_ms: u64, dice: &mut Dice) {
    let work = &plan.workload;
    let mut pairs = BTreeSet::new();
    // Calls go on a little after the last fault: what was repaired must work.
    let last_ms = healed_ms + 10_000;
    let mut tries = 0;
    let mut transfers = Vec::new();
    while script.attempts.len() < work.calls && tries < 20 * work.calls {
        tries += 1;
        let caller = dice.below(script.devices.len());
        let user = script.devices[caller].user;
        let callee = match dice.below(60) {
            0 => Callee::Unknown,
            1 => Callee::Foreign,
            _ => Callee::User(dice.below(script.users.len())),
        };
        if let Callee::User(other) = callee
            && (other == user || !pairs.insert((user, other)))
        {
            continue;
        }
        let at_ms = dice.between(LEAD_MS, last_ms);
        let number = script.attempts.len();
        let mut attempt = script.attempt(number, at_ms, caller, callee, dice);
        attempt.reply = match dice.below(30) {
            0 | 1 => Reply::Busy,
            2 => Reply::Decline,
            3 => Reply::Ring,
            _ => Reply::Answer,
        };
        attempt.ring_ms = work.ring_s.draw_milli(dice);
        attempt.talk_ms = work.talk_s.draw_milli(dice);
        attempt.cancel_ms = dice.permille(work.cancel_permille).then(|| dice.between(1, 7_000));
        let side = attempt.hangs_up;
        let hold = || Some((side, 1_500, 2_500));
        attempt.hold = if dice.permille(work.hold_permille) { hold() } else { None };
        let mut own = Dice::named(script.seed, &[b"character", &(number as u64).to_le_bytes()]);
        attempt.drops = own.permille(work.drop_permille);
        attempt.glare_ms = dice.permille(work.glare_permille).then(|| dice.between(1_000, 6_000));
        if own.permille(work.transfer_permille)
            && let Some(transfer) = transfer(script, &mut attempt, &mut pairs, &mut own)
        {
            transfers.push(transfer);
        }
        script.attempts.push(attempt);
    }
    script.attempts.append(&mut transfers);
    script.attempts.sort_by_key(|attempt| (attempt.at_ms, attempt.number));
    script.attempts.iter_mut().enumerate().for_each(|(number, attempt)| attempt.number = number);
}

/// Lets one side of a call transfer the other one: the attempt that the switch will make in the name of that one.
fn transfer(
    script: &Script,
    attempt: &mut Attempt,
    pairs: &mut BTreeSet<(usize, usize)>,
    dice: &mut Dice,
) -> Option<Attempt> {
    let Callee::User(callee) = attempt.callee else { return None };
    if attempt.page || attempt.drops || attempt.reply != Reply::Answer {
        return None;
    }
    let by = if dice.permille(500) { Side::Caller } else { Side::Callee };
    let far = match by {
        Side::Callee => attempt.caller,
        Side::Caller => *script.users[callee].devices.get(attempt.answers)?,
    };
    let (user, target) = (script.devices[far].user, dice.below(script.users.len()));
    let known = target == callee || target == script.devices[attempt.caller].user;
    if known || !pairs.insert((user, target)) {
        return None;
    }
    attempt.refer = Some((by, dice.between(800, 4_000), target));
    let other = script.attempt(usize::MAX, attempt.at_ms, far, Callee::User(target), dice);
    Some(Attempt {
        by_transfer: true,
        reply: if dice.permille(150) { Reply::Busy } else { Reply::Answer },
        ring_ms: dice.between(0, 3_000),
        talk_ms: dice.between(1_000, 30_000),
        cancel_ms: None,
        hangs_up: Side::Callee,
        hold: None,
        glare_ms: None,
        info_ms: None,
        update_ms: None,
        page: false,
        ..other
    })
}

/// Address of a balancer site as phones know it.
pub fn site_address(site: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, site as u8 + 1)), 5060)
}
