//! Two or three offices with a machine that counts, links that a test can cut, and tables that a test decides.

mod cost;
mod cuts;
mod handover;
mod lost;
mod protection;
mod takeover;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fabric::letters::cluster::{Grant, Hearing};
use fabric::{
    Address, Envelope, Epoch, Founder, GroupId, Home, Housing, Instant, Key, Letter, Machine, NodeId, Now, Outbox,
    Ownership, Parcel, Part, Post, SLOTS, Table, Thread, codec,
};

use crate::{Links, Office, Settings};

/// Counts letters, answers each with `Kept`, remembers a deadline.
struct Tally {
    node: NodeId,
    seen: Vec<String>,
    due: Option<Instant>,
}

impl Machine for Tally {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        match &mail.letter {
            Letter::Locate(what) => {
                self.seen.push(what.to_string());
                match &**what {
                    "alarm" | "doze" => self.due = Some(now.instant + Duration::from_secs(10)),
                    "ask" => out.ask(Address::Store(self.node), Thread(7), Letter::LoadBindings(0, 1)),
                    "quiet" => {}
                    _ => out.answer(&mail, Letter::Kept),
                }
            }
            Letter::Describe => {
                let seen = self.seen.join(",");
                out.answer(&mail, Letter::Locate(seen.into()));
            }
            _ => {}
        }
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        if self.due.is_some_and(|due| due <= now.instant) {
            self.due = None;
            if self.seen.last().is_some_and(|last| last == "doze") {
                return self.seen.push("woke".to_owned());
            }
            out.post(PHONE, Letter::Locate("alarm".into()));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn is_idle(&self) -> bool {
        self.seen.last().is_some_and(|last| last == "end")
    }

    fn save(&mut self, _all: bool, parts: &mut Vec<Part>) {
        let value = Some(codec::encode_part(&(&self.seen, self.due)));
        parts.push(Part { name: "".into(), value });
    }
}

struct Tallies(NodeId);

impl Founder for Tallies {
    fn found(&self, _: Address, letter: &Letter, _: Now) -> Option<Box<dyn Machine>> {
        let wanted = matches!(letter, Letter::Locate(_) | Letter::Describe);
        wanted.then(|| Box::new(Tally { node: self.0, seen: Vec::new(), due: None }) as Box<dyn Machine>)
    }

    fn restore(&self, _: Address, parts: &[Part], _: Now) -> Option<Box<dyn Machine>> {
        let (seen, due) = codec::decode_part(parts.first()?.value.as_ref()?)?;
        Some(Box::new(Tally { node: self.0, seen, due }))
    }

    fn housing(&self, _: Address) -> Housing {
        Housing::Own
    }
}

/// Where everybody's phones are.
const PHONE: Address = Address::Balancer(NodeId(9), 0);

type Wire = Arc<Mutex<VecDeque<(NodeId, NodeId, Parcel)>>>;

struct Line {
    from: NodeId,
    wire: Wire,
    /// Nodes from which nothing comes.
    deaf: Arc<Mutex<Vec<NodeId>>>,
}

impl Links for Line {
    fn send(&self, to: NodeId, parcel: Parcel) -> bool {
        self.wire.lock().unwrap().push_back((self.from, to, parcel));
        true
    }

    fn has_come(&self, from: NodeId) -> bool {
        !self.deaf.lock().unwrap().contains(&from)
    }
}

#[derive(Default)]
struct Inbox(Mutex<VecDeque<Envelope>>);

impl Post for Inbox {
    fn post(&self, envelope: Envelope) {
        self.0.lock().unwrap().push_back(envelope);
    }
}

struct Node {
    office: Arc<Office>,
    founder: Arc<dyn Founder>,
    inbox: Arc<Inbox>,
    deaf: Arc<Mutex<Vec<NodeId>>>,
    rooms: BTreeMap<Address, Box<dyn Machine>>,
    /// What came for ports of this node.
    ports: Vec<Envelope>,
    /// Its clock, ahead of the test's by so many microseconds.
    ahead: u64,
    dead: bool,
}

/// A small cluster; node 9 is the balancer.
struct Net {
    wire: Wire,
    nodes: BTreeMap<NodeId, Node>,
    now: Instant,
    cut: Vec<(NodeId, NodeId)>,
    /// Parcels that were delivered.
    seen: Vec<(NodeId, NodeId, Parcel)>,
    /// Whom nodes do not hear, as directors were told.
    hearings: Vec<(NodeId, Hearing)>,
}

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const LB: NodeId = NodeId(9);

impl Net {
    /// Nodes A, B and the balancer, with sessions between all of them.
    fn new(directors: &[NodeId]) -> Net {
        let wire: Wire = Arc::default();
        let nodes = [(A, 0), (B, 5_000_000), (LB, 70)].map(|(node, ahead)| {
            let home = Home::new(node, *b"a cluster secret", 4);
            let deaf: Arc<Mutex<Vec<NodeId>>> = Arc::default();
            let line = Arc::new(Line { from: node, wire: wire.clone(), deaf: deaf.clone() });
            let roles = Arc::new(Tallies(node));
            let settings = Arc::new(Settings::default());
            let office = Office::new(&home, settings, directors.to_vec(), u64::from(node.0), roles, line);
            let inbox = Arc::new(Inbox::default());
            office.set_local(inbox.clone());
            let founder = office.founder();
            let (rooms, ports) = (BTreeMap::new(), Vec::new());
            (node, Node { office, founder, inbox, deaf, rooms, ports, ahead, dead: false })
        });
        let nodes = BTreeMap::from(nodes);
        let mut net =
            Net { wire, nodes, now: Instant(1_000_000), cut: Vec::new(), seen: Vec::new(), hearings: Vec::new() };
        for from in [A, B, LB] {
            for to in [A, B, LB].into_iter().filter(|to| *to != from) {
                net.link(from, to, true);
            }
        }
        net
    }

