//! Everything outside: phones, their streams, the addresses of balancers and who answers to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use fabric::hash::hash64;
use fabric::letters::flow::{Flow, Received, Transport};
use fabric::{Address, Envelope, Fault, FaultKind, Home, Letter, NodeId, Table, Thread};

use crate::book::Book;
use crate::cluster::event::{Event, Held};
use crate::cluster::lab::ClusterLab;
use crate::cluster::nat::NatBox;
use crate::cluster::scene::{Role, Scene, site_address};
use crate::cluster::switch;
use crate::dice::Dice;
use crate::phone::{Hand, Note, Phone, Timer};
use crate::plan::{DOMAIN, Plan};
use crate::weather::{Fate, Weather};

mod nat;

pub struct Street {
    script: Arc<Plan>,
    pub home: Home,
    phones: Vec<Phone>,
    places: BTreeMap<SocketAddr, usize>,
    /// NAT boxes of phones on UDP, and the address that each phone's datagrams come from.
    nats: Vec<Option<NatBox>>,
    public: Vec<SocketAddr>,
    boots: Vec<u64>,
    streams: Vec<Option<Stream>>,
    next_stream: u64,
    /// What a phone wants to say on a stream that is being opened.
    unsaid: Vec<Vec<Bytes>>,
    pub weather: Weather,
    /// Thousandths of datagrams that a fault loses besides.
    pub storm_permille: u64,
    pub book: Book,
    /// The node that answers to each site's address.
    pub owners: Vec<usize>,
    pub site_ids: Vec<NodeId>,
    /// Hash over everything that crossed the edge of the switch.
    pub trace: u64,
    /// Who was asked for, and when, by probe.
    probes: BTreeMap<u64, (usize, u64)>,
    /// A REGISTER that was accepted, by phone: what a thief would send again.
    pub loot: Option<(usize, Bytes)>,
    pub calls: Calls,
    dice: Dice,
}

/// Calls by what they do at this moment.
#[derive(Default)]
pub struct Calls {
    pub dialled: usize,
    pub ringing: std::collections::BTreeSet<usize>,
    pub up: std::collections::BTreeSet<usize>,
}

#[derive(Clone, Copy)]
struct Stream {
    id: u64,
    node: usize,
    boot: u64,
}

impl Street {
    pub fn new(scene: &Scene, secret: [u8; 16]) -> Street {
        let script = scene.script.clone();
        let count = script.devices.len();
        Street {
            home: Home::new(NodeId(0), secret, switch::SHARDS),
            phones: (0..count).map(|index| Phone::new(index, script.clone())).collect(),
            places: script.devices.iter().enumerate().map(|(index, device)| (device.public, index)).collect(),
            nats: {
                let all = script.devices.iter().zip(&scene.nats);
                all.map(|(device, nat)| nat.map(|(kind, idle_us)| NatBox::new(kind, device.public, idle_us))).collect()
            },
            public: script.devices.iter().map(|device| device.public).collect(),
            boots: vec![0; count],
            streams: vec![None; count],
            next_stream: 0,
            unsaid: vec![Vec::new(); count],
            weather: Weather::new(scene.seed, script.climate.clone()),
            storm_permille: 0,
            book: Book { transit_ms: 1_000, drift_permille: scene.drift_permille(), ..Book::new(script.clone()) },
            owners: scene.sites.clone(),
            site_ids: scene.sites.iter().map(|place| scene.nodes[*place].id).collect(),
            trace: 0,
            probes: BTreeMap::new(),
            loot: None,
            calls: Calls::default(),
            dice: Dice::named(scene.seed, &[b"street"]),
            script,
        }
    }

    pub fn mark(&mut self, now: u64, what: &[u8], who: u64, bytes: &[u8]) {
        let names = [&self.trace.to_le_bytes()[..], &now.to_le_bytes(), what, &who.to_le_bytes(), bytes];
        self.trace = hash64(b"trace of a carri", &names);
    }

    pub fn script(&self) -> &Plan {
        &self.script
    }

    pub fn phones(&self) -> &[Phone] {
        &self.phones
    }

    fn is_stream(&self, device: usize) -> bool {
        self.script.devices[device].transport != Transport::Udp
    }

