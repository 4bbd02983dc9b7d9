//! Everything around the switch: phones, network, store, records, rtpengine, names. One heap of events; letters that leave
//! the switch come in by `take`, letters for the switch come out of `step`. The lab and the parity host share it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use fabric::hash::hash64;
use fabric::letters::flow::{Flow, Received, Transport};
use fabric::{Address, Envelope, Fault, FaultKind, Home, Letter, NodeId, Thread};

use crate::book::Book;
use crate::dice::Dice;
use crate::phone::{Hand, Note, Phone, Timer};
use crate::plan::{DOMAIN, Plan, START_UNIX_MS, switch_address};
use crate::ports::{Store, resolve};
use crate::relay::Relay;
use crate::weather::{Fate, Weather};

pub const NODE: NodeId = NodeId(1);

/// Location shards of the simulated node.
pub const SHARDS: u16 = 4;

pub struct World {
    pub plan: Arc<Plan>,
    home: Home,
    pub now_ms: u64,
    heap: BinaryHeap<Reverse<Due>>,
    serial: u64,
    weather: Weather,
    phones: Vec<Phone>,
    places: BTreeMap<SocketAddr, usize>,
    /// Restarts of each phone: a stream has a number of its own after each.
    boots: Vec<u64>,
    store: Store,
    store_last_ms: u64,
    pub relay: Relay,
    /// Commands whose first copy was lost.
    relay_lost: BTreeSet<u64>,
    dice: Dice,
    /// Answers on their way, by place; taken ones leave a hole that is used again.
    answers: Vec<Option<Envelope>>,
    holes: Vec<usize>,
    pub book: Book,
    /// Hash over everything that crossed the edge of the switch.
    trace: u64,
    pub events: u64,
}

/// Order of events: time, then what it is; never the order in which they were made.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at_ms: u64,
    identity: u64,
    serial: u64,
    event: Event,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    ToPhone(usize, Bytes),
    ToSwitch(usize, Bytes, u64),
    Phone(usize, Timer),
    /// The stream of a phone is gone: its number of restarts before.
    Closed(usize, u64),
    Answer(usize),
    RelayRestart,
    Probe(usize),
}

impl World {
    pub fn new(plan: Arc<Plan>, home: Home) -> World {
        let phones: Vec<Phone> = (0..plan.devices.len()).map(|index| Phone::new(index, plan.clone())).collect();
        let places = plan.devices.iter().enumerate().map(|(index, device)| (device.public, index)).collect();
        let mut world = World {
            home,
            now_ms: 0,
            heap: BinaryHeap::new(),
            serial: 0,
            weather: Weather::new(plan.seed, plan.climate.clone()),
            phones,
            places,
            boots: vec![0; plan.devices.len()],
            store: Store::new(&plan),
            store_last_ms: 0,
            relay: Relay::new(),
            relay_lost: BTreeSet::new(),
            dice: Dice::named(plan.seed, &[b"world"]),
            answers: Vec::new(),
            holes: Vec::new(),
            book: Book::new(plan.clone()),
            trace: 0,
            events: 0,
            plan,
        };
        for index in 0..world.phones.len() {
            let mut hand = Hand::default();
            world.phones[index].begin(&mut hand);
            world.play(index, hand);
        }
        if let Some(at) = world.plan.relay_restart {
            world.push(at, 1, Event::RelayRestart);
        }
        let mut at = 4_500;
        while at < world.plan.end_ms {
            let user = world.dice.below(world.plan.users.len());
            world.push(at, 2, Event::Probe(user));
            at += world.dice.between(500, 2_500);
        }
        world
    }

