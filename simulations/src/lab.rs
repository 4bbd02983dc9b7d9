//! The lab: hosts the machines of one node on one heap of events. No actors, no runtime, no clock but the events' own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fabric::envelope::HOPS_MAX;
use fabric::hash::FixedMap;
use fabric::letter::undeliverable;
use fabric::{Address, Envelope, Fault, FaultKind, Founder, Housing, Instant, Letter, Machine, Now, Outbox};

use crate::dice::Dice;
use crate::judges::{Remains, finish};
use crate::plan::{Menu, Plan, START_UNIX_MS};
use crate::report::Report;
use crate::switch;
use crate::world::World;

/// Spoils letters that rooms post, to see whether the judges notice.
pub type Saboteur = Box<dyn FnMut(Envelope, u64) -> Vec<Envelope>>;

pub struct Lab {
    world: World,
    founder: Arc<dyn Founder>,
    rooms: FixedMap<Address, Room>,
    alarms: BinaryHeap<Reverse<(u64, Address)>>,
    queue: VecDeque<Envelope>,
    out: Outbox,
    now_ms: u64,
    dice: Dice,
    remains: Remains,
    saboteur: Option<Saboteur>,
    letters: u64,
    killed: u64,
    /// Alarms since time last moved.
    spins: u32,
}

struct Room {
    machine: Box<dyn Machine>,
    /// The alarm that stands in the heap, milliseconds.
    armed: Option<u64>,
}

/// Runs one seed of a menu.
pub fn run_seed(seed: u64, menu: &Menu) -> Report {
    let plan = Arc::new(Plan::new(seed, menu));
    Lab::new(plan.clone(), switch::founder(&plan)).run()
}

/// The same with the ladder of what went wrong.
pub fn run_with_ladder(seed: u64, menu: &Menu) -> Report {
    let plan = Arc::new(Plan::new(seed, menu));
    let mut lab = Lab::new(plan.clone(), switch::founder(&plan));
    lab.world.book.keep_ladder();
    lab.run()
}

impl Lab {
    pub fn new(plan: Arc<Plan>, founder: Arc<dyn Founder>) -> Lab {
        let home = switch::home(&plan);
        Lab {
            dice: Dice::named(plan.seed, &[b"lab"]),
            world: World::new(plan, home),
            founder,
            rooms: FixedMap::default(),
            alarms: BinaryHeap::new(),
            queue: VecDeque::new(),
            out: Outbox::new(Address::Nobody),
            now_ms: 0,
            remains: Remains::default(),
            saboteur: None,
            letters: 0,
            killed: 0,
            spins: 0,
        }
    }

    pub fn sabotage(mut self, saboteur: Saboteur) -> Lab {
        self.saboteur = Some(saboteur);
        self
    }

    /// Runs to the end and judges.
    pub fn run(mut self) -> Report {
        for address in switch::residents() {
            self.found(address, &Letter::Describe);
            self.step(address, |machine, now, out| machine.wake(now, out));
        }
        self.drain();
        loop {
            let alarm = self.alarms.peek().map(|Reverse((at, _))| *at);
            let Some(event) = self.world.next_ms() else { break };
            match alarm {
                Some(at) if at <= event => {
                    self.spins = if at > self.now_ms { 0 } else { self.spins + 1 };
                    self.now_ms = self.now_ms.max(at);
                    self.alarm();
                }
                _ => {
                    self.now_ms = self.now_ms.max(event);
                    self.queue.extend(self.world.step());
                }
            }
            self.drain();
        }
        self.report()
    }

    fn now(&self) -> Now {
        Now { instant: Instant(self.now_ms * 1_000), unix_ms: START_UNIX_MS + self.now_ms }
    }

    fn alarm(&mut self) {
        let Some(Reverse((at, address))) = self.alarms.pop() else { return };
        let Some(room) = self.rooms.get_mut(&address).filter(|room| room.armed == Some(at)) else { return };
        room.armed = None;
        if self.spins > SPINS_MAX {
            self.remains.panics.push(format!(
                "{} at {} ms: wants to be woken without end",
                address.kind(),
                self.now_ms
            ));
            self.rooms.remove(&address);
            return;
        }
        if room.machine.deadline().is_some_and(|due| due_ms(due) <= self.now_ms) {
            self.step(address, |machine, now, out| machine.wake(now, out));
        } else {
            self.settle(address);
        }
    }