    fn flow(&self, device: usize, connection: u64) -> Flow {
        let own = &self.script.devices[device];
        Flow {
            balancer: Address::Balancer(self.site_ids[own.site], 0),
            transport: own.transport,
            listener: u16::from(own.transport != Transport::Udp),
            local: site_address(own.site),
            remote: self.public[device],
            connection,
        }
    }
}

impl ClusterLab {
    pub(super) fn begin_street(&mut self) {
        for device in 0..self.street.phones.len() {
            let mut hand = Hand::default();
            self.street.phones[device].begin(&mut hand);
            self.hand(device, hand);
            if self.street.is_stream(device) {
                let at = self.street.dice.between(5_000_000, 35_000_000);
                self.heap.push(at, Event::KeepAlive(device));
            }
        }
    }

    pub(super) fn phone_timer(&mut self, device: usize, timer: Timer) {
        let mut hand = Hand { now_ms: self.now_ms(), ..Hand::default() };
        self.street.phones[device].on_timer(timer, &mut hand);
        self.hand(device, hand);
    }

    pub(super) fn to_phone(&mut self, device: usize, bytes: Bytes) {
        let now_ms = self.now_ms();
        self.street.book.heard(now_ms, device, &bytes);
        let mut hand = Hand { now_ms, ..Hand::default() };
        self.street.phones[device].on_message(bytes, &mut hand);
        self.hand(device, hand);
    }

    /// What a phone does in one step.
    fn hand(&mut self, device: usize, hand: Hand) {
        let now_ms = self.now_ms();
        for note in hand.notes {
            self.note(device, &note);
            if note == Note::Rebooted {
                self.street.boots[device] += 1;
                self.street.unsaid[device].clear();
                if let Some(stream) = self.street.streams[device].take() {
                    self.close_flow(device, stream);
                }
            }
            self.street.book.note(now_ms, device, note);
        }
        for (at, timer) in hand.timers {
            self.heap.push((at * 1_000).max(self.now + 1), Event::Phone(device, timer));
        }
        for message in hand.sends {
            let bytes = message.bytes().clone();
            self.street.book.said(now_ms, device, &bytes);
            self.phone_sends(device, bytes);
        }
    }

    fn note(&mut self, device: usize, note: &Note) {
        let calls = &mut self.street.calls;
        match note {
            Note::Dialled { .. } => calls.dialled += 1,
            Note::Ringing { attempt } => drop(calls.ringing.insert(*attempt)),
            Note::Quiet { attempt, .. } => drop(calls.ringing.remove(attempt)),
            Note::Up { attempt, .. } => drop(calls.up.insert(*attempt)),
            Note::Down { attempt, .. } => drop(calls.up.remove(attempt)),
            Note::Bound { until_ms: Some(_), .. } => self.watch.registered(device),
            _ => {}
        }
    }

    fn phone_sends(&mut self, device: usize, bytes: Bytes) {
        let boots = self.street.boots[device];
        if !self.street.is_stream(device) {
            self.nat_out(device);
            let public = self.street.script.devices[device].public;
            let fate = self.street.weather.datagram(true, public, &bytes, self.now / 1_000);
            return self.deliver(fate, bytes, true, |bytes| Event::ToSwitch(device, bytes, boots));
        }
        if let Some(stream) = self.street.streams[device] {
            let public = self.street.script.devices[device].public;
            let fate = self.street.weather.segment(true, public, &bytes, self.now / 1_000);
            return self.deliver(fate, bytes, false, |bytes| Event::ToSwitch(device, bytes, stream.id));
        }
        let first = self.street.unsaid[device].is_empty();
        if self.street.unsaid[device].len() < UNSAID_MAX {
            self.street.unsaid[device].push(bytes);
        }
        if first {
            let wait = self.street.dice.between(2_000, 40_000);
            self.heap.push(self.now + wait, Event::Dial(device, boots));
        }
    }

    fn deliver(&mut self, fate: Fate, bytes: Bytes, datagram: bool, event: impl Fn(Bytes) -> Event) {
        let (now, storm) = (self.now, if datagram { self.street.storm_permille } else { 0 });
        for (copy, delay) in fate.copies.into_iter().flatten().enumerate() {
            if storm > 0 && self.street.dice.permille(storm) {
                self.menu.lost += 1;
                continue;
            }
            // Below a millisecond the order is anybody's.
            let part = (fate.identity.wrapping_add(copy as u64)) % 1_000;
            self.heap.push(now + delay * 1_000 + part, event(bytes.clone()));
        }
    }

