//! The exchange as ports and the node see it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fabric::letters::control::Description;
use fabric::{Address, Clock, Envelope, Fault, FaultKind, Founder, Housing, Letter, NodeId, Parcel, Post};
use office::Office;
use ractor::ActorRuntime;
use tokio::sync::oneshot;

use crate::alarms;
use crate::counters::Counters;
use crate::desk::{self, Inside};
use crate::room::{House, Room, Tenant};
use crate::settings::Settings;
use crate::supervisor::{Order, Supervisor};
use crate::switchboard::{Inner, Seat, Staff, read, write};

/// The exchange of a node; cheap to clone, and `Post` for every port.
#[derive(Clone)]
pub struct Exchange {
    inner: Arc<Inner>,
}

/// A resident could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The founder knows nobody of this address, or does not house it as a resident.
    Unknown(Address),
    /// It has been started before.
    Twice(Address),
    /// The exchange has been stopped.
    Stopped,
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Unknown(address) => write!(f, "nobody can be founded at {address:?}"),
            StartError::Twice(address) => write!(f, "{address:?} has been started already"),
            StartError::Stopped => write!(f, "the exchange has been stopped"),
        }
    }
}

impl std::error::Error for StartError {}

impl Exchange {
    /// Opens an exchange with its alarm clock and supervisor. Must be called inside a tokio runtime.
    pub fn new(node: NodeId, founder: Arc<dyn Founder>, clock: Arc<dyn Clock>, settings: Settings) -> Exchange {
        Exchange::open(Inner::new(node, founder, None, clock, settings))
    }

    /// The same for a node that is not alone: the office founds, routes, and gets its time here.
    pub fn with_office(node: NodeId, office: Arc<Office>, clock: Arc<dyn Clock>, settings: Settings) -> Exchange {
        Exchange::open(Inner::new(node, office.founder(), Some(office), clock, settings))
    }

    fn open(inner: Inner) -> Exchange {
        let inner = Arc::new(inner);
        let (supervisor, _) = ActorRuntime::spawn_instant(None, Supervisor { exchange: inner.clone() }, ())
            .expect("an actor without a name cannot collide with another");
        for room in inner.hive_rooms() {
            supervisor.cast(Order::Start(room.clone(), None)).expect("the supervisor has just been started");
        }
        let clock = tokio::spawn(alarms::run(inner.clone()));
        let office = inner.office.as_ref().map(|desk| {
            desk.office.set_local(Arc::new(Inside(Arc::downgrade(&inner))));
            tokio::spawn(desk::run(inner.clone()))
        });
        *inner.staff() = Staff { supervisor: Some(supervisor), clock: Some(clock), office };
        Exchange { inner }
    }

    /// A parcel for the office has come from another node.
    pub fn receive(&self, from: NodeId, parcel: Parcel) {
        self.receive_all(from, &mut vec![parcel]);
    }

    /// Parcels that have come together; what they ask for is answered together.
    pub fn receive_all(&self, from: NodeId, parcels: &mut Vec<Parcel>) {
        let Some(desk) = &self.inner.office else { return parcels.clear() };
        let is_table =
            |parcel: &Parcel| matches!(parcel, Parcel::Mail { mail, .. } if matches!(mail.letter, Letter::Table(_)));
        // A table may ask for something at once.
        let stirs = parcels.iter().any(is_table);
        desk.office.receive_all(from, parcels, self.inner.clock.now());
        if stirs {
            desk.stir.notify_one();
        }
    }

    /// A session with another node has begun or ended.
    pub fn on_link(&self, node: NodeId, up: bool) {
        if let Some(desk) = &self.inner.office {
            desk.office.on_link(node, up, self.inner.clock.now());
            desk.stir.notify_one();
        }
    }

    /// Letters to `address` go to `port` from now on.
    pub fn register_port(&self, address: Address, port: Arc<dyn Post>) {
        write(&self.inner.seats).insert(address, Seat::Port(port));
    }

