//! What a node has on disk: the director's journal and the outbox of records. Survives a crash unless the disk is lost; of
//! what a crash caught in mid-write half a frame may stand there, and what reads it is what nodes read it with.

use std::collections::BTreeMap;

use fabric::frame;
use fabric::letters::cluster::JournalEntry;
use fabric::letters::record::Record;

use crate::dice::Dice;

#[derive(Default)]
pub struct Disk {
    /// As the file holds it: everything since the last snapshot, in the order of writing.
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
    /// Power goes in the middle of the next write, for this strike.
    pub trap: Option<usize>,
}

enum Wet {
    Journal(u64, Vec<JournalEntry>),
    Record(u64, Box<Record>),
}

/// What a crash has left of what was under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Torn {
    /// Bytes that belong to no whole frame.
    pub bytes: u64,
    pub entries_lost: usize,
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

    /// A snapshot begins a new file, which takes the place of the old one in one step.
    fn apply(&mut self, entries: Vec<JournalEntry>) {
        let from = entries.iter().rposition(|entry| matches!(entry, JournalEntry::Snapshot(..)));
        if from.is_some() {
            self.journal.clear();
        }
        self.journal.extend(entries.into_iter().skip(from.unwrap_or(0)));
    }

    pub fn journal(&self) -> Vec<JournalEntry> {
        self.journal.clone()
    }

    /// Power has gone: what was not synced has reached the platter up to any byte, maybe with a sector missing before it.
    pub fn crash(&mut self, dice: &mut Dice) -> Torn {
        let (mut journal, mut outbox) = (Vec::new(), Vec::new());
        let wet = std::mem::take(&mut self.wet);
        let written = wet.len();
        let mut kept = 0;
        for one in wet {
            let done = match one {
                // A new file takes its place when it is whole, or not at all.
                Wet::Journal(_, entries) if entries.iter().any(|entry| matches!(entry, JournalEntry::Snapshot(..))) => {
                    if dice.permille(500) {
                        kept += 1;
                        self.apply(entries);
                    }
                    break;
                }
                Wet::Journal(_, entries) => frame::put(&entries, &mut journal),
                Wet::Record(number, record) => frame::put(&(number, *record), &mut outbox),
            };
            debug_assert!(done.is_ok(), "what is written can be written");
        }
        let mut torn = Torn::default();
        tear(&mut journal, dice);
        let (found, end) = frame::all::<Vec<JournalEntry>>(&journal, BODY_BYTES_MAX);
        torn.bytes += (journal.len() - end) as u64;
        kept += found.len();
        found.into_iter().for_each(|entries| self.apply(entries));
        tear(&mut outbox, dice);
        let (found, damaged) = frame::salvage::<(u64, Record)>(&outbox, BODY_BYTES_MAX);
        torn.bytes += damaged;
        kept += found.len();
        self.outbox.extend(found);
        torn.entries_lost = written - kept;
        (self.free_at, self.trap) = (0, None);
        torn
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

/// What of these bytes was on the platter when power went.
fn tear(bytes: &mut Vec<u8>, dice: &mut Dice) {
    if bytes.is_empty() {
        return;
    }
    bytes.truncate(dice.below(bytes.len() + 1));
    // Sectors reach the platter in any order.
    if dice.permille(250) && bytes.len() > SECTOR_BYTES {
        let sector = dice.below(bytes.len() / SECTOR_BYTES) * SECTOR_BYTES;
        bytes[sector..sector + SECTOR_BYTES].fill(0);
    }
}

const SECTOR_BYTES: usize = 512;

/// Largest body that is believed, bytes.
const BODY_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests;
