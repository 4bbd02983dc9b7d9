//! The carrier on one heap of events: nodes, links, ports, phones, faults and judges.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fabric::{Address, Envelope, Home, Letter, NodeId, Now, Parcel};
use office::Office;

use crate::cluster::central::Central;
use crate::cluster::clock::Clock;
use crate::cluster::disk::Disk;
use crate::cluster::event::{Event, Heap, Held};
use crate::cluster::faults::Menu;
use crate::cluster::flood::Floods;
use crate::cluster::mutant::{Mutant, Saboteur};
use crate::cluster::net::{Net, Sent};
use crate::cluster::node::{Doings, Host, Node, Release, Tray};
use crate::cluster::outcome::Outcome;
use crate::cluster::ports::{Ports, RelaySite};
use crate::cluster::scene::{Role, Scene};
use crate::cluster::street::Street;
use crate::cluster::switch;
use crate::cluster::voice::Voices;
use crate::cluster::watch::Watch;
use crate::dice::Dice;

pub struct ClusterLab {
    pub(super) scene: Arc<Scene>,
    /// True time, microseconds.
    pub(super) now: u64,
    pub(super) heap: Heap,
    pub(super) nodes: Vec<Node>,
    pub(super) net: Net,
    pub(super) street: Street,
    pub(super) central: Central,
    pub(super) relays: Vec<RelaySite>,
    /// Ports of each node, while its process lives.
    pub(super) ports: Vec<Ports>,
    pub(super) menu: Menu,
    pub(super) watch: Watch,
    pub(super) voices: Voices,
    pub(super) floods: Floods,
    pub(super) saboteur: Option<Saboteur>,
    pub(super) dice: Dice,
    /// Hardware of each node: drift and wall clock, drawn once.
    secret: [u8; 16],
    pub(super) samples: Vec<crate::cluster::outcome::Sample>,
    doings: Doings,
}

impl ClusterLab {
    pub fn new(scene: Arc<Scene>, mutant: Option<Mutant>) -> ClusterLab {
        let mut dice = Dice::named(scene.seed, &[b"cluster"]);
        let mut secret = *b"secret of a lab.";
        secret[..8].copy_from_slice(&scene.seed.to_le_bytes());
        let node = |dice: &mut Dice| {
            // Ordinary machines: a few millionths off.
            let drift = dice.between(0, 100) as i64 - 50;
            let wall = dice.between(0, 40) as i64 - 20;
            Node {
                clock: Clock::new(0, dice.between(0, 1 << 40), drift, wall),
                disk: Disk::default(),
                host: None,
                paused: false,
                held: Default::default(),
                boot: 0,
                slow_us: 0,
                answers_us: 0,
                leaving_until: None,
                version: 0,
                powerless: false,
                release: scene.first_release(),
            }
        };
        let nodes = (0..scene.nodes.len()).map(|_| node(&mut dice)).collect();
        ClusterLab {
            now: 0,
            heap: Heap::default(),
            nodes,
            net: Net::new(&scene),
            street: Street::new(&scene, secret),
            central: Central::new(&scene),
            relays: (0..scene.sites.len()).map(RelaySite::new).collect(),
            ports: scene.nodes.iter().map(|_| Ports::default()).collect(),
            menu: Menu::new(&scene),
            watch: Watch::new(&scene),
            voices: Voices::default(),
            floods: Floods::new(&scene),
            saboteur: mutant.map(|mutant| Saboteur::new(mutant, &scene)),
            dice,
            secret,
            samples: Vec::new(),
            doings: Doings::default(),
            scene,
        }
    }

    /// Keeps every message, for the ladders of failed calls.
    pub fn keep_ladder(mut self) -> ClusterLab {
        self.street.book.keep_ladder();
        self
    }

    /// Runs to the end and judges.
    pub fn run(mut self) -> Outcome {
        self.begin();
        let end = self.scene.script.end_ms * 1_000;
        while self.heap.next().is_some_and(|at| at <= end) {
            let Some((at, event)) = self.heap.pop() else { break };
            self.now = at;
            self.play(event);
        }
        self.now = end;
        self.finish()
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now / 1_000
    }

