//! A node: a process with its rooms, its office, its clock and its disk.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use fabric::envelope::HOPS_MAX;
use fabric::hash::FixedMap;
use fabric::letter::undeliverable;
use fabric::{
    Address, Envelope, Epoch, Fault, FaultKind, Founder, Housing, Instant, Letter, Machine, NodeId, Now, Outbox,
    Parcel, Post,
};
use office::{Links, Office};

use crate::cluster::clock::Clock;
use crate::cluster::disk::Disk;
use crate::cluster::event::Held;

mod describe;

pub struct Node {
    pub clock: Clock,
    pub disk: Disk,
    /// `None`: the process does not run.
    pub host: Option<Host>,
    pub paused: bool,
    /// What came while it was paused.
    pub held: VecDeque<Held>,
    /// Rises with every start.
    pub boot: u64,
    /// A gray node takes so long for a letter, microseconds.
    pub slow_us: u64,
    /// Its copy of the subscribers answers so much later, microseconds.
    pub answers_us: u64,
    /// An operator wants the process to end once everything was taken away: at the latest then.
    pub leaving_until: Option<u64>,
    /// What it runs: this build, or the one before it.
    pub release: Release,
    /// The machine is off, not only the process.
    pub powerless: bool,
    /// Version of the table that it obeys, as last seen.
    pub version: u64,
}

/// A build: this one, or what can be known of the release before it (`fabric::codec::previous`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    Previous,
    Present,
}

/// The process.
pub struct Host {
    pub office: Arc<Office>,
    founder: Arc<dyn Founder>,
    rooms: FixedMap<Address, Room>,
    alarms: BinaryHeap<Reverse<(Instant, Address)>>,
    queue: VecDeque<Envelope>,
    out: Outbox,
    pub tray: Arc<Tray>,
    /// The wake-up that stands in the heap, true microseconds.
    pub armed: Option<u64>,
    spins: u32,
    last_alarm: Instant,
    pub letters: u64,
    pub letters_max: usize,
    pub loops: u64,
    pub panics: Vec<String>,
}

struct Room {
    machine: Box<dyn Machine>,
    armed: Option<Instant>,
}

/// Where the office puts what leaves it.
pub struct Tray {
    local: Mutex<Vec<Envelope>>,
    parcels: Mutex<Vec<(NodeId, Parcel)>>,
    /// Whether there is a session with the node of this number.
    pub up: Vec<AtomicBool>,
    /// Whether anything comes from the node of this number.
    pub hears: Vec<AtomicBool>,
}

impl Tray {
    pub fn new(nodes: usize) -> Tray {
        let flags = || (0..=nodes).map(|_| AtomicBool::new(false)).collect();
        Tray { local: Mutex::default(), parcels: Mutex::default(), up: flags(), hears: flags() }
    }