    fn link(&mut self, at: NodeId, with: NodeId, up: bool) {
        let now = self.at(at);
        self.nodes[&at].office.on_link(with, up, now);
    }

    fn at(&self, node: NodeId) -> Now {
        Now { instant: Instant(self.now.0 + self.nodes[&node].ahead), unix_ms: self.now.0 / 1_000 }
    }

    /// Tells everybody the table.
    fn table(&mut self, table: &Table) {
        for node in [A, B, LB] {
            self.tell(node, table);
        }
        self.run();
    }

    fn tell(&mut self, node: NodeId, table: &Table) {
        let (from, to) = (Address::Director(LB), Address::Office(node));
        let mail = Envelope::new(from, to, Letter::Table(Arc::new(table.clone())));
        let now = self.at(node);
        self.nodes[&node].office.receive(LB, Parcel::Mail { receipt: 0, mail: Box::new(mail) }, now);
    }

    /// A phone says something to the machine.
    fn say(&mut self, to: Address, what: &str) {
        self.say_at(LB, to, what);
    }

    fn say_at(&mut self, node: NodeId, to: Address, what: &str) {
        let mail = Envelope::ask(PHONE, to, Thread(1), Letter::Locate(what.into()));
        let now = self.at(node);
        if let Some(mail) = self.nodes[&node].office.route(mail, now) {
            self.nodes[&node].inbox.post(mail);
        }
        self.run();
    }

    /// Lets everything happen that needs no time.
    fn run(&mut self) {
        loop {
            let parcel = self.wire.lock().unwrap().pop_front();
            if let Some((from, to, parcel)) = parcel {
                self.seen.push((from, to, parcel.clone()));
                if !self.cut.contains(&(from, to)) && !self.nodes[&to].dead && !self.nodes[&from].dead {
                    self.nodes[&to].office.receive(from, parcel, self.at(to));
                }
                continue;
            }
            let waiting = self.nodes.values().any(|node| !node.dead && !node.inbox.0.lock().unwrap().is_empty());
            if !waiting {
                return;
            }
            for node in [A, B, LB] {
                self.deliver(node);
            }
        }
    }

    fn deliver(&mut self, id: NodeId) {
        let now = self.at(id);
        let node = self.nodes.get_mut(&id).unwrap();
        if node.dead {
            return;
        }
        let mail = node.inbox.0.lock().unwrap().pop_front();
        let Some(mail) = mail else { return };
        if mail.to.slot().is_none() {
            node.ports.push(mail);
            return;
        }
        let to = mail.to;
        if !node.rooms.contains_key(&to) {
            match node.founder.found(to, &mail.letter, now) {
                Some(machine) => drop(node.rooms.insert(to, machine)),
                None => return node.office.refused(&mail),
            }
        }
        let mut out = Outbox::new(to);
        out.open(to, Some(&mail));
        node.rooms.get_mut(&to).unwrap().handle(mail, now, &mut out);
        self.settle(id, to, out);
    }

    fn settle(&mut self, id: NodeId, to: Address, mut out: Outbox) {
        let now = self.at(id);
        let node = self.nodes.get_mut(&id).unwrap();
        if node.rooms[&to].is_idle() {
            node.rooms.remove(&to);
        }
        for mail in out.take() {
            if let Some(mail) = node.office.route(mail, now) {
                node.inbox.post(mail);
            }
        }
    }