    fn drain(&mut self) {
        while let Some(envelope) = self.queue.pop_front() {
            self.remains.letters_max = self.remains.letters_max.max(self.queue.len() + 1);
            self.letters += 1;
            if envelope.hops > HOPS_MAX {
                self.remains.loops += 1;
                self.give_back(envelope, FaultKind::Loop);
                continue;
            }
            match self.founder.housing(envelope.to) {
                Housing::Port => self.world.take(envelope, self.now_ms),
                _ => self.deliver(envelope),
            }
        }
    }

    fn deliver(&mut self, mail: Envelope) {
        let address = mail.to;
        if !self.rooms.contains_key(&address) && !self.found(address, &mail.letter) {
            return self.give_back(mail, FaultKind::NoSuchActor);
        }
        if self.kills(&mail) {
            return;
        }
        // A due deadline comes before the next letter, as in the shell.
        let due = self.rooms.get(&address).and_then(|room| room.machine.deadline());
        if due.is_some_and(|due| due <= self.now().instant) {
            self.step(address, |machine, now, out| machine.wake(now, out));
        }
        if !self.rooms.contains_key(&address) && !self.found(address, &mail.letter) {
            return self.give_back(mail, FaultKind::NoSuchActor);
        }
        self.out.open(address, Some(&mail));
        self.step_open(address, |machine, now, out| machine.handle(mail, now, out));
    }

    /// Whether the plan wants this machine to die by this letter.
    fn kills(&mut self, mail: &Envelope) -> bool {
        let per_million = self.world.plan.panic_per_million;
        let Letter::SipIn(sip_in) = &mail.letter else { return false };
        if per_million == 0 || !matches!(mail.to, Address::Call(_)) || self.dice.roll() % 1_000_000 >= per_million {
            return false;
        }
        let view = sip_in.message.view();
        let call_id = view.call_id().unwrap_or_default();
        if self.world.book.attempt_of(call_id).is_none() {
            return false;
        }
        self.world.book.killed(call_id);
        self.rooms.remove(&mail.to);
        self.killed += 1;
        true
    }

    fn found(&mut self, address: Address, letter: &Letter) -> bool {
        let now = self.now();
        match self.founder.found(address, letter, now) {
            Some(machine) => {
                self.rooms.insert(address, Room { machine, armed: None });
                true
            }
            None => false,
        }
    }

    fn step(&mut self, address: Address, step: impl FnOnce(&mut dyn Machine, Now, &mut Outbox)) {
        self.out.open(address, None);
        self.step_open(address, step);
    }

    fn step_open(&mut self, address: Address, step: impl FnOnce(&mut dyn Machine, Now, &mut Outbox)) {
        let now = self.now();
        let Some(room) = self.rooms.get_mut(&address) else { return };
        let (machine, out) = (room.machine.as_mut(), &mut self.out);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| step(machine, now, out))) {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            self.remains.panics.push(format!("{} at {} ms: {text}", address.kind(), self.now_ms));
            self.rooms.remove(&address);
            self.out.take();
            return;
        }
        let now_ms = self.now_ms;
        match &mut self.saboteur {
            None => self.queue.extend(self.out.drain()),
            Some(saboteur) => {
                for envelope in self.out.take() {
                    self.queue.extend(saboteur(envelope, now_ms));
                }
            }
        }
        self.settle(address);
    }

    fn settle(&mut self, address: Address) {
        let Some(room) = self.rooms.get_mut(&address) else { return };
        if room.machine.is_idle() && self.founder.housing(address) != Housing::Resident {
            self.rooms.remove(&address);
            return;
        }
        let Some(due) = room.machine.deadline() else { return };
        let due = due_ms(due).max(self.now_ms);
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

    fn report(mut self) -> Report {
        let count = |kind: &str| self.rooms.keys().filter(|address| address.kind() == kind).count();
        self.remains.calls = count("call");
        self.remains.media = count("media");
        self.remains.registrations = count("registration");
        self.remains.relay_sessions = self.world.relay.names();
        // The session of a killed call ends by its own age.
        let killed = self.killed as usize;
        self.remains.media = self.remains.media.saturating_sub(killed);
        if self.remains.relay_sessions.len() <= killed {
            self.remains.relay_sessions.clear();
        }
        finish(&mut self.world.book, &self.remains);
        Report::of(self.world, self.letters, self.killed)
    }
}

/// Alarms at one moment that are still believable, count.
const SPINS_MAX: u32 = 10_000;

/// Alarm clocks tick in milliseconds and are never early.
fn due_ms(due: Instant) -> u64 {
    due.0.div_ceil(1_000)
}