    /// A phone opens its stream, and says what waits.
    pub(super) fn dial_stream(&mut self, device: usize, boots: u64) {
        let street = &mut self.street;
        if street.boots[device] != boots || street.streams[device].is_some() {
            return;
        }
        let node = street.owners[street.script.devices[device].site];
        if self.nodes[node].host.is_none() {
            // The SYN again; what is said is not kept for ever.
            self.menu.dialled_in_vain += 1;
            return self.heap.push(self.now + 1_000_000, Event::Dial(device, boots));
        }
        if street.talks(device) {
            self.watch.sometimes.hit("stream made anew in a call");
        }
        street.next_stream += 1;
        street.streams[device] = Some(Stream { id: street.next_stream, node, boot: self.nodes[node].boot });
        for bytes in std::mem::take(&mut self.street.unsaid[device]) {
            self.phone_sends(device, bytes);
        }
    }

    pub(super) fn stream_lost(&mut self, device: usize, id: u64) {
        let Some(stream) = self.street.streams[device].filter(|stream| stream.id == id) else { return };
        self.street.streams[device] = None;
        self.watch.stream_lost();
        let now_ms = self.now_ms();
        self.street.book.stream_broke(now_ms, device);
        self.close_flow(device, stream);
        let mut hand = Hand { now_ms, ..Hand::default() };
        self.street.phones[device].on_stream_lost(&mut hand);
        self.hand(device, hand);
    }

    /// The kernel tells the switch that a stream has ended.
    fn close_flow(&mut self, device: usize, stream: Stream) {
        if self.nodes[stream.node].boot == stream.boot && self.nodes[stream.node].host.is_some() {
            let flow = self.street.flow(device, stream.id);
            let site = self.street.script.devices[device].site;
            let id = self.street.site_ids[site];
            let mail = Envelope::new(Address::Flow(id), flow.balancer, Letter::FlowClosed(flow));
            self.later(stream.node, 1_000, mail);
        }
    }

    /// All streams that end at a node; their phones hear of it.
    pub(super) fn reset_streams(&mut self, node: usize) {
        for device in 0..self.street.streams.len() {
            if let Some(stream) = self.street.streams[device].filter(|stream| stream.node == node) {
                let wait = self.street.dice.between(1_000, 40_000);
                self.heap.push(self.now + wait, Event::StreamLost(device, stream.id));
            }
        }
    }

    /// The node at the far end of these streams has died; what it had in hand is lost with it.
    pub(super) fn orphan_streams(&mut self, node: usize) {
        let now_ms = self.now_ms();
        for (device, stream) in self.street.streams.iter().enumerate() {
            if stream.is_some_and(|stream| stream.node == node) {
                self.street.book.stream_orphaned(now_ms, device);
            }
        }
    }

    /// RFC 5626 4.4.1: a phone looks every half minute whether its stream still leads somewhere.
    pub(super) fn keep_alive(&mut self, device: usize) {
        if let Some(stream) = self.street.streams[device]
            && !self.is_whole(device, stream)
        {
            self.heap.push(self.now + 20_000, Event::StreamLost(device, stream.id));
        }
        self.heap.push(self.now + 30_000_000, Event::KeepAlive(device));
    }

    fn is_whole(&self, device: usize, stream: Stream) -> bool {
        let node = &self.nodes[stream.node];
        let site = self.street.script.devices[device].site;
        node.host.is_some() && node.boot == stream.boot && self.street.owners[site] == stream.node
    }

