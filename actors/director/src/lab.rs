//! A small deterministic world for the directors: nodes with clocks of their own, links that lose, delay and are cut,
//! disks that stall, processes that die, sleep and come back; and pretended offices that beat, hold leases and yield.

mod checks;
#[cfg(feature = "mutants")]
mod mutants;
mod office;
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fabric::letters::cluster::{JournalEntry, Order};
use fabric::letters::control::ControlAnswer;
use fabric::{Address, Envelope, Home, Instant, Letter, Machine, NodeId, Now, Outbox, Table, Thread};

use crate::{Director, MemberSetting, PairSetting, Settings, SiteSetting};
use checks::Checks;
use office::Office;

pub(crate) struct World {
    pub now: u64,
    events: BTreeMap<(u64, u64), Event>,
    number: u64,
    pub dice: Dice,
    pub nodes: BTreeMap<NodeId, Node>,
    pub settings: Arc<Settings>,
    /// Letters from the first to the second are lost.
    pub cuts: BTreeSet<(NodeId, NodeId)>,
    pub loss_permille: u64,
    /// No table reaches this node.
    pub untold: Option<NodeId>,
    pub delay_us: (u64, u64),
    pub disk_us: (u64, u64),
    /// Letters on a link keep their order.
    last: BTreeMap<(NodeId, NodeId), u64>,
    pub checks: Checks,
    pub answers: Vec<(Thread, ControlAnswer)>,
}

pub(crate) struct Node {
    pub chassis: u16,
    pub alive: bool,
    pub boot: u64,
    paused_until: u64,
    drift_ppm: i64,
    pub director: Option<Director>,
    wake_at: u64,
    /// The table that its director has.
    table: Arc<Table>,
    journal: Vec<JournalEntry>,
    pub office: Office,
    settings: Arc<Settings>,
}

enum Event {
    Deliver { boot: u64, mail: Envelope },
    Wake { node: NodeId, boot: u64 },
    Beat { node: NodeId, boot: u64 },
    Disk { node: NodeId, boot: u64, mail: Envelope },
    Do(Box<dyn FnOnce(&mut World)>),
}

/// Dice with a seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` to `high - 1`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.next() % (high - low) }
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.range(0, of.len() as u64) as usize]
    }
}

/// Three chassis: two with two proxies and a balancer each, and a witness. Directors on 1, 2 and 3.
pub(crate) fn settings() -> Settings {
    let node = |node| NodeId(node);
    let member = |node, chassis| MemberSetting { node: NodeId(node), chassis, name: String::new() };
    Settings {
        voters: vec![node(1), node(2), node(3)],
        members: vec![member(1, 1), member(2, 2), member(3, 3), member(4, 1), member(5, 2), member(6, 1), member(7, 2)],
        pairs: vec![
            PairSetting { pair: 1, nodes: [node(1), node(2)] },
            PairSetting { pair: 2, nodes: [node(5), node(4)] },
        ],
        sites: vec![
            SiteSetting { site: node(6), holders: vec![node(6), node(7)] },
            SiteSetting { site: node(7), holders: vec![node(7), node(6)] },
        ],
        ..Settings::default()
    }
}

impl World {
    pub fn new(seed: u64, settings: Settings) -> World {
        settings.check().expect("settings that make sense");
        let settings = Arc::new(settings);
        let mut world = World {
            now: 1,
            events: BTreeMap::new(),
            number: 0,
            dice: Dice::new(seed),
            nodes: BTreeMap::new(),
            settings: Arc::clone(&settings),
            cuts: BTreeSet::new(),
            loss_permille: 0,
            untold: None,
            delay_us: (100, 1_500),
            disk_us: (200, 3_000),
            last: BTreeMap::new(),
            checks: Checks::new(seed),
            answers: Vec::new(),
        };
        for member in &settings.members {
            let drift_ppm = world.dice.range(0, 20_001) as i64 - 10_000;
            let node = Node {
                chassis: member.chassis,
                alive: false,
                boot: 0,
                paused_until: 0,
                drift_ppm,
                director: None,
                wake_at: u64::MAX,
                table: Arc::default(),
                journal: Vec::new(),
                office: Office::default(),
                settings: Arc::clone(&settings),
            };
            world.nodes.insert(member.node, node);
            let at = world.dice.range(0, 200_000);
            let id = member.node;
            world.after_us(at, move |world| world.start(id));
        }
        world
    }

