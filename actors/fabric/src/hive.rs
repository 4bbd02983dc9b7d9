//! A hive: one machine that hosts many small keyed ones, because an actor of its own costs kilobytes each.
//! Letters go by `Envelope::to`; machines are founded by the node's `Founder` and end when they are idle.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::hash::FixedMap;
use crate::letter::undeliverable;
use crate::{Address, Envelope, Fault, FaultKind, Founder, Instant, Machine, Now, Outbox};

/// Hosts the machines of one shard.
pub struct Hive {
    founder: Arc<dyn Founder>,
    cells: FixedMap<Address, Cell>,
    alarms: BinaryHeap<Reverse<(Instant, Address)>>,
    /// Alarms that will never matter: their machine has ended or was armed for an earlier moment.
    stale: usize,
    settings: HiveSettings,
    /// Machines that died by a panic since the start.
    pub lost: u64,
}

/// Limits of a hive.
#[derive(Clone, Copy, Debug)]
pub struct HiveSettings {
    /// Most machines in one hive, count; a letter that would found another comes back as `Overload`.
    pub machines_max: usize,
}

impl Default for HiveSettings {
    fn default() -> Self {
        HiveSettings { machines_max: 1_000_000 }
    }
}

struct Cell {
    machine: Box<dyn Machine>,
    /// The alarm that stands in the heap for this machine, if any.
    armed: Option<Instant>,
}

impl Hive {
    pub fn new(founder: Arc<dyn Founder>, settings: HiveSettings) -> Hive {
        Hive { founder, cells: FixedMap::default(), alarms: BinaryHeap::new(), stale: 0, settings, lost: 0 }
    }

    /// Machines in the hive.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Addresses of the machines, in address order.
    pub fn addresses(&self) -> Vec<Address> {
        let mut all: Vec<Address> = self.cells.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Takes in a machine that lived elsewhere.
    pub fn put(&mut self, address: Address, machine: Box<dyn Machine>) {
        self.forget(address);
        let mut cell = Cell { machine, armed: None };
        if !cell.machine.is_idle() {
            arm(&mut cell, address, &mut self.alarms, &mut self.stale);
            self.cells.insert(address, cell);
        }
    }

    /// Gives a machine out to live elsewhere.
    pub fn take(&mut self, address: Address) -> Option<Box<dyn Machine>> {
        self.forget(address)
    }

    pub fn contains(&self, address: Address) -> bool {
        self.cells.contains_key(&address)
    }

    fn run(&mut self, address: Address, out: &mut Outbox, step: impl FnOnce(&mut dyn Machine, &mut Outbox)) {
        let Some(cell) = self.cells.get_mut(&address) else { return };
        let machine = cell.machine.as_mut();
        // A panic is our own mistake: this machine is lost, its neighbours are not.
        let lost = catch_unwind(AssertUnwindSafe(|| step(machine, out))).is_err();
        self.lost += u64::from(lost);
        if lost || cell.machine.is_idle() {
            self.forget(address);
        } else {
            arm(cell, address, &mut self.alarms, &mut self.stale);
        }
    }

    fn forget(&mut self, address: Address) -> Option<Box<dyn Machine>> {
        let cell = self.cells.remove(&address)?;
        if cell.armed.is_some() {
            self.stale += 1;
            self.sweep();
        }
        Some(cell.machine)
    }

    /// Throws stale alarms out when they are the majority.
    fn sweep(&mut self) {
        if self.stale > STALE_MIN && self.stale * 2 > self.alarms.len() {
            let cells = &self.cells;
            self.alarms
                .retain(|Reverse((due, address))| cells.get(address).is_some_and(|cell| cell.armed == Some(*due)));
            self.stale = 0;
        }
    }
}

/// Sets the alarm of a machine, unless an earlier one stands.
fn arm(cell: &mut Cell, address: Address, alarms: &mut BinaryHeap<Reverse<(Instant, Address)>>, stale: &mut usize) {
    let Some(due) = cell.machine.deadline() else { return };
    if cell.armed.is_none_or(|armed| due < armed) {
        *stale += usize::from(cell.armed.is_some());
        cell.armed = Some(due);
        alarms.push(Reverse((due, address)));
    }
}

/// Wakes that may follow from wakes in one go, count.
const WAKES_MORE: usize = 64;

/// Stale alarms that are not worth a sweep, count.
const STALE_MIN: usize = 1024;

impl Machine for Hive {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        let address = mail.to;
        out.open(address, Some(&mail));
        if !self.cells.contains_key(&address) {
            if self.cells.len() >= self.settings.machines_max {
                undeliverable(mail, Fault::new(FaultKind::Overload, "hive is full"), out);
                return;
            }
            match self.founder.found(address, &mail.letter, now) {
                Some(machine) => {
                    self.cells.insert(address, Cell { machine, armed: None });
                }
                None => {
                    undeliverable(mail, Fault::new(FaultKind::NoSuchActor, address.kind()), out);
                    return;
                }
            }
        }
        self.run(address, out, |machine, out| machine.handle(mail, now, out));
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        // A machine that wants to be woken at once and again must not stop the others: the host comes back.
        for _ in 0..self.alarms.len() + WAKES_MORE {
            let Some(Reverse((due, address))) = self.alarms.peek().copied() else { break };
            if due > now.instant {
                break;
            }
            self.alarms.pop();
            let Some(cell) = self.cells.get_mut(&address).filter(|cell| cell.armed == Some(due)) else {
                self.stale = self.stale.saturating_sub(1);
                continue;
            };
            cell.armed = None;
            if cell.machine.deadline().is_some_and(|due| due <= now.instant) {
                out.open(address, None);
                self.run(address, out, |machine, out| machine.wake(now, out));
            } else {
                arm(cell, address, &mut self.alarms, &mut self.stale);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.alarms.peek().map(|Reverse((due, _))| *due)
    }

    fn is_idle(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