    /// A phone's message is at the address of its site.
    pub(super) fn to_switch(&mut self, device: usize, bytes: Bytes, number: u64) {
        if !self.street.is_stream(device) && self.street.boots[device] != number {
            return;
        }
        let site = self.street.script.devices[device].site;
        let node = self.street.owners[site];
        let mut connection = 0;
        if self.street.is_stream(device) {
            let Some(stream) = self.street.streams[device].filter(|stream| stream.id == number) else { return };
            if !self.is_whole(device, stream) {
                // A machine that is off says nothing; one that does not know the stream resets it.
                match self.nodes[node].host.is_some() {
                    true => self.heap.push(self.now + 10_000, Event::StreamLost(device, stream.id)),
                    false => self.heap.push(self.now + 1_000_000, Event::Segment(device, stream.id)),
                }
                return;
            }
            connection = stream.id;
        }
        if self.nodes[node].host.is_none() {
            self.menu.into_the_void += 1;
            return;
        }
        if self.nodes[node].paused || self.nodes[node].slow_us > 0 {
            let held = &mut self.nodes[node].held;
            if held.len() < HELD_MAX {
                held.push_back(Held::Datagram(device, bytes, connection));
            }
            if !self.nodes[node].paused && self.nodes[node].held.len() == 1 {
                let slow = self.nodes[node].slow_us;
                self.heap.push(self.now + slow, Event::Resume(node));
            }
            return;
        }
        self.to_node(node, device, bytes, connection);
    }

    pub(super) fn segment(&mut self, device: usize, id: u64) {
        let Some(stream) = self.street.streams[device].filter(|stream| stream.id == id) else { return };
        let owner = self.street.owners[self.street.script.devices[device].site];
        if self.is_whole(device, stream) {
            return;
        }
        match self.nodes[owner].host.is_some() {
            true => self.stream_lost(device, id),
            false => self.heap.push(self.now + 1_000_000, Event::Segment(device, id)),
        }
    }

    pub(super) fn to_node(&mut self, node: usize, device: usize, bytes: Bytes, connection: u64) {
        let now_ms = self.now_ms();
        self.street.mark(self.now, b"in", device as u64, &bytes);
        self.street.book.inbound(now_ms, device, &bytes);
        if bytes.starts_with(b"REGISTER ") && bytes.windows(15).any(|part| part == b"\nAuthorization:") {
            self.street.loot = Some((device, bytes.clone()));
        }
        let flow = self.street.flow(device, connection);
        let site = self.street.site_ids[self.street.script.devices[device].site];
        let letter = Letter::Received(Received { flow, bytes });
        let mail = Envelope::new(Address::Flow(site), flow.balancer, letter);
        self.visit(node, |host, now, doings| host.post(mail, now, doings));
    }

    /// Bytes of the switch for a socket.
    pub(super) fn transmit(&mut self, node: usize, envelope: Envelope, flow: Flow, bytes: Bytes) {
        let now_ms = self.now_ms();
        if flow.remote == thief() {
            match bytes.starts_with(b"SIP/2.0 200") {
                true => self.watch.fail(26, self.now, "credentials that were used before are accepted again"),
                false => self.watch.sometimes.hit("replay refused"),
            }
            return;
        }
        if self.floods.is_from(flow.remote) {
            return;
        }
        let Some(device) = self.street.places.get(&flow.remote).copied() else {
            self.street.book.astray(now_ms, flow.remote);
            return self.flow_gone(node, &envelope);
        };
        if flow.transport != Transport::Udp {
            let stream = self.street.streams[device];
            let Some(stream) = stream.filter(|stream| stream.id == flow.connection && stream.node == node) else {
                self.menu.flows_gone += 1;
                return self.flow_gone(node, &envelope);
            };
            if !self.is_whole(device, stream) {
                // Half open: the packets of the other side say so.
                self.heap.push(self.now + 20_000, Event::StreamLost(device, stream.id));
                return;
            }
        }
        if self.floods.is_watched()
            && bytes.starts_with(b"SIP/2.0 200")
            && bytes.windows(9).any(|part| part == b" REGISTER")
        {
            self.floods.proven.insert(device, (node, self.nodes[node].boot));
        }
        self.street.mark(self.now, b"out", device as u64, &bytes);
        self.watch_edge(node, device, &bytes);
        self.street.book.outbound(now_ms, device, &bytes);
        if flow.transport == Transport::Udp && !self.nat_in(device, flow.remote, flow.local) {
            return;
        }
        let public = self.street.script.devices[device].public;
        let fate = match flow.transport {
            Transport::Udp => self.street.weather.datagram(false, public, &bytes, now_ms),
            _ => self.street.weather.segment(false, public, &bytes, now_ms),
        };
        let datagram = flow.transport == Transport::Udp;
        self.deliver(fate, bytes, datagram, |bytes| Event::ToPhone(device, bytes));
    }