    pub fn after_us(&mut self, us: u64, what: impl FnOnce(&mut World) + 'static) {
        self.at(self.now + us, Event::Do(Box::new(what)));
    }

    fn at(&mut self, at: u64, event: Event) {
        self.number += 1;
        self.events.insert((at.max(self.now), self.number), event);
    }

    /// Plays on for so many milliseconds.
    pub fn run_ms(&mut self, ms: u64) {
        let end = self.now + ms * 1_000;
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) {
            self.now = entry.key().0;
            let event = entry.remove();
            self.step(event);
        }
        self.now = end;
    }

    /// Plays on until something holds; how long it took, in milliseconds.
    pub fn run_until(&mut self, ms_max: u64, holds: impl Fn(&World) -> bool) -> u64 {
        let start = self.now;
        while !holds(self) {
            assert!(self.now - start < ms_max * 1_000, "seed {}: not within {ms_max} ms", self.checks.seed);
            self.run_ms(1);
        }
        (self.now - start) / 1_000
    }

    fn step(&mut self, event: Event) {
        let target = match &event {
            Event::Deliver { mail, .. } => mail.to.node(),
            Event::Wake { node, .. } | Event::Beat { node, .. } => Some(*node),
            Event::Disk { .. } | Event::Do(_) => None,
        };
        if let Some(paused) = target.and_then(|node| self.nodes.get(&node)).map(|node| node.paused_until)
            && paused > self.now
        {
            return self.at(paused, event);
        }
        match event {
            Event::Deliver { boot, mail } => self.deliver(boot, mail),
            Event::Wake { node, boot } => {
                if self.is_running(node, boot) && self.nodes[&node].wake_at <= self.now {
                    self.with_director(node, |director, now, out| director.wake(now, out));
                }
            }
            Event::Beat { node, boot } => {
                if self.is_running(node, boot) {
                    self.beat(node, true);
                }
            }
            Event::Disk { node, boot, mail } => {
                if self.is_running(node, boot) {
                    self.disk(node, mail);
                }
            }
            Event::Do(what) => what(self),
        }
    }

    fn is_running(&self, node: NodeId, boot: u64) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.alive && node.boot == boot)
    }

    fn deliver(&mut self, boot: u64, mail: Envelope) {
        let Some(to) = mail.to.node().filter(|node| self.is_running(*node, boot)) else { return };
        match mail.to {
            Address::Director(_) => self.with_director(to, |director, now, out| director.handle(mail, now, out)),
            Address::Office(_) => {
                let now = self.nodes[&to].local(self.now);
                let majority = self.settings.voters.len() / 2 + 1;
                let node = self.nodes.get_mut(&to).expect("a node");
                let has_stopped = node.office.handle(&mail.letter, now, majority);
                self.check();
                if has_stopped {
                    self.beat(to, false);
                }
            }
            Address::Journal(_) => {
                let us = self.dice.range(self.disk_us.0, self.disk_us.1);
                self.at(self.now + us, Event::Disk { node: to, boot, mail });
            }
            Address::Control(_) => {
                if let Letter::ControlAnswer(answer) = mail.letter {
                    self.answers.push((mail.thread, *answer));
                }
            }
            _ => {}
        }
    }

    fn disk(&mut self, node: NodeId, mail: Envelope) {
        let journal = &mut self.nodes.get_mut(&node).expect("a node").journal;
        let answer = match &mail.letter {
            Letter::JournalRead => Letter::JournalEntries(journal.clone()),
            Letter::JournalWrite(entries) => {
                keep(journal, entries);
                Letter::Kept
            }
            _ => return,
        };
        self.post(mail.answer(answer));
    }

    fn with_director(&mut self, id: NodeId, what: impl FnOnce(&mut Director, Now, &mut Outbox)) {
        let node = self.nodes.get_mut(&id).expect("a node");
        let now = Now { instant: node.local(self.now), unix_ms: 0 };
        let Some(director) = node.director.as_mut() else { return };
        let mut out = Outbox::new(Address::Director(id));
        what(director, now, &mut out);
        if !Arc::ptr_eq(director.table(), &node.table) {
            assert!(director.table().version >= node.table.version, "seed {}: a table went back", self.checks.seed);
            node.table = Arc::clone(director.table());
            self.checks.on_table(director.table());
        }
        let wake = director.deadline().map_or(u64::MAX, |at| node.global(at).max(self.now + 1));
        let boot = node.boot;
        if wake != node.wake_at || wake <= self.now {
            node.wake_at = wake;
            self.at(wake, Event::Wake { node: id, boot });
        }
        for mail in out.take() {
            self.post(mail);
        }
    }

    /// Puts a letter on its way.
    pub fn post(&mut self, mail: Envelope) {
        let (Some(from), Some(to)) = (mail.from.node(), mail.to.node()) else { return };
        let Some(boot) = self.nodes.get(&to).map(|node| node.boot) else { return };
        if from == to {
            return self.at(self.now + 20, Event::Deliver { boot, mail });
        }
        if self.untold == Some(to) && matches!(mail.letter, Letter::Table(_)) {
            return;
        }
        if self.cuts.contains(&(from, to)) || self.dice.range(0, 1_000) < self.loss_permille {
            return;
        }
        let us = self.dice.range(self.delay_us.0, self.delay_us.1);
        let last = self.last.entry((from, to)).or_default();
        let at = (self.now + us).max(*last);
        *last = at;
        self.at(at, Event::Deliver { boot, mail });
    }

    fn beat(&mut self, id: NodeId, regular: bool) {
        let alive: BTreeMap<NodeId, u64> =
            self.nodes.iter().filter(|(_, node)| node.alive).map(|(id, node)| (*id, node.boot)).collect();
        let reach = |other: NodeId| {
            let cut = self.cuts.contains(&(id, other)) || self.cuts.contains(&(other, id));
            alive.get(&other).copied().filter(|_| !cut)
        };
        let reached: BTreeMap<NodeId, u64> =
            self.nodes.keys().filter_map(|other| Some((*other, reach(*other)?))).collect();
        let speaks = |other: &NodeId| {
            let it = &self.nodes[other];
            it.alive && it.paused_until <= self.now && !self.cuts.contains(&(*other, id))
        };
        let heard: Vec<NodeId> = self.nodes.keys().copied().filter(speaks).collect();
        let node = self.nodes.get_mut(&id).expect("a node");
        let now = node.local(self.now);
        let hearing = node.office.hearing(id, now, &heard);
        let beat = node.office.beat(id, now, &reached);
        let voters = node.settings.voters.clone();
        if regular {
            let boot = node.boot;
            let next = node.global(now + std::time::Duration::from_millis(50));
            self.at(next, Event::Beat { node: id, boot });
        }
        for voter in voters {
            if hearing.rests.is_some() || !hearing.deaf.is_empty() {
                let letter = Letter::Hearing(Box::new(hearing.clone()));
                self.post(Envelope::new(Address::Office(id), Address::Director(voter), letter));
            }
            let letter = Letter::Beat(Box::new(beat.clone()));
            self.post(Envelope::new(Address::Office(id), Address::Director(voter), letter));
        }
        self.check();
    }

    /// Starts the process of a node.
    pub fn start(&mut self, id: NodeId) {
        let settings = Arc::clone(&self.settings);
        let boot = 1 + (self.dice.next() & 0xFFFF_FFFF);
        let node = self.nodes.get_mut(&id).expect("a node");
        if node.alive {
            return;
        }
        (node.alive, node.boot, node.paused_until) = (true, boot, 0);
        node.settings = Arc::clone(&settings);
        node.office = Office::new(boot, self.dice.next());
        (node.wake_at, node.table) = (u64::MAX, Arc::default());
        let home = Home::new(id, *b"0123456789abcdef", 8);
        node.director = settings.voters.contains(&id).then(|| Director::new(&home, settings, boot));
        self.with_director(id, |director, now, out| director.wake(now, out));
        let at = self.dice.range(0, 50_000);
        self.at(self.now + at, Event::Beat { node: id, boot });
    }

    /// Ends the process of a node without a word.
    pub fn kill(&mut self, id: NodeId, keeps_disk: bool) {
        let node = self.nodes.get_mut(&id).expect("a node");
        node.alive = false;
        node.office = Office::default();
        node.director = None;
        if !keeps_disk {
            node.journal.clear();
        }
    }

    /// Stops the process of a node for a while.
    pub fn pause(&mut self, id: NodeId, ms: u64) {
        self.nodes.get_mut(&id).expect("a node").paused_until = self.now + ms * 1_000;
    }

    pub fn order(&mut self, at: NodeId, thread: u64, order: Order) {
        let letter = Letter::Order(Box::new(order));
        self.post(Envelope::ask(Address::Control(at), Address::Director(at), Thread(thread), letter));
    }

    /// The newest table that any living director has.
    pub fn table(&self) -> Arc<Table> {
        let directors = self.nodes.values().filter_map(|node| node.director.as_ref());
        directors.map(|director| Arc::clone(director.table())).max_by_key(|table| table.version).unwrap_or_default()
    }

    pub fn leader(&self) -> Option<NodeId> {
        let leads = |node: &Node| node.director.as_ref().is_some_and(Director::is_leader);
        self.nodes.iter().find(|(_, node)| leads(node)).map(|(id, _)| *id)
    }

    fn check(&mut self) {
        let now = self.now;
        let lease = self.settings.voters.len() >= 3;
        self.checks.on_offices(self.nodes.iter().map(|(id, node)| (*id, &node.office, node.local(now))), lease);
    }

    /// Everybody is active or standby as it should be, with leases.
    pub fn is_whole(&self) -> bool {
        let table = self.table();
        table.version > 0
            && table.groups.iter().all(|row| {
                let acts = row.active.is_some_and(|active| self.acts(active, row.group));
                acts && row.full && row.standby.is_some_and(|standby| self.nodes[&standby].alive) && row.next.is_none()
            })
    }

    pub fn acts(&self, node: NodeId, group: fabric::GroupId) -> bool {
        let it = &self.nodes[&node];
        it.alive && it.paused_until <= self.now && it.office.acts(group, it.local(self.now), true)
    }
}

impl Node {
    /// The node's own clock.
    fn local(&self, global: u64) -> Instant {
        Instant(global.saturating_add_signed(global as i64 / 1_000_000 * self.drift_ppm + OFFSET))
    }

    fn global(&self, local: Instant) -> u64 {
        // Good to a few microseconds: the next wake-up finds the rest.
        let guess = local.0.saturating_add_signed(-OFFSET);
        let mut global = guess.saturating_add_signed(-(guess as i64 / 1_000_000 * self.drift_ppm));
        while self.local(global) < local {
            global += 50;
        }
        global
    }
}

/// What a journal has after a write.
fn keep(journal: &mut Vec<JournalEntry>, entries: &[JournalEntry]) {
    for entry in entries {
        match entry {
            JournalEntry::Snapshot(..) => journal.clear(),
            JournalEntry::Hard(_) => journal.retain(|entry| !matches!(entry, JournalEntry::Hard(_))),
            JournalEntry::Log(index, _) => {
                journal.retain(|entry| !matches!(entry, JournalEntry::Log(other, _) if other >= index));
            }
        }
        journal.push(entry.clone());
    }
}

/// Clocks of nodes do not start at 0, microseconds.
const OFFSET: i64 = 3_000_000;
