//! What a node has on disk: the director's journal and the outbox of records. Survives a crash unless the disk is lost.

use std::collections::BTreeMap;

use fabric::letters::cluster::JournalEntry;
use fabric::letters::record::Record;

use crate::dice::Dice;

#[derive(Default)]
pub struct Disk {
    journal: Vec<JournalEntry>,
    /// Written, not synced: lost by a crash, or not.
    wet: Vec<Wet>,
    /// Records by number, until the central store has them.
    outbox: BTreeMap<u64, Record>,
    next: u64,
    /// fsync takes so much longer, microseconds.
    pub stall_us: u64,
    /// The last fsync ends then: they queue.
    free_at: u64,
}

enum Wet {
    Journal(u64, Vec<JournalEntry>),
    Record(u64, Box<Record>),
}

impl Disk {
    /// Writes to the journal; a ticket, and when it is durable.
    pub fn write_journal(&mut self, entries: Vec<JournalEntry>, now: u64, dice: &mut Dice) -> (u64, u64) {
        let ticket = self.ticket();
        self.wet.push(Wet::Journal(ticket, entries));
        (ticket, self.sync(now, dice))
    }

    /// Appends a record.
    pub fn write_record(&mut self, record: Record, now: u64, dice: &mut Dice) -> (u64, u64) {
        let ticket = self.ticket();
        self.wet.push(Wet::Record(ticket, Box::new(record)));
        (ticket, self.sync(now, dice))
    }

    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn sync(&mut self, now: u64, dice: &mut Dice) -> u64 {
        let took = dice.between(100, 900) + self.stall_us;
        // Group commit: what waits together is synced together.
        self.free_at = self.free_at.max(now + took).min(now + 2 * took);
        self.free_at
    }

    /// An fsync has ended: everything up to this ticket is durable.
    pub fn synced(&mut self, ticket: u64) {
        let wet = std::mem::take(&mut self.wet);
        for one in wet {
            match one {
                Wet::Journal(number, entries) if number <= ticket => self.apply(entries),
                Wet::Record(number, record) if number <= ticket => {
                    self.outbox.insert(number, *record);
                }
                later => self.wet.push(later),
            }
        }
    }

    fn apply(&mut self, entries: Vec<JournalEntry>) {
        for entry in entries {
            match &entry {
                JournalEntry::Hard(_) => self.journal.retain(|old| !matches!(old, JournalEntry::Hard(_))),
                JournalEntry::Log(index, _) => {
                    self.journal.retain(|old| !matches!(old, JournalEntry::Log(other, _) if other >= index));
                }
                JournalEntry::Snapshot(index, _) => self.journal.retain(|old| match old {
                    JournalEntry::Log(other, _) => other > index,
                    JournalEntry::Snapshot(..) => false,
                    JournalEntry::Hard(_) => true,
                }),
            }
            self.journal.push(entry);
        }
    }

    pub fn journal(&self) -> Vec<JournalEntry> {
        self.journal.clone()
    }

    /// Power has gone: what was not synced has reached the platter or has not, in order.
    pub fn crash(&mut self, dice: &mut Dice) {
        let kept = dice.below(self.wet.len() + 1);
        let wet: Vec<Wet> = std::mem::take(&mut self.wet);
        for one in wet.into_iter().take(kept) {
            match one {
                Wet::Journal(_, entries) => self.apply(entries),
                Wet::Record(number, record) => {
                    self.outbox.insert(number, *record);
                }
            }
        }
        self.free_at = 0;
    }

    pub fn lose(&mut self) {
        *self = Disk { next: self.next, stall_us: self.stall_us, ..Disk::default() };
    }

    /// Takes what waits for the central store, at most so many.
    pub fn waiting(&self, most: usize) -> Vec<(u64, Record)> {
        self.outbox.iter().take(most).map(|(number, record)| (*number, record.clone())).collect()
    }

    pub fn shipped(&mut self, number: u64) {
        self.outbox.remove(&number);
    }
}