    fn flow_gone(&mut self, node: usize, envelope: &Envelope) {
        if envelope.thread != Thread::NONE {
            let back = envelope.answer(Letter::Returned(Fault::new(FaultKind::FlowGone, "connection closed")));
            self.later(node, 1_000, back);
        }
    }

    /// A node obeys a new table: addresses that it is to hold are moved to it.
    pub(super) fn move_addresses(&mut self, place: usize, table: &Table) {
        if self.role(place) != Role::Balancer {
            return;
        }
        let id = self.id(place);
        for site in 0..self.street.site_ids.len() {
            let wanted = table.holder(self.street.site_ids[site]) == id && table.version > 0;
            if wanted && self.street.owners[site] != place {
                let wait = self.dice.between(30_000, 150_000);
                self.heap.push(self.now + wait, Event::Moved(site, place, table.version));
            }
        }
    }

    pub(super) fn address_moved(&mut self, site: usize, place: usize, _version: u64) {
        let id = self.street.site_ids[site];
        let Some(host) = self.nodes[place].host.as_ref().filter(|_| !self.nodes[place].paused) else { return };
        if host.office.table().holder(id) != self.id(place) || self.street.owners[site] == place {
            return;
        }
        self.street.owners[site] = place;
        self.watch.address_moved(self.now, site, place);
        self.street.mark(self.now, b"moved", site as u64, &place.to_le_bytes());
    }

    /// Somebody asks a shard who is where; the book knows what is right.
    pub(super) fn probe(&mut self, number: usize) {
        let end = self.scene.script.end_ms * 1_000;
        let wait = self.dice.between(300_000, 1_200_000);
        if self.now + wait < end {
            self.heap.push(self.now + wait, Event::Probe(number + 1));
        }
        let user = self.dice.below(self.scene.script.users.len());
        let node = self.dice.below(self.nodes.len());
        if self.nodes[node].host.is_none() || self.nodes[node].paused || self.role(node) == Role::Director {
            return;
        }
        let aor = format!("{}@{DOMAIN}", self.scene.script.users[user].name);
        let to = self.street.home.location(&aor);
        let thread = number as u64 + 100;
        self.street.probes.insert(thread, (user, self.now));
        let mail = Envelope::ask(Address::Control(self.id(node)), to, Thread(thread), Letter::Locate(aor.into()));
        self.visit(node, |host, now, doings| host.post(mail, now, doings));
    }

    /// A thief sends again, on a branch of his own, what a phone has registered with (I26).
    pub(super) fn replay(&mut self, number: usize) {
        let Some((device, bytes)) = self.street.loot.take() else { return };
        let site = self.street.script.devices[device].site;
        let node = self.street.owners[site];
        if self.nodes[node].host.is_none() || self.nodes[node].paused {
            return;
        }
        let text =
            String::from_utf8_lossy(&bytes).replacen("branch=z9hG4bK-", &format!("branch=z9hG4bK-thief{number}-"), 1);
        let flow = Flow {
            transport: Transport::Udp,
            listener: 0,
            connection: 0,
            remote: thief(),
            ..self.street.flow(device, 0)
        };
        let letter = Letter::Received(Received { flow, bytes: Bytes::from(text) });
        let mail = Envelope::new(Address::Flow(self.street.site_ids[site]), flow.balancer, letter);
        self.visit(node, |host, now, doings| host.post(mail, now, doings));
    }

    pub(super) fn probed(&mut self, envelope: &Envelope) {
        let Letter::Located(bindings) = &envelope.letter else { return };
        let Some((user, asked)) = self.street.probes.remove(&envelope.thread.0) else { return };
        // What was true when it was asked may be no more.
        if self.now < asked + 100_000 {
            let now_ms = self.now_ms();
            self.street.book.located(now_ms, user, bindings);
        }
    }
}

/// What one phone may want to say at once, count.
const UNSAID_MAX: usize = 64;

/// Datagrams that a socket keeps for a process which does not read, count.
const HELD_MAX: usize = 2_000;

/// Where the thief sits.
fn thief() -> SocketAddr {
    SocketAddr::from(([203, 0, 114, 66], 5060))
}