    /// When the next event is due, milliseconds; `None` after the end of the run.
    pub fn next_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(due)| due.at_ms).filter(|at| *at <= self.plan.end_ms)
    }

    pub fn trace_hash(&self) -> u64 {
        self.trace
    }

    pub fn tally(&self) -> crate::weather::Tally {
        self.weather.tally
    }

    /// Plays the next event; what comes back is for the switch.
    pub fn step(&mut self) -> Option<Envelope> {
        let Reverse(due) = self.heap.pop()?;
        self.now_ms = self.now_ms.max(due.at_ms);
        self.events += 1;
        match due.event {
            Event::Phone(index, timer) => {
                let mut hand = Hand { now_ms: self.now_ms, ..Hand::default() };
                self.phones[index].on_timer(timer, &mut hand);
                self.play(index, hand);
                None
            }
            Event::ToPhone(index, bytes) => {
                self.book.heard(self.now_ms, index, &bytes);
                let mut hand = Hand { now_ms: self.now_ms, ..Hand::default() };
                self.phones[index].on_message(bytes, &mut hand);
                self.play(index, hand);
                None
            }
            Event::ToSwitch(index, _, boots) if boots != self.boots[index] => None,
            Event::ToSwitch(index, bytes, _) => {
                self.mark(b"in", index as u64, &bytes);
                self.book.inbound(self.now_ms, index, &bytes);
                let flow = self.flow(index);
                let letter = Letter::Received(Received { flow, bytes });
                Some(Envelope::new(Address::Flow(NODE), Address::Balancer(NODE, 0), letter))
            }
            Event::Closed(index, boots) => {
                let flow = self.flow_at(index, boots);
                Some(Envelope::new(Address::Flow(NODE), Address::Balancer(NODE, 0), Letter::FlowClosed(flow)))
            }
            Event::Answer(place) => self.answers_take(place),
            Event::RelayRestart => {
                self.relay.restart();
                None
            }
            Event::Probe(user) => {
                let aor = format!("{}@{DOMAIN}", self.plan.users[user].name);
                let to = self.home.location(&aor);
                let letter = Letter::Locate(aor.into());
                Some(Envelope::ask(Address::Control(NODE), to, Thread(user as u64 + 1), letter))
            }
        }
    }

    /// A letter that left the switch.
    pub fn take(&mut self, envelope: Envelope, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        match &envelope.letter {
            Letter::Transmit(transmit) => {
                let (flow, bytes) = (transmit.flow, transmit.bytes.clone());
                self.transmit(envelope, flow, bytes);
            }
            Letter::AccountAsk(ask) => {
                let account = self.store.account(ask);
                self.store_answer(envelope, Letter::Account(account));
            }
            Letter::KeepBindings(stored) => {
                self.store.keep((**stored).clone());
                self.store_answer(envelope, Letter::Kept);
            }
            Letter::LoadBindings(shard, shards) => {
                let (shard, shards, keys) = (*shard, *shards, self.home.keys);
                let found = self.store.load(|aor| keys.location(aor, shards) == shard);
                self.store_answer(envelope, Letter::LoadedBindings(Arc::new(found)));
            }
            Letter::Record(record) => {
                self.book.record(self.now_ms, record);
                let text = format!("{record:?}");
                self.mark(b"record", 0, text.as_bytes());
                let wait = self.wait(&envelope, 1, 3);
                self.answer_in(wait, envelope, Letter::Kept);
            }
            Letter::NamesAsk(ask) => {
                let names = resolve(ask);
                let wait = self.wait(&envelope, 1, 30);
                self.answer_in(wait, envelope, Letter::Names(names));
            }
            Letter::RelaySend(relay, bytes) => {
                let (relay, bytes) = (*relay, bytes.clone());
                self.relay(envelope, relay, &bytes);
            }
            Letter::Located(bindings) => {
                let user = (envelope.thread.0 - 1) as usize;
                self.book.located(self.now_ms, user, bindings);
            }
            _ => {}
        }
    }

    fn flow(&self, index: usize) -> Flow {
        self.flow_at(index, self.boots[index])
    }

    fn flow_at(&self, index: usize, boots: u64) -> Flow {
        let device = &self.plan.devices[index];
        let stream = device.transport != Transport::Udp;
        Flow {
            balancer: Address::Balancer(NODE, 0),
            transport: device.transport,
            listener: u16::from(stream),
            local: switch_address(),
            remote: device.public,
            connection: if stream { index as u64 + 1 + 1_000 * boots } else { 0 },
        }
    }

    fn transmit(&mut self, envelope: Envelope, flow: Flow, bytes: Bytes) {
        let Some(index) = self.places.get(&flow.remote).copied() else {
            self.book.astray(self.now_ms, flow.remote);
            return self.answer_in(1, envelope, Letter::Returned(Fault::new(FaultKind::FlowGone, "nobody there")));
        };
        if flow.transport != Transport::Udp && flow.connection != self.flow(index).connection {
            // The stream ended with the phone's last restart.
            return self.answer_in(1, envelope, Letter::Returned(Fault::new(FaultKind::FlowGone, "connection closed")));
        }
        self.mark(b"out", index as u64, &bytes);
        self.book.outbound(self.now_ms, index, &bytes);
        let fate = self.fate(false, index, &bytes);
        self.deliver(fate, |bytes| Event::ToPhone(index, bytes), bytes);
    }

    fn fate(&mut self, inbound: bool, index: usize, bytes: &Bytes) -> Fate {
        let device = &self.plan.devices[index];
        if device.transport == Transport::Udp {
            self.weather.datagram(inbound, device.public, bytes, self.now_ms)
        } else {
            self.weather.segment(inbound, device.public, bytes, self.now_ms)
        }
    }

    fn deliver(&mut self, fate: Fate, event: impl Fn(Bytes) -> Event, bytes: Bytes) {
        for (copy, delay) in fate.copies.into_iter().flatten().enumerate() {
            self.push(self.now_ms + delay, fate.identity.wrapping_add(copy as u64), event(bytes.clone()));
        }
    }

    fn play(&mut self, index: usize, hand: Hand) {
        for note in hand.notes {
            if note == Note::Rebooted && self.plan.devices[index].transport != Transport::Udp {
                let boots = self.boots[index];
                self.boots[index] += 1;
                self.push(self.now_ms + 1, index as u64, Event::Closed(index, boots));
            }
            self.book.note(self.now_ms, index, note);
        }
        for (at, timer) in hand.timers {
            let names = [index as u64, timer.what as u64, timer.id].map(u64::to_le_bytes);
            let identity = hash64(b"timers of phones", &[&names[0], &names[1], &names[2]]);
            self.push(at, identity, Event::Phone(index, timer));
        }
        for message in hand.sends {
            let bytes = message.bytes().clone();
            self.book.said(self.now_ms, index, &bytes);
            let fate = self.fate(true, index, &bytes);
            let boots = self.boots[index];
            self.deliver(fate, |bytes| Event::ToSwitch(index, bytes, boots), bytes);
        }
    }

    fn store_answer(&mut self, envelope: Envelope, letter: Letter) {
        let sick = self.plan.store_sick.is_some_and(|(from, until)| (from..until).contains(&self.now_ms));
        let wait = if sick { self.wait(&envelope, 300, 6_000) } else { self.wait(&envelope, 1, 4) };
        // A store answers in order.
        let at = (self.now_ms + wait).max(self.store_last_ms);
        self.store_last_ms = at;
        self.answer_in(at - self.now_ms, envelope, letter);
    }

    fn relay(&mut self, envelope: Envelope, relay: u16, bytes: &Bytes) {
        let sick = self.plan.relay_sick.is_some_and(|(from, until)| (from..until).contains(&self.now_ms));
        if sick {
            return;
        }
        // Loopback: a datagram is seldom lost, but it can be; not all copies of one, and no pings in a row, or a healthy
        // relay would look dead.
        let mut dice = Dice::named(self.plan.seed, &[b"relay", bytes]);
        let ping = bytes.ends_with(b"d7:command4:pinge");
        if self.plan.climate.loss_permille > 0 && !ping && dice.permille(20) && self.relay_lost.insert(dice.roll()) {
            return;
        }
        let Some(reply) = self.relay.on_datagram(bytes) else { return };
        let wait = dice.between(1, 3);
        let back = envelope.answer(Letter::RelayReceived(relay, reply.into()));
        self.later(wait, dice.roll(), back);
    }

    /// A time that depends on who asks, not on when.
    fn wait(&self, envelope: &Envelope, low: u64, high: u64) -> u64 {
        let key = envelope.from.key().map_or(0, |key| key.0).to_le_bytes();
        let names = [&key[..], &envelope.thread.0.to_le_bytes(), envelope.letter.kind().as_bytes()];
        Dice::named(self.plan.seed, &names).between(low, high)
    }

    fn answer_in(&mut self, wait_ms: u64, envelope: Envelope, letter: Letter) {
        if envelope.thread == Thread::NONE {
            return;
        }
        let key = envelope.from.key().map_or(0, |key| key.0).to_le_bytes();
        let identity = hash64(b"answers of ports", &[&key, &envelope.thread.0.to_le_bytes()]);
        let back = envelope.answer(letter);
        self.later(wait_ms, identity, back);
    }

    fn later(&mut self, wait_ms: u64, identity: u64, envelope: Envelope) {
        let place = self.answers_keep(envelope);
        self.push(self.now_ms + wait_ms.max(1), identity, Event::Answer(place));
    }

    fn answers_keep(&mut self, envelope: Envelope) -> usize {
        match self.holes.pop() {
            Some(place) => {
                self.answers[place] = Some(envelope);
                place
            }
            None => {
                self.answers.push(Some(envelope));
                self.answers.len() - 1
            }
        }
    }

    fn answers_take(&mut self, place: usize) -> Option<Envelope> {
        self.holes.push(place);
        self.answers[place].take()
    }

    fn push(&mut self, at_ms: u64, identity: u64, event: Event) {
        self.serial += 1;
        self.heap.push(Reverse(Due { at_ms, identity, serial: self.serial, event }));
    }

    fn mark(&mut self, what: &[u8], who: u64, bytes: &[u8]) {
        let names = [&self.trace.to_le_bytes()[..], &self.now_ms.to_le_bytes(), what, &who.to_le_bytes(), bytes];
        self.trace = hash64(b"trace of the lab", &names);
    }

    /// Wall clock, milliseconds since 1970.
    pub fn unix_ms(&self) -> u64 {
        START_UNIX_MS + self.now_ms
    }
}

pub fn socket_bytes(address: SocketAddr) -> [u8; 18] {
    let mut out = [0; 18];
    match address.ip() {
        std::net::IpAddr::V4(ip) => out[..4].copy_from_slice(&ip.octets()),
        std::net::IpAddr::V6(ip) => out[..16].copy_from_slice(&ip.octets()),
    }
    out[16..].copy_from_slice(&address.port().to_le_bytes());
    out
}