    /// Founds a resident and wakes it once; returns when it runs.
    pub async fn start_resident(&self, address: Address) -> Result<(), StartError> {
        let inner = &self.inner;
        if inner.founder.housing(address) != Housing::Resident {
            return Err(StartError::Unknown(address));
        }
        let machine = inner.found(address, &Letter::Describe).ok_or(StartError::Unknown(address))?;
        let tenant = Tenant::Machine(machine);
        let room = Arc::new(Room::new(address, House::Resident, inner.settings.mailbox_letters_max, tenant));
        {
            let mut seats = write(&inner.seats);
            if seats.contains_key(&address) {
                return Err(StartError::Twice(address));
            }
            seats.insert(address, Seat::Room(room.clone()));
        }
        let (done, started) = oneshot::channel();
        let supervisor = inner.staff().supervisor.clone().ok_or(StartError::Stopped)?;
        supervisor.cast(Order::Start(room, Some(done))).map_err(|_| StartError::Stopped)?;
        started.await.map_err(|_| StartError::Stopped)
    }

    /// Asks from the control plane and waits; a time-out and an undeliverable question come as `Returned`.
    pub async fn ask(&self, to: Address, letter: Letter, timeout: Duration) -> Letter {
        let inner = &self.inner;
        let Some((thread, answer)) = inner.asks.open(inner.settings.asks_max) else {
            return Letter::Returned(Fault::new(FaultKind::Overload, "too many open questions"));
        };
        self.post(Envelope::ask(Address::Control(inner.node), to, thread, letter));
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(letter)) => letter,
            Ok(Err(_)) | Err(_) => {
                inner.asks.close(thread);
                Letter::Returned(Fault::timeout(to.kind()))
            }
        }
    }

    /// What the machine at this address is doing; `None` when it does not say.
    pub async fn describe(&self, to: Address, timeout: Duration) -> Option<Description> {
        match self.ask(to, Letter::Describe, timeout).await {
            Letter::Described(description) => Some(*description),
            _ => None,
        }
    }

    /// Addresses of all machines of a kind (`Address::kind`), in order.
    pub async fn addresses(&self, kind: &str) -> Vec<Address> {
        let inner = &self.inner;
        let mut all: Vec<Address> = Vec::new();
        for table in &inner.tables {
            all.extend(read(table).keys().filter(|address| address.kind() == kind));
        }
        all.extend(
            read(&inner.seats)
                .iter()
                .filter(|(address, seat)| matches!(seat, Seat::Room(_)) && address.kind() == kind)
                .map(|(address, _)| *address),
        );
        for room in inner.hive_rooms().filter(|room| room.address.kind() == kind) {
            let House::Hive(shard) = &room.house else {
                continue;
            };
            let (sender, receiver) = oneshot::channel();
            shard.roll_calls.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
            inner.ring(room, &mut room.lock());
            all.extend(receiver.await.unwrap_or_default());
        }
        all.sort_unstable();
        all
    }

    /// Reads all counters.
    pub fn counters(&self) -> Counters {
        self.inner.counters()
    }

    /// The clock that rooms of this exchange live by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.inner.clock.clone()
    }

    /// Lets waiting letters be handled (a second at most), then ends all actors.
    pub async fn stop(&self) {
        let inner = &self.inner;
        for _ in 0..FLUSH_ROUNDS {
            if inner.counters().mailbox_letters == 0 {
                break;
            }
            tokio::time::sleep(FLUSH_PAUSE).await;
        }
        inner.stopping.store(true, Relaxed);
        let staff = std::mem::take(&mut *inner.staff());
        staff.clock.iter().chain(&staff.office).for_each(|task| task.abort());
        if let Some(supervisor) = staff.supervisor {
            supervisor.get_cell().stop_children(None);
            // An actor that does not stop in time is left to the runtime's end.
            let _ = supervisor.stop_and_wait(None, Some(Duration::from_secs(1))).await;
        }
        for table in &inner.tables {
            for (_, room) in write(table).drain() {
                let mut mailbox = room.lock();
                mailbox.closed = true;
                mailbox.tenant = None;
                if let Some(actor) = mailbox.actor.take() {
                    actor.stop(None);
                }
            }
        }
        inner.own_actors.store(0, Relaxed);
        write(&inner.seats).clear();
    }
}

impl Post for Exchange {
    fn post(&self, envelope: Envelope) {
        self.inner.post_one(envelope);
    }
}

/// How long `stop` lets letters be handled.
const FLUSH_ROUNDS: usize = 200;
const FLUSH_PAUSE: Duration = Duration::from_millis(5);
