//! Where a shard keeps its records: slots by number, an index by hash, and alarms in whole seconds.
//! Nothing is stored twice: the index reads the address-of-record out of the record itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;

use fabric::hash::Fixed;
use hashbrown::HashTable;

use crate::record::Record;

/// The records of one shard.
#[derive(Debug, Default)]
pub struct Shelf {
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: HashTable<u32>,
    /// Second since the node's start, and slot.
    alarms: BinaryHeap<Reverse<(u32, u32)>>,
}

#[derive(Debug, Default)]
struct Slot {
    record: Option<Record>,
    /// The alarm in the heap that counts for this slot, seconds since the node's start; 0 when there is none.
    armed_s: u32,
}

impl Shelf {
    pub fn new() -> Shelf {
        Shelf::default()
    }

    /// Addresses-of-record with a record.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub fn get(&self, aor: &str) -> Option<&Record> {
        self.place(aor).and_then(|slot| self.slots[slot as usize].record.as_ref())
    }

    /// Puts a record in place of the one with the same address-of-record, and wakes for it at `due_ms` if any.
    ///
    /// Milliseconds since the node's start; rounded up to a second.
    pub fn put(&mut self, record: Record, due_ms: Option<u64>) {
        let slot = match self.place(record.aor()) {
            Some(slot) => slot,
            None => self.insert(record.aor()),
        };
        self.slots[slot as usize].record = Some(record);
        if let Some(due_ms) = due_ms {
            self.arm(slot, u32::try_from(due_ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1));
        }
    }

    pub fn remove(&mut self, aor: &str) {
        let Some(slot) = self.place(aor) else { return };
        let slots = &self.slots;
        let found = self.index.find_entry(hash(aor), |other| *other == slot && slots[*other as usize].record.is_some());
        if let Ok(entry) = found {
            entry.remove();
        }
        self.slots[slot as usize].record = None;
        self.free.push(slot);
    }

    /// Takes the next alarm that is due, and names the record it is for.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<Box<str>> {
        while let Some(Reverse((due_s, slot))) = self.alarms.peek().copied() {
            if u64::from(due_s) * 1_000 > now_ms {
                return None;
            }
            self.alarms.pop();
            let place = &mut self.slots[slot as usize];
            if place.armed_s != due_s {
                continue;
            }
            place.armed_s = 0;
            if let Some(record) = &place.record {
                return Some(record.aor().into());
            }
        }
        None
    }

    /// When `pop_due` is worth a call, milliseconds since the node's start.
    pub fn earliest_ms(&self) -> Option<u64> {
        self.alarms.peek().map(|Reverse((due_s, _))| u64::from(*due_s) * 1_000)
    }

    /// All records, by slot.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.slots.iter().filter_map(|slot| slot.record.as_ref())
    }

    fn place(&self, aor: &str) -> Option<u32> {
        let slots = &self.slots;
        let is_it = |slot: &u32| slots[*slot as usize].record.as_ref().is_some_and(|record| record.aor() == aor);
        self.index.find(hash(aor), is_it).copied()
    }

    fn insert(&mut self, aor: &str) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("records_max is a u32")
        });
        let slots = &self.slots;
        let rehash = |slot: &u32| slots[*slot as usize].record.as_ref().map_or(0, |record| hash(record.aor()));
        self.index.insert_unique(hash(aor), slot, rehash);
        slot
    }

    fn arm(&mut self, slot: u32, due_s: u32) {
        let place = &mut self.slots[slot as usize];
        if place.armed_s != 0 && place.armed_s <= due_s {
            return;
        }
        place.armed_s = due_s;
        self.alarms.push(Reverse((due_s, slot)));
        // Alarms that were moved forward stay in the heap until they are due; a client must not pile them up.
        if self.alarms.len() > 2 * self.slots.len() + ALARMS_SPARE {
            let armed = self.slots.iter().enumerate().filter(|(_, slot)| slot.armed_s != 0);
            self.alarms = armed.map(|(number, slot)| Reverse((slot.armed_s, number as u32))).collect();
        }
    }
}

/// Alarms that a small shelf may hold beyond two a slot, count.
const ALARMS_SPARE: usize = 64;

fn hash(aor: &str) -> u64 {
    Fixed.hash_one(aor)
}

#[cfg(test)]
mod tests;