    fn begin(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
        for one in 0..self.nodes.len() {
            for other in one + 1..self.nodes.len() {
                let at = self.dice.between(1_000, 30_000);
                self.heap.push(at, Event::Connect(one, other));
            }
        }
        self.begin_street();
        self.begin_floods();
        for strike in &self.scene.strikes {
            self.heap.push(strike.at_ms * 1_000, Event::Strike(strike.number));
        }
        let healed = self.scene.healed_ms * 1_000;
        self.heap.push(healed, Event::Heal);
        self.heap.push(healed + CALM_US, Event::Calm);
        self.heap.push(1_000_000, Event::Sample);
        self.heap.push(1_500_000, Event::Speak);
        self.heap.push(6_000_000, Event::Probe(0));
        for number in 0..self.scene.plan.workload.replays {
            let at = self.dice.between(crate::cluster::scene::LEAD_MS * 1_000, healed);
            self.heap.push(at, Event::Replay(number));
        }
    }

    pub(super) fn play(&mut self, event: Event) {
        match event {
            Event::Wake(node, boot) => self.on_wake(node, boot),
            Event::Parcel(from, to, session, parcel) => {
                if self.net.session(from, to) == session {
                    self.arrive(from, to, parcel);
                }
            }
            Event::Connect(one, other) => self.connect(one, other),
            Event::Stalled(from, to, session) => {
                if self.net.session(from, to) == session && self.net.is_dead(from, to, self.now) {
                    self.break_link(from, to);
                }
            }
            Event::Broken(from, to, session) => {
                if self.net.session(from, to) == session {
                    self.break_link(from, to);
                }
            }
            Event::Letter(node, boot, envelope) => {
                if self.nodes[node].boot != boot {
                } else if self.nodes[node].paused {
                    self.nodes[node].held.push_back(Held::Letter(envelope));
                } else {
                    self.visit(node, |host, now, doings| host.post(*envelope, now, doings));
                }
            }
            Event::Synced(node, boot, ticket, envelope) => self.on_synced(node, boot, ticket, envelope),
            Event::Ship(node, boot) => self.ship(node, boot),
            Event::Resume(node) => self.resume(node),
            Event::Moved(site, node, version) => self.address_moved(site, node, version),
            Event::ToPhone(device, bytes) => self.to_phone(device, bytes),
            Event::ToSwitch(device, bytes, boots) => self.to_switch(device, bytes, boots),
            Event::Segment(device, stream) => self.segment(device, stream),
            Event::Phone(device, timer) => self.phone_timer(device, timer),
            Event::Dial(device, boots) => self.dial_stream(device, boots),
            Event::StreamLost(device, stream) => self.stream_lost(device, stream),
            Event::KeepAlive(device) => self.keep_alive(device),
            Event::Strike(number) => {
                self.strike(number);
                self.listen_all();
            }
            Event::Torn(number, node, boot) => {
                self.torn(number, node, boot);
                self.listen_all();
            }
            Event::Repair(number) => {
                self.repair(number);
                self.listen_all();
            }
            Event::Rhythm(number, beat) => {
                self.rhythm(number, beat);
                self.listen_all();
            }
            Event::Start(node) => {
                self.restart(node);
                self.listen_all();
            }
            Event::Probe(number) => self.probe(number),
            Event::Replay(number) => self.replay(number),
            Event::Sample => self.sample(),
            Event::Speak => self.speak(),
            Event::Flood(number, step) => self.flood(number, step),
            Event::Bans => self.look_at_bans(),
            Event::Heal => {
                self.heal();
                self.listen_all();
            }
            Event::Calm => self.calm(),
        }
    }

    /// Who hears whom may have changed: links carry something all the time.
    fn listen_all(&self) {
        for one in 0..self.nodes.len() {
            (one + 1..self.nodes.len()).for_each(|other| self.listen(one, other));
        }
    }

