//! The ports of a node in the lab: what stands for sockets, store, records, journal, names and rtpengine.

use std::collections::BTreeMap;
use std::sync::Arc;

use fabric::letters::record::Record;
use fabric::{Address, Envelope, Letter, Thread};

use crate::cluster::event::{Event, Held};
use crate::cluster::lab::ClusterLab;
use crate::ports::resolve;
use crate::relay::Relay;

/// What the ports of a process remember; gone with it.
#[derive(Default)]
pub struct Ports {
    /// Records that wait for their mirror, by thread: the answer to give, and what is still missing.
    mirrors: BTreeMap<u64, (Envelope, u8)>,
    next: u64,
}

/// The rtpengine of a site: a process of its own.
pub struct RelaySite {
    pub relay: Relay,
    /// Not running: nobody answers.
    pub dead: bool,
    pub hangs: bool,
    /// Since when it has not been disturbed, milliseconds: leftovers count from here.
    pub whole_since_ms: u64,
}

impl RelaySite {
    pub fn new(site: usize) -> RelaySite {
        RelaySite { relay: Relay::at(site + 1), dead: false, hangs: false, whole_since_ms: 0 }
    }
}

impl ClusterLab {
    /// A letter for a port of this node.
    pub(super) fn port(&mut self, node: usize, envelope: Envelope) {
        match (&envelope.to, &envelope.letter) {
            (Address::Flow(_), Letter::Transmit(transmit)) => {
                let (flow, bytes) = (transmit.flow, transmit.bytes.clone());
                self.transmit(node, envelope, flow, bytes);
            }
            (Address::Store(_), Letter::AccountAsk(ask)) => {
                // Every node has its own copy of the subscribers.
                let account = self.central.account(ask);
                let wait = self.dice.between(100, 1_500) + self.nodes[node].answers_us;
                self.answer(node, wait, &envelope, Letter::Account(account));
            }
            (Address::Store(_), Letter::KeepBindings(_) | Letter::LoadBindings(..)) => {
                let boot = self.nodes[node].boot;
                match self.central.out {
                    true => self.central.waiting.push((node, boot, envelope)),
                    false => self.store(node, envelope),
                }
            }
            (Address::Records(_), Letter::Record(_)) => self.keep_record(node, envelope),
            (Address::Records(_), Letter::Kept) => self.mirrored(node, envelope.thread.0),
            (Address::Names(_), Letter::NamesAsk(ask)) => {
                let names = resolve(ask);
                let wait = self.dice.between(1_000, 30_000);
                self.answer(node, wait, &envelope, Letter::Names(names));
            }
            (Address::Relay(_), Letter::RelaySend(..)) => self.relay(node, &envelope),
            (Address::Journal(_), Letter::JournalWrite(entries)) => {
                let entries = entries.clone();
                let now = self.now;
                let (ticket, at) = self.nodes[node].disk.write_journal(entries, now, &mut self.dice);
                let back = (envelope.thread != Thread::NONE).then(|| Box::new(envelope.answer(Letter::Kept)));
                let boot = self.nodes[node].boot;
                self.spring(node, at);
                self.heap.push(at, Event::Synced(node, boot, ticket, back));
            }
            (Address::Journal(_), Letter::JournalRead) => {
                let entries = self.nodes[node].disk.journal();
                let wait = self.dice.between(200, 2_000);
                self.answer(node, wait, &envelope, Letter::JournalEntries(entries));
            }
            (Address::Control(_), Letter::ControlAnswer(_)) => self.told_bans(&envelope),
            (Address::Control(_), _) => self.probed(&envelope),
            _ => {}
        }
    }

    fn answer(&mut self, node: usize, wait_us: u64, envelope: &Envelope, letter: Letter) {
        if envelope.thread != Thread::NONE {
            let back = envelope.answer(letter);
            self.later(node, wait_us, back);
        }
    }

    /// The central store takes a write or is read.
    pub(super) fn store(&mut self, node: usize, envelope: Envelope) {
        let wait = self.dice.between(1_000, 6_000);
        match &envelope.letter {
            Letter::KeepBindings(stored) => {
                self.watch.store_write(&envelope);
                let kept = self.central.keep((**stored).clone(), envelope.epoch, self.now);
                self.answer(node, wait + kept, &envelope, Letter::Kept);
            }
            Letter::LoadBindings(shard, shards) => {
                let (shard, shards, keys) = (*shard, *shards, self.street.home.keys);
                let found = self.central.load(|aor| keys.location(aor, shards) == shard, self.now, &mut self.dice);
                self.answer(node, wait, &envelope, Letter::LoadedBindings(Arc::new(found)));
            }
            _ => {}
        }
    }

