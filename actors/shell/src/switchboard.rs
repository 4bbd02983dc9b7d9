//! The inside of the exchange: which room a letter belongs to, and how rooms open and close.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fabric::envelope::HOPS_MAX;
use fabric::hash::FixedMap;
use fabric::hive::HiveSettings;
use fabric::{
    Address, Clock, Envelope, Fault, FaultKind, Founder, Hive, Housing, Instant, Key, Letter, Machine, NodeId, Outbox,
    Post, Thread,
};
use office::Office;
use ractor::{ActorRef, ActorRuntime};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{debug, error};

use crate::actor::{Bell, RoomActor};
use crate::alarms::Alarms;
use crate::asks::OpenAsks;
use crate::counters::{Counters, Totals};
use crate::desk::Desk;
use crate::room::{House, Mailbox, NEVER, Refused, Room, Tenant};
use crate::settings::Settings;
use crate::supervisor::Order;

pub(crate) struct Inner {
    pub node: NodeId,
    pub founder: Arc<dyn Founder>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    pub totals: Totals,
    pub alarms: Alarms,
    runtime: Handle,
    /// What stands between this node and the others; `None` for a node that is alone.
    pub office: Option<Desk>,
    /// How calls, media sessions, registrations and location shards are housed, and the shards of those in hives.
    keyed: [Quarters; 4],
    /// Residents and ports.
    pub seats: RwLock<FixedMap<Address, Seat>>,
    pub tables: Vec<Table>,
    pub own_actors: AtomicUsize,
    pub asks: OpenAsks,
    pub stopping: AtomicBool,
    pub staff: Mutex<Staff>,
}

pub(crate) type Table = RwLock<FixedMap<Address, Arc<Room>>>;

pub(crate) enum Quarters {
    Own,
    Hive(Vec<Arc<Room>>),
    Seat,
}

#[derive(Clone)]
pub(crate) enum Seat {
    Port(Arc<dyn Post>),
    Room(Arc<Room>),
}

/// Who works for the exchange itself.
#[derive(Default)]
pub(crate) struct Staff {
    pub supervisor: Option<ActorRef<Order>>,
    pub clock: Option<JoinHandle<()>>,
    pub office: Option<JoinHandle<()>>,
}

