//! A room: the mailbox of one machine or hive shard, and the machine itself while no actor runs it.
//!
//! Letters wait here, bounded, and the actor is rung once for all of them: ractor's own mailbox has no limit and costs
//! more a letter than this one. A parked call is a room without an actor.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fabric::{Address, Envelope, Hive, Instant, Machine};
use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::actor::Bell;

pub(crate) struct Room {
    /// The machine's address; of a hive shard only the kind counts.
    pub address: Address,
    pub house: House,
    letters_max: usize,
    mailbox: Mutex<Mailbox>,
}

pub(crate) enum House {
    /// One machine, parked while quiet and gone when idle.
    Own,
    /// One machine that is founded again when it dies.
    Resident,
    Hive(Box<Shard>),
}

/// What only a hive shard has.
#[derive(Default)]
pub(crate) struct Shard {
    pub machines: AtomicUsize,
    pub roll_calls: Mutex<Vec<oneshot::Sender<Vec<Address>>>>,
}

/// What an actor runs.
pub(crate) enum Tenant {
    Machine(Box<dyn Machine>),
    Hive(Box<Hive>),
}

impl Tenant {
    pub fn machine(&mut self) -> &mut dyn Machine {
        match self {
            Tenant::Machine(machine) => machine.as_mut(),
            Tenant::Hive(hive) => hive.as_mut(),
        }
    }
}

pub(crate) struct Mailbox {
    pub letters: VecDeque<Envelope>,
    /// The actor knows that there is something to do.
    pub rung: bool,
    /// The actor was given back while nothing happened.
    pub parked: bool,
    /// The machine has ended; look again, another may have been founded.
    pub closed: bool,
    pub actor: Option<ActorRef<Bell>>,
    /// The machine, while no actor has it.
    pub tenant: Option<Tenant>,
    /// When the machine wants to be woken; `NEVER` when it does not.
    pub due: Instant,
    /// The earliest alarm that stands in the clock for this room; `NEVER` when none.
    pub armed: Instant,
}

pub(crate) const NEVER: Instant = Instant(u64::MAX);

/// Why a letter was not taken.
pub(crate) enum Refused {
    Full(Envelope),
    Closed(Envelope),
}

impl Room {
    pub fn new(address: Address, house: House, letters_max: usize, tenant: Tenant) -> Room {
        let mailbox = Mailbox {
            letters: VecDeque::new(),
            rung: false,
            parked: false,
            closed: false,
            actor: None,
            tenant: Some(tenant),
            due: NEVER,
            armed: NEVER,
        };
        Room { address, house, letters_max, mailbox: Mutex::new(mailbox) }
    }

    pub fn lock(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_own(&self) -> bool {
        matches!(self.house, House::Own)
    }

    pub fn machines(&self) -> usize {
        match &self.house {
            House::Own | House::Resident => 1,
            House::Hive(shard) => shard.machines.load(Relaxed),
        }
    }

    /// Puts a letter in; the guard comes back for ringing, with the number of letters that wait.
    #[expect(clippy::result_large_err, reason = "a refused letter goes back as it is, and seldom")]
    pub fn put(&self, envelope: Envelope) -> Result<MutexGuard<'_, Mailbox>, Refused> {
        let mut mailbox = self.lock();
        if mailbox.closed {
            return Err(Refused::Closed(envelope));
        }
        if mailbox.letters.len() >= self.letters_max {
            return Err(Refused::Full(envelope));
        }
        mailbox.letters.push_back(envelope);
        Ok(mailbox)
    }
}

impl Mailbox {
    /// Gives spare memory back before a long silence.
    pub fn shrink(&mut self) {
        self.letters.shrink_to_fit();
    }
}