    /// Time passes, in steps of 5 ms; directors grant every beat when `granted`.
    fn pass(&mut self, length: Duration, granted: &[NodeId]) {
        let end = self.now + length;
        while self.now < end {
            self.now = self.now + Duration::from_millis(5);
            for id in [A, B, LB] {
                if self.nodes[&id].dead {
                    continue;
                }
                let now = self.at(id);
                self.nodes[&id].office.wake(now);
                self.grants(id, granted);
                self.run();
                let due: Vec<Address> = {
                    let rooms = self.nodes[&id].rooms.iter();
                    let due = rooms.filter(|(_, room)| room.deadline().is_some_and(|due| due <= now.instant));
                    due.map(|(address, _)| *address).collect()
                };
                for address in due {
                    let mut out = Outbox::new(address);
                    out.open(address, None);
                    self.nodes.get_mut(&id).unwrap().rooms.get_mut(&address).unwrap().wake(now, &mut out);
                    self.settle(id, address, out);
                }
                self.run();
            }
        }
    }

    /// Answers the beats that a node has sent.
    fn grants(&mut self, id: NodeId, granted: &[NodeId]) {
        let wire: Vec<_> = self.wire.lock().unwrap().drain(..).collect();
        for (from, to, parcel) in wire {
            match &parcel {
                Parcel::Mail { mail, .. } if matches!(mail.letter, Letter::Beat(_)) => {
                    let Letter::Beat(beat) = &mail.letter else { continue };
                    if from == id && granted.contains(&to) {
                        let grant = Grant { director: to, boot: beat.boot, sent: beat.sent, granted: true };
                        let (from, to) = (Address::Director(to), Address::Office(id));
                        let mail = Envelope::new(from, to, Letter::Grant(Box::new(grant)));
                        self.nodes[&id].office.receive(
                            LB,
                            Parcel::Mail { receipt: 0, mail: Box::new(mail) },
                            self.at(id),
                        );
                    }
                }
                Parcel::Mail { mail, .. } if matches!(mail.letter, Letter::Hearing(_)) => {
                    let Letter::Hearing(hearing) = &mail.letter else { continue };
                    self.hearings.push((to, (**hearing).clone()));
                }
                _ => self.wire.lock().unwrap().push_back((from, to, parcel)),
            }
        }
    }

    fn kill(&mut self, id: NodeId) {
        self.nodes.get_mut(&id).unwrap().dead = true;
        for other in [A, B, LB].into_iter().filter(|other| *other != id) {
            self.link(other, id, false);
        }
        self.run();
    }

    /// How many answers the phones got.
    fn answers(&self) -> usize {
        self.nodes[&LB].ports.iter().filter(|mail| matches!(mail.letter, Letter::Kept)).count()
    }

    /// What a machine has seen, as its node tells it.
    fn seen_by(&mut self, id: NodeId, address: Address) -> String {
        let mail = Envelope::ask(Address::Control(id), address, Thread(99), Letter::Describe);
        let now = self.at(id);
        if let Some(mail) = self.nodes[&id].office.route(mail, now) {
            self.nodes[&id].inbox.post(mail);
        }
        self.run();
        let ports = &mut self.nodes.get_mut(&id).unwrap().ports;
        let place = ports.iter().position(|mail| mail.thread == Thread(99));
        match place.map(|place| ports.remove(place).letter) {
            Some(Letter::Locate(seen)) => seen.into(),
            _ => "nobody".to_owned(),
        }
    }
}

fn call(number: u128) -> Address {
    Address::Call(Key(number))
}

fn member(node: NodeId, chassis: u16) -> fabric::ownership::Member {
    fabric::ownership::Member { node, chassis, up: true, boot: u64::from(node.0) }
}

/// One group: A is active, B its standby.
fn first_table() -> Table {
    let row = Ownership {
        group: GroupId(0),
        pair: 0,
        epoch: Epoch(1),
        active: Some(A),
        standby: Some(B),
        full: false,
        learner: None,
        next: None,
    };
    Table {
        version: 1,
        groups: vec![row],
        slots: vec![(SLOTS, GroupId(0))],
        sites: Vec::new(),
        members: vec![member(A, 1), member(B, 2), member(LB, 3)],
        warning: String::new(),
    }
}

fn full(table: &Table) -> Table {
    let mut table = table.clone();
    table.version += 1;
    table.groups[0].full = true;
    table
}

/// B owns the group; A is its standby when `back`.
fn moved(table: &Table, back: bool) -> Table {
    let mut table = table.clone();
    table.version += 1;
    let row = &mut table.groups[0];
    (row.active, row.standby, row.full) = (Some(B), back.then_some(A), false);
    (row.epoch, row.next) = (Epoch(row.epoch.0 + 1), None);
    table
}

/// A cluster whose standby is full.
fn protected() -> (Net, Table) {
    let mut net = Net::new(&[]);
    let table = first_table();
    net.table(&table);
    net.pass(Duration::from_millis(50), &[]);
    let table = full(&table);
    net.table(&table);
    (net, table)
}