    fn listen(&self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            let speaks = self.nodes[from].host.is_some() && !self.nodes[from].paused;
            let hears = speaks && self.net.flows(from, to);
            if let Some(host) = &self.nodes[to].host {
                host.tray.hears[usize::from(self.id(from).0)].store(hears, Ordering::Relaxed);
            }
        }
    }

    /// Starts the process of a node.
    pub(super) fn start(&mut self, place: usize) {
        let scene = self.scene.clone();
        let spec = &scene.nodes[place];
        let node = &mut self.nodes[place];
        node.boot += 1;
        (node.paused, node.version, node.leaving_until) = (false, 0, None);
        node.held.clear();
        let local = self.dice.between(0, 1 << 36);
        node.clock = Clock::new(self.now, local, node.clock.drift_ppm(), node.clock.wall_ms());
        let tray = Arc::new(Tray::new(scene.nodes.len()));
        let home = Home::new(spec.id, self.secret, switch::SHARDS);
        let boot = node.boot;
        let roles = switch::founder(&scene, place, &home, boot);
        let office = Office::new(&home, switch::office(&scene), switch::directors(&scene), boot, roles, tray.clone());
        node.host = Some(Host::new(office, tray));
        self.ports[place] = Ports::default();
        self.watch.started(self.now, place, boot);
        for resident in switch::residents(spec) {
            self.visit(place, |host, now, doings| host.start(resident, now, doings));
        }
        self.visit(place, |_, _, _| {});
        self.heap.push(self.now + 500_000, Event::Ship(place, boot));
    }

    /// Does something with a node's process, and then what comes of it.
    pub(super) fn visit(&mut self, place: usize, what: impl FnOnce(&mut Host, Now, &mut Doings)) {
        let node = &mut self.nodes[place];
        let Some(host) = node.host.as_mut().filter(|_| !node.paused) else { return };
        let now = node.clock.now(self.now);
        let mut doings = std::mem::take(&mut self.doings);
        if self.scene.nodes[place].role == Role::Proxy {
            self.watch.unprotected = host.office.unprotected();
        }
        what(host, now, &mut doings);
        let parcels = host.tray.take_parcels();
        for (to, parcel) in parcels {
            self.send(place, to, parcel);
        }
        self.accepted(place, &mut doings);
        for envelope in doings.ports.drain(..) {
            self.port(place, envelope);
        }
        self.doings = doings;
        self.look(place);
        self.arm(place);
    }

    /// Sets the alarm of a node.
    pub(super) fn arm(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        let Some(host) = node.host.as_mut() else { return };
        let when = node.clock.when(host.deadline()).max(self.now);
        if host.armed.is_none_or(|armed| when < armed) {
            host.armed = Some(when);
            self.heap.push(when, Event::Wake(place, node.boot));
        }
    }

    fn on_wake(&mut self, place: usize, boot: u64) {
        let (now, node) = (self.now, &mut self.nodes[place]);
        let Some(host) = node.host.as_mut().filter(|_| node.boot == boot) else { return };
        if host.armed != Some(now) {
            return;
        }
        host.armed = None;
        self.visit(place, |host, now, doings| host.wake(now, doings));
    }

    fn send(&mut self, from: usize, to: NodeId, parcel: Parcel) {
        let Some(to) = self.scene.place(to).filter(|to| *to != from) else { return };
        let mut parcel = Some(parcel);
        if let Some(saboteur) = &mut self.saboteur {
            parcel = parcel.and_then(|parcel| saboteur.parcel(parcel));
        }
        let Some(own) = &parcel else { return };
        self.watch_sent(from, own);
        let releases = [from, to].map(|place| self.nodes[place].release);
        let mixed = releases[0] != releases[1];
        if releases.contains(&Release::Previous) && !fabric::codec::previous::reads(own) {
            // The older one neither says nor understands it.
            self.menu.unread += u64::from(releases[0] == Release::Present);
            return;
        }
        self.menu.mixed += u64::from(mixed);
        if mixed && self.saboteur.as_ref().is_some_and(Saboteur::divides) {
            return;
        }
        if self.dice.permille(if mixed { 1_000 } else { self.scene.plan.links.codec_permille }) {
            let bytes = fabric::codec::encode_parcel(own);
            match fabric::codec::decode_parcel(&bytes) {
                Ok(read) => parcel = Some(read),
                Err(error) => self.watch.fail(30, self.now, format!("a parcel cannot be read again: {error}")),
            }
        }
        let session = self.net.session(from, to);
        match self.net.send(from, to, &mut parcel, self.now) {
            Sent::At(at) => {
                let Some(parcel) = parcel else { return };
                self.heap.push(at, Event::Parcel(from, to, session, Box::new(parcel)));
            }
            Sent::Stalled(at) => self.heap.push(at, Event::Stalled(from, to, session)),
            Sent::Waits => {}
            Sent::Over => self.heap.push(self.now, Event::Broken(from, to, session)),
        }
    }

    fn arrive(&mut self, from: usize, to: usize, parcel: Box<Parcel>) {
        let node = &mut self.nodes[to];
        if node.host.is_none() {
            return;
        }
        let slow = node.slow_us > 0 && !parcel.is_urgent();
        if node.paused || slow {
            node.held.push_back(Held::Parcel(from, parcel));
            if !node.paused && node.held.len() == 1 {
                self.heap.push(self.now + node.slow_us, Event::Resume(to));
            }
            return;
        }
        self.net.arrived(from, to);
        self.receive(from, to, *parcel);
    }

    pub(super) fn receive(&mut self, from: usize, to: usize, parcel: Parcel) {
        self.watch_arrived(from, to, &parcel);
        let id = self.scene.nodes[from].id;
        self.visit(to, |host, now, doings| host.receive(id, parcel, now, doings));
    }

    /// Tries to make a session.
    fn connect(&mut self, one: usize, other: usize) {
        if self.net.is_up(one, other) {
            return;
        }
        let lives = |node: &Node| node.host.is_some() && !node.paused;
        let way = !self.net.is_cut(one, other) && !self.net.is_cut(other, one);
        if !way || !lives(&self.nodes[one]) || !lives(&self.nodes[other]) {
            let wait = self.dice.between(100_000, 250_000);
            return self.heap.push(self.now + wait, Event::Connect(one, other));
        }
        self.net.begin(one, other);
        self.listen(one, other);
        let ids = (self.scene.nodes[one].id, self.scene.nodes[other].id);
        self.visit(one, |host, now, doings| host.on_link(ids.1, true, now, doings));
        self.visit(other, |host, now, doings| host.on_link(ids.0, true, now, doings));
    }

    /// Ends the session of a pair, as both see it.
    pub(super) fn break_link(&mut self, one: usize, other: usize) {
        if !self.net.is_up(one, other) {
            return;
        }
        self.net.end(one, other);
        self.link_broke(one, other);
        self.listen(one, other);
        for (here, there) in [(one, other), (other, one)] {
            let node = &mut self.nodes[here];
            if node.paused {
                node.held.push_back(Held::Link(there, false));
                continue;
            }
            let id = self.scene.nodes[there].id;
            self.visit(here, |host, now, doings| host.on_link(id, false, now, doings));
        }
        let wait = self.dice.between(100_000, 250_000);
        self.heap.push(self.now + wait, Event::Connect(one, other));
    }

    /// Works off what waits: all of it after a pause, one after the other in a gray node.
    pub(super) fn resume(&mut self, place: usize) {
        loop {
            let node = &mut self.nodes[place];
            if node.paused || node.host.is_none() {
                return;
            }
            let Some(held) = node.held.pop_front() else { return };
            match held {
                Held::Parcel(from, parcel) => {
                    self.net.arrived(from, place);
                    self.receive(from, place, *parcel);
                }
                Held::Link(peer, up) => {
                    let id = self.scene.nodes[peer].id;
                    self.visit(place, |host, now, doings| host.on_link(id, up, now, doings));
                }
                Held::Letter(envelope) => self.visit(place, |host, now, doings| host.post(*envelope, now, doings)),
                Held::Datagram(device, bytes, boots) => self.to_node(place, device, bytes, boots),
            }
            let node = &self.nodes[place];
            if node.slow_us > 0 {
                if !node.held.is_empty() {
                    self.heap.push(self.now + node.slow_us, Event::Resume(place));
                }
                return;
            }
        }
    }

    /// A new table may have come.
    fn look(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        let Some(host) = &node.host else { return };
        let table = host.office.table();
        if table.version == node.version {
            return;
        }
        node.version = table.version;
        self.watch.on_table(self.now, place, &table, &self.scene);
        self.watch_leases(place, &table);
        self.move_addresses(place, &table);
    }

    /// A letter into a node, later.
    pub(super) fn later(&mut self, place: usize, wait_us: u64, envelope: Envelope) {
        let boot = self.nodes[place].boot;
        self.heap.push(self.now + wait_us.max(1), Event::Letter(place, boot, Box::new(envelope)));
    }

    pub(super) fn role(&self, place: usize) -> Role {
        self.scene.nodes[place].role
    }

    pub(super) fn id(&self, place: usize) -> NodeId {
        self.scene.nodes[place].id
    }

    /// Asks a director for something, as an operator would at a node.
    pub(super) fn order(&mut self, place: usize, order: fabric::letters::cluster::Order) {
        let from = Address::Control(self.id(place));
        for director in switch::directors(&self.scene) {
            let mail =
                Envelope::ask(from, Address::Director(director), fabric::Thread(1), Letter::Order(Box::new(order)));
            self.visit(place, |host, now, doings| host.post(mail, now, doings));
        }
    }
}

/// After the healing, everything has an owner and a full standby again; microseconds.
const CALM_US: u64 = 20_000_000;