    /// A record is kept when it is on this disk and on the standby's.
    fn keep_record(&mut self, node: usize, envelope: Envelope) {
        let Letter::Record(record) = &envelope.letter else { return };
        let record = (**record).clone();
        let now = self.now;
        let (ticket, at) = self.nodes[node].disk.write_record(record.clone(), now, &mut self.dice);
        let boot = self.nodes[node].boot;
        self.spring(node, at);
        let me = self.id(node);
        let from_room = envelope.from.slot().is_some();
        let Some(standby) = from_room.then(|| self.standby_of(node, envelope.from)).flatten() else {
            let back = (envelope.thread != Thread::NONE).then(|| Box::new(envelope.answer(Letter::Kept)));
            return self.heap.push(at, Event::Synced(node, boot, ticket, back));
        };
        let ports = &mut self.ports[node];
        ports.next += 1;
        let thread = ports.next;
        ports.mirrors.insert(thread, (envelope.answer(Letter::Kept), 2));
        while ports.mirrors.len() > MIRRORS_MAX {
            ports.mirrors.pop_first();
        }
        let own = Envelope::ask(Address::Records(me), Address::Records(me), Thread(thread), Letter::Kept);
        self.heap.push(at, Event::Synced(node, boot, ticket, Some(Box::new(own))));
        let copy = Letter::Record(Box::new(record));
        let mail = Envelope::ask(Address::Records(me), Address::Records(standby), Thread(thread), copy);
        self.later(node, 1, mail);
    }

    /// Whether a record of this node's calls waits for a disk.
    pub(super) fn owes_records(&self, node: usize) -> bool {
        !self.ports[node].mirrors.is_empty()
    }

    fn standby_of(&self, node: usize, address: Address) -> Option<fabric::NodeId> {
        let table = self.nodes[node].host.as_ref()?.office.table();
        let row = table.owner_of(address)?;
        if row.active == Some(self.id(node)) { row.standby } else { None }
    }

    /// One of the two disks has it.
    fn mirrored(&mut self, node: usize, thread: u64) {
        let mirrors = &mut self.ports[node].mirrors;
        let Some((_, missing)) = mirrors.get_mut(&thread) else { return };
        *missing -= 1;
        if *missing == 0
            && let Some((answer, _)) = mirrors.remove(&thread)
            && answer.thread != Thread::NONE
        {
            self.later(node, 1, answer);
        }
    }

    pub(super) fn on_synced(&mut self, node: usize, boot: u64, ticket: u64, envelope: Option<Box<Envelope>>) {
        let own = &mut self.nodes[node];
        if own.boot != boot || own.host.is_none() {
            return;
        }
        own.disk.synced(ticket);
        let Some(envelope) = envelope else { return };
        if own.paused {
            return own.held.push_back(Held::Letter(envelope));
        }
        self.visit(node, |host, now, doings| host.post(*envelope, now, doings));
    }

    /// The outbox goes to the central store.
    pub(super) fn ship(&mut self, node: usize, boot: u64) {
        if self.nodes[node].boot != boot || self.nodes[node].host.is_none() {
            return;
        }
        if !self.central.out && !self.nodes[node].paused && !self.menu.is_lonely(node) {
            for (number, record) in self.nodes[node].disk.waiting(SHIP_MAX) {
                let besides = self.saboteur.as_mut().and_then(|saboteur| saboteur.besides(&record));
                besides.into_iter().for_each(|record| self.central.record(record));
                if self.saboteur.as_mut().is_none_or(|saboteur| saboteur.ships(&record)) {
                    self.central.record(record);
                }
                self.nodes[node].disk.shipped(number);
            }
        }
        self.heap.push(self.now + 500_000, Event::Ship(node, boot));
    }

    /// A command of an anchor to its rtpengine.
    fn relay(&mut self, node: usize, envelope: &Envelope) {
        let Letter::RelaySend(number, bytes) = &envelope.letter else { return };
        let Some(site) =
            envelope.to.node().and_then(|id| self.scene.place(id)).and_then(|place| self.scene.site_of(place))
        else {
            return;
        };
        let relay = &mut self.relays[site];
        if relay.dead || relay.hangs {
            self.menu.relay_silent += 1;
            return;
        }
        let Some(reply) = relay.relay.on_datagram(bytes) else { return };
        let wait = self.dice.between(200, 1_500);
        let back = envelope.answer(Letter::RelayReceived(*number, reply.into()));
        self.later(node, wait, back);
    }

    /// Whether a record of this identity may be billed: for the judges.
    pub(super) fn billed(&self) -> impl Iterator<Item = &Record> {
        self.central.records.values().flatten()
    }
}

/// Records that may wait for a mirror at once, count.
const MIRRORS_MAX: usize = 10_000;

/// Records shipped at a time, count.
const SHIP_MAX: usize = 500;