impl Inner {
    pub fn new(
        node: NodeId,
        founder: Arc<dyn Founder>,
        office: Option<Arc<Office>>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Inner {
        let keyed =
            [Address::Call(Key(0)), Address::Media(Key(0)), Address::Registration(Key(0)), Address::Location(0)]
                .map(|sample| quarters(&founder, sample, &settings));
        Inner {
            node,
            founder,
            office: office.map(Desk::new),
            clock,
            totals: Totals::new(),
            alarms: Alarms::default(),
            runtime: Handle::current(),
            keyed,
            seats: RwLock::default(),
            tables: (0..settings.table_shards.max(1)).map(|_| Table::default()).collect(),
            own_actors: AtomicUsize::new(0),
            asks: OpenAsks::default(),
            stopping: AtomicBool::new(false),
            staff: Mutex::default(),
            settings,
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    pub fn hive_settings(&self) -> HiveSettings {
        HiveSettings { machines_max: self.settings.hive_machines_max }
    }

    pub fn post_all(self: &Arc<Self>, out: &mut Outbox) {
        for envelope in out.drain() {
            self.post_one(envelope);
        }
    }

    pub fn post_one(self: &Arc<Self>, envelope: Envelope) {
        self.totals.letter(&envelope.letter);
        if envelope.hops > HOPS_MAX {
            self.totals.loops.add(1);
            return self.give_back(envelope, Fault::new(FaultKind::Loop, "letters go round"));
        }
        match &self.office {
            Some(desk) if desk.wants(self.node, &envelope) => {
                // Nothing of ours is locked here: the office may deliver other letters before it returns.
                if let Some(envelope) = desk.route(envelope, self.clock.now()) {
                    self.deliver(envelope);
                }
            }
            _ => self.deliver(envelope),
        }
    }

    /// Puts a letter into its room or port here, wherever else it might belong.
    pub fn deliver(self: &Arc<Self>, envelope: Envelope) {
        let (quarters, number) = match envelope.to {
            Address::Call(key) => (&self.keyed[0], key.0),
            Address::Media(key) => (&self.keyed[1], key.0),
            Address::Registration(key) => (&self.keyed[2], key.0),
            Address::Location(shard) => (&self.keyed[3], u128::from(shard)),
            Address::Nobody => return,
            _ => (&Quarters::Seat, 0),
        };
        match quarters {
            Quarters::Own => self.post_own(envelope),
            Quarters::Hive(rooms) => self.post_room(&rooms[(number % rooms.len() as u128) as usize], envelope),
            Quarters::Seat => self.post_seat(envelope),
        }
    }

    fn post_seat(self: &Arc<Self>, envelope: Envelope) {
        let seat = read(&self.seats).get(&envelope.to).cloned();
        match seat {
            Some(Seat::Port(port)) => port.post(envelope),
            Some(Seat::Room(room)) => self.post_room(&room, envelope),
            None if matches!(envelope.to, Address::Control(_)) => self.asks.answer(envelope),
            None => self.nobody(envelope),
        }
    }

    fn post_room(self: &Arc<Self>, room: &Arc<Room>, envelope: Envelope) {
        if let Err(refused) = self.put(room, envelope) {
            match refused {
                Refused::Full(envelope) => self.overload(envelope, "mailbox is full"),
                Refused::Closed(envelope) => self.nobody(envelope),
            }
        }
    }

    #[expect(clippy::result_large_err, reason = "a refused letter goes back as it is, and seldom")]
    fn put(self: &Arc<Self>, room: &Arc<Room>, envelope: Envelope) -> Result<(), Refused> {
        let mut mailbox = room.put(envelope)?;
        self.totals.depth(mailbox.letters.len());
        self.ring(room, &mut mailbox);
        Ok(())
    }

    fn post_own(self: &Arc<Self>, mut envelope: Envelope) {
        let table = self.table(envelope.to);
        // A room that closes is out of the table before its lock is free: the second look finds none or the next one.
        for _ in 0..CLOSED_RETRIES {
            let room = read(table).get(&envelope.to).cloned();
            let room = match room {
                Some(room) => room,
                // Nobody is brought to life to be told to go.
                None if matches!(envelope.letter, Letter::Retire) => return,
                None => match self.found_own(table, &envelope) {
                    Ok(room) => room,
                    Err(fault) if fault.kind == FaultKind::Overload => {
                        return self.overload(envelope, "too many actors");
                    }
                    Err(_) => return self.nobody(envelope),
                },
            };
            match self.put(&room, envelope) {
                Ok(()) => return,
                Err(Refused::Full(envelope)) => return self.overload(envelope, "mailbox is full"),
                Err(Refused::Closed(back)) => envelope = back,
            }
        }
        self.overload(envelope, "actor comes and goes");
    }

    fn found_own(&self, table: &Table, envelope: &Envelope) -> Result<Arc<Room>, Fault> {
        let address = envelope.to;
        let mut rooms = write(table);
        if let Some(room) = rooms.get(&address) {
            return Ok(room.clone());
        }
        if self.own_actors.load(Relaxed) >= self.settings.own_actors_max {
            return Err(Fault::new(FaultKind::Overload, "too many actors"));
        }
        let machine =
            self.found(address, &envelope.letter).ok_or(Fault::new(FaultKind::NoSuchActor, address.kind()))?;
        let tenant = Tenant::Machine(machine);
        let room = Arc::new(Room::new(address, House::Own, self.settings.own_letters_max, tenant));
        rooms.insert(address, room.clone());
        self.own_actors.fetch_add(1, Relaxed);
        self.totals.founded.add(1);
        Ok(room)
    }

    /// Asks the founder; its panic counts as "nobody".
    pub fn found(&self, address: Address, letter: &Letter) -> Option<Box<dyn Machine>> {
        if self.is_stopping() {
            return None;
        }
        let now = self.clock.now();
        catch_unwind(AssertUnwindSafe(|| self.founder.found(address, letter, now))).unwrap_or_else(|_| {
            error!(kind = address.kind(), "founder panicked");
            self.totals.panics.add(1);
            None
        })
    }

    /// Tells the actor of a room, and gives a room of its own an actor when it has none.
    pub fn ring(self: &Arc<Self>, room: &Arc<Room>, mailbox: &mut Mailbox) {
        if mailbox.rung {
            return;
        }
        if mailbox.actor.is_none() && room.is_own() && mailbox.tenant.is_some() {
            self.totals.unparked.add(u64::from(std::mem::take(&mut mailbox.parked)));
            let _inside = self.runtime.enter();
            match ActorRuntime::spawn_instant(None, RoomActor { exchange: self.clone() }, room.clone()) {
                Ok((actor, _)) => mailbox.actor = Some(actor),
                Err(why) => error!(%why, "actor does not start"),
            }
        }
        if let Some(actor) = &mailbox.actor {
            // A resident that has just died gets its bell from the supervisor.
            mailbox.rung = actor.cast(Bell).is_ok();
        }
    }

    /// The alarm that was set for `at` goes off.
    pub fn alarm(self: &Arc<Self>, room: &Arc<Room>, at: Instant) {
        let mut mailbox = room.lock();
        if mailbox.closed || mailbox.armed != at {
            return;
        }
        mailbox.armed = NEVER;
        if mailbox.due <= self.clock.now().instant {
            self.ring(room, &mut mailbox);
        } else if mailbox.due != NEVER {
            let due = mailbox.due;
            mailbox.armed = due;
            drop(mailbox);
            self.alarms.set(room, due);
        }
    }

    /// Ends a room of its own whose machine is idle; false when a letter came first.
    pub fn close(&self, room: &Arc<Room>) -> bool {
        let mut rooms = write(self.table(room.address));
        let mut mailbox = room.lock();
        if !mailbox.letters.is_empty() {
            return false;
        }
        self.leave(&mut rooms, room, &mut mailbox);
        true
    }

    /// Ends a room whose machine has died; its waiting letters come back.
    pub fn evict(&self, room: &Arc<Room>) -> VecDeque<Envelope> {
        let mut rooms = write(self.table(room.address));
        let mut mailbox = room.lock();
        self.leave(&mut rooms, room, &mut mailbox);
        std::mem::take(&mut mailbox.letters)
    }

    fn leave(&self, rooms: &mut FixedMap<Address, Arc<Room>>, room: &Arc<Room>, mailbox: &mut Mailbox) {
        if mailbox.closed {
            return;
        }
        mailbox.closed = true;
        mailbox.actor = None;
        if rooms.get(&room.address).is_some_and(|other| Arc::ptr_eq(other, room)) {
            rooms.remove(&room.address);
            self.own_actors.fetch_sub(1, Relaxed);
        }
        if mailbox.armed != NEVER {
            mailbox.armed = NEVER;
            self.alarms.note_stale();
        }
    }

    fn table(&self, address: Address) -> &Table {
        &self.tables[(address.key().unwrap_or_default().0 % self.tables.len() as u128) as usize]
    }

    fn nobody(self: &Arc<Self>, envelope: Envelope) {
        let kind = envelope.to.kind();
        self.give_back(envelope, Fault::new(FaultKind::NoSuchActor, kind));
    }

    fn overload(self: &Arc<Self>, envelope: Envelope, what: &'static str) {
        self.totals.overloads.add(1);
        self.give_back(envelope, Fault::new(FaultKind::Overload, what).retry(true));
    }

    fn give_back(self: &Arc<Self>, envelope: Envelope, fault: Fault) {
        debug!(to = ?envelope.to, letter = envelope.letter.kind(), fault = ?fault.kind, "undeliverable");
        if let Some(desk) = &self.office {
            desk.office.refused(&envelope);
        }
        if envelope.thread == Thread::NONE || matches!(envelope.letter, Letter::Returned(_)) {
            self.totals.dropped.add(1);
            return;
        }
        self.totals.returned.add(1);
        let mut answer = envelope.answer(Letter::Returned(fault));
        answer.hops = answer.hops.min(HOPS_MAX);
        self.post_one(answer);
    }

    pub fn hive_rooms(&self) -> impl Iterator<Item = &Arc<Room>> {
        self.keyed.iter().flat_map(|quarters| match quarters {
            Quarters::Hive(rooms) => rooms.as_slice(),
            Quarters::Own | Quarters::Seat => &[],
        })
    }

    pub fn staff(&self) -> MutexGuard<'_, Staff> {
        self.staff.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn counters(&self) -> Counters {
        let mut machines = BTreeMap::<&'static str, u64>::new();
        let (mut parked, mut waiting) = (0, 0);
        for table in &self.tables {
            for room in read(table).values() {
                let mailbox = room.lock();
                *machines.entry(room.address.kind()).or_default() += 1;
                parked += u64::from(mailbox.parked);
                waiting += mailbox.letters.len() as u64;
            }
        }
        let seats: Vec<Arc<Room>> = read(&self.seats)
            .values()
            .filter_map(|seat| match seat {
                Seat::Room(room) => Some(room.clone()),
                Seat::Port(_) => None,
            })
            .collect();
        for room in seats.iter().chain(self.hive_rooms()) {
            *machines.entry(room.address.kind()).or_default() += room.machines() as u64;
            waiting += room.lock().letters.len() as u64;
        }
        let totals = &self.totals;
        Counters {
            letters: totals.letters(),
            machines: machines.into_iter().collect(),
            parked,
            panics: totals.panics.get(),
            restarts: totals.restarts.get(),
            returned: totals.returned.get(),
            dropped: totals.dropped.get(),
            overloads: totals.overloads.get(),
            loops: totals.loops.get(),
            founded: totals.founded.get(),
            parkings: totals.parked.get(),
            unparkings: totals.unparked.get(),
            wakes: totals.wakes.get(),
            mailbox_letters: waiting,
            mailbox_letters_max: totals.depth_max(),
            alarms: self.alarms.len() as u64,
        }
    }
}

fn quarters(founder: &Arc<dyn Founder>, sample: Address, settings: &Settings) -> Quarters {
    match founder.housing(sample) {
        Housing::Own => Quarters::Own,
        Housing::Resident | Housing::Port => Quarters::Seat,
        Housing::Hive(shards) => Quarters::Hive(
            (0..u128::from(shards.max(1)))
                .map(|shard| {
                    let hive = Hive::new(founder.clone(), HiveSettings { machines_max: settings.hive_machines_max });
                    let (house, tenant) = (House::Hive(Box::default()), Tenant::Hive(Box::new(hive)));
                    Arc::new(Room::new(shard_of(sample, shard), house, settings.mailbox_letters_max, tenant))
                })
                .collect(),
        ),
    }
}

fn shard_of(sample: Address, shard: u128) -> Address {
    match sample {
        Address::Call(_) => Address::Call(Key(shard)),
        Address::Media(_) => Address::Media(Key(shard)),
        Address::Location(_) => Address::Location(shard as u16),
        _ => Address::Registration(Key(shard)),
    }
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Looks for a room that does not close under our hands, count.
const CLOSED_RETRIES: usize = 8;