    pub fn take_parcels(&self) -> Vec<(NodeId, Parcel)> {
        std::mem::take(&mut self.parcels.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_local(&self) -> Vec<Envelope> {
        std::mem::take(&mut self.local.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Links for Tray {
    fn send(&self, to: NodeId, parcel: Parcel) -> bool {
        let up = self.up.get(usize::from(to.0)).is_some_and(|up| up.load(Relaxed));
        if up {
            self.parcels.lock().unwrap_or_else(PoisonError::into_inner).push((to, parcel));
        }
        up
    }

    fn has_come(&self, from: NodeId) -> bool {
        self.hears.get(usize::from(from.0)).is_some_and(|hears| hears.load(Relaxed))
    }
}

impl Post for Tray {
    fn post(&self, envelope: Envelope) {
        self.local.lock().unwrap_or_else(PoisonError::into_inner).push(envelope);
    }
}

/// What a host does to the world in one go.
#[derive(Default)]
pub struct Doings {
    /// Letters for ports of this node.
    pub ports: Vec<Envelope>,
    /// Letters of keyed actors that rooms and ports of this node took, with the node they came from.
    pub accepted: Vec<Accepted>,
    /// The node whose parcel is being handled.
    origin: Option<NodeId>,
}

/// An effect that somebody outside its actor's group has taken.
pub struct Accepted {
    pub from: Address,
    pub epoch: Epoch,
    /// `None`: from this node.
    pub origin: Option<NodeId>,
    /// By an actor of another group; else by a port or a resident.
    pub keyed: bool,
    pub kind: &'static str,
}

impl Host {
    pub fn new(office: Arc<Office>, tray: Arc<Tray>) -> Host {
        office.set_local(tray.clone());
        Host {
            founder: office.founder(),
            office,
            rooms: FixedMap::default(),
            alarms: BinaryHeap::new(),
            queue: VecDeque::new(),
            out: Outbox::new(Address::Nobody),
            tray,
            armed: None,
            spins: 0,
            last_alarm: Instant::default(),
            letters: 0,
            letters_max: 0,
            loops: 0,
            panics: Vec::new(),
        }
    }

    /// Starts a resident.
    pub fn start(&mut self, address: Address, now: Now, doings: &mut Doings) {
        self.found(address, &Letter::Describe, now);
        self.out.open(address, None);
        self.step(address, now, |machine, now, out| machine.wake(now, out));
        self.drain(now, doings);
    }

    /// A letter of a port or of a room: it goes where the office says.
    pub fn post(&mut self, envelope: Envelope, now: Now, doings: &mut Doings) {
        self.queue.push_back(envelope);
        self.drain(now, doings);
    }

    pub fn receive(&mut self, from: NodeId, parcel: Parcel, now: Now, doings: &mut Doings) {
        // Everything else releases what this node has posted itself.
        let delivers = matches!(&parcel, Parcel::Mail { mail, .. } if !matches!(mail.to, Address::Office(_)));
        doings.origin = delivers.then_some(from);
        self.office.receive(from, parcel, now);
        self.take_in(now, doings);
        doings.origin = None;
        self.drain(now, doings);
    }

    pub fn on_link(&mut self, node: NodeId, up: bool, now: Now, doings: &mut Doings) {
        self.tray.up[usize::from(node.0)].store(up, Relaxed);
        self.office.on_link(node, up, now);
        self.drain(now, doings);
    }

    /// Everything that is due.
    pub fn wake(&mut self, now: Now, doings: &mut Doings) {
        if self.office.deadline() <= now.instant {
            self.office.wake(now);
            self.drain(now, doings);
        }
        while let Some(Reverse((at, address))) = self.alarms.peek().copied() {
            if at > now.instant {
                break;
            }
            self.alarms.pop();
            self.alarm(at, address, now);
            self.drain(now, doings);
        }
    }

    /// When to be woken.
    pub fn deadline(&self) -> Instant {
        let office = self.office.deadline();
        self.alarms.peek().map_or(office, |Reverse((at, _))| office.min(*at))
    }

    fn alarm(&mut self, at: Instant, address: Address, now: Now) {
        let Some(room) = self.rooms.get_mut(&address).filter(|room| room.armed == Some(at)) else { return };
        room.armed = None;
        self.spins = if now.instant > self.last_alarm { 0 } else { self.spins + 1 };
        self.last_alarm = now.instant;
        if self.spins > SPINS_MAX {
            self.panics.push(format!("{} wants to be woken without end", address.kind()));
            self.rooms.remove(&address);
            return;
        }
        if room.machine.deadline().is_some_and(|due| due <= now.instant) {
            self.out.open(address, None);
            self.step(address, now, |machine, now, out| machine.wake(now, out));
        } else {
            self.settle(address, now);
        }
    }

    fn drain(&mut self, now: Now, doings: &mut Doings) {
        loop {
            self.take_in(now, doings);
            let Some(envelope) = self.queue.pop_front() else {
                match self.tray.local.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                    true => return,
                    false => continue,
                }
            };
            self.letters_max = self.letters_max.max(self.queue.len() + 1);
            self.letters += 1;
            if envelope.hops > HOPS_MAX {
                self.loops += 1;
                self.give_back(envelope, FaultKind::Loop);
                continue;
            }
            if let Some(envelope) = self.office.route(envelope, now) {
                self.deliver(envelope, now, doings);
            }
        }
    }

    /// What the office delivers was routed already.
    fn take_in(&mut self, now: Now, doings: &mut Doings) {
        for envelope in self.tray.take_local() {
            self.deliver(envelope, now, doings);
        }
    }

    fn deliver(&mut self, mail: Envelope, now: Now, doings: &mut Doings) {
        let address = mail.to;
        let keyed = address.slot().is_some();
        let outside = !keyed || (doings.origin.is_some() && mail.from.slot() != address.slot());
        if mail.from.slot().is_some() && outside && !mail.letter.is_harmless() {
            let (from, epoch, origin) = (mail.from, mail.epoch, doings.origin);
            doings.accepted.push(Accepted { from, epoch, origin, keyed, kind: mail.letter.kind() });
        }
        if self.founder.housing(address) == Housing::Port {
            doings.ports.push(mail);
            return;
        }
        if !self.rooms.contains_key(&address) && !self.found(address, &mail.letter, now) {
            return self.refuse(mail);
        }
        // A due deadline comes before the next letter, as in the shell.
        let due = self.rooms.get(&address).and_then(|room| room.machine.deadline());
        if due.is_some_and(|due| due <= now.instant) {
            self.out.open(address, None);
            self.step(address, now, |machine, now, out| machine.wake(now, out));
        }
        if !self.rooms.contains_key(&address) && !self.found(address, &mail.letter, now) {
            return self.refuse(mail);
        }
        self.out.open(address, Some(&mail));
        self.step(address, now, |machine, now, out| machine.handle(mail, now, out));
    }

    fn refuse(&mut self, mail: Envelope) {
        self.office.refused(&mail);
        self.give_back(mail, FaultKind::NoSuchActor);
    }

    fn found(&mut self, address: Address, letter: &Letter, now: Now) -> bool {
        match self.founder.found(address, letter, now) {
            Some(machine) => {
                self.rooms.insert(address, Room { machine, armed: None });
                true
            }
            None => false,
        }
    }

    fn step(&mut self, address: Address, now: Now, step: impl FnOnce(&mut dyn Machine, Now, &mut Outbox)) {
        let Some(room) = self.rooms.get_mut(&address) else { return };
        let (machine, out) = (room.machine.as_mut(), &mut self.out);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| step(machine, now, out))) {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            self.panics.push(format!("{}: {text}", address.kind()));
            self.rooms.remove(&address);
            self.out.take();
            return;
        }
        self.queue.extend(self.out.drain());
        self.settle(address, now);
    }

    fn settle(&mut self, address: Address, now: Now) {
        let Some(room) = self.rooms.get_mut(&address) else { return };
        if room.machine.is_idle() && self.founder.housing(address) != Housing::Resident {
            self.rooms.remove(&address);
            return;
        }
        let Some(due) = room.machine.deadline() else { return };
        let due = due.max(now.instant);
        if room.armed.is_none_or(|armed| due < armed) {
            room.armed = Some(due);
            self.alarms.push(Reverse((due, address)));
        }
    }

    fn give_back(&mut self, mail: Envelope, kind: FaultKind) {
        let what = mail.to.kind();
        self.out.open(mail.to, Some(&mail));
        undeliverable(mail, Fault::new(kind, what), &mut self.out);
        self.queue.extend(self.out.drain());
    }

    /// Whether somebody lives at an address.
    pub fn houses(&self, address: &Address) -> bool {
        self.rooms.contains_key(address)
    }

    /// Machines of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.rooms.keys().filter(|address| address.kind() == kind).count()
    }
}

/// Alarms at one moment that are still believable.
const SPINS_MAX: u32 = 20_000;
