//! The Raft log and state in memory, as the journal has them too.

use fabric::letters::cluster::JournalEntry;
use prost::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

/// What Raft may read: hard state, the newest snapshot, and the entries behind it without gaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub hard: HardState,
    conf: ConfState,
    pub snapshot: Snapshot,
    entries: Vec<Entry>,
}

impl Log {
    /// An empty log of these voters.
    pub fn new(voters: &[u64]) -> Log {
        let mut log = Log::default();
        log.set_voters(voters);
        log
    }

    /// The log that the journal's entries describe, oldest first; unreadable ones are left out.
    pub fn read(voters: &[u64], journal: Vec<JournalEntry>) -> Log {
        let mut log = Log::new(voters);
        for entry in journal {
            match entry {
                JournalEntry::Hard(bytes) => {
                    if let Ok(hard) = HardState::decode(bytes) {
                        log.hard = hard;
                    }
                }
                JournalEntry::Log(_, bytes) => {
                    if let Ok(entry) = Entry::decode(bytes) {
                        log.append(vec![entry]);
                    }
                }
                JournalEntry::Snapshot(_, bytes) => {
                    if let Ok(snapshot) = Snapshot::decode(bytes) {
                        log = Log::new(voters);
                        log.snapshot = snapshot;
                    }
                }
            }
        }
        log.mend();
        log
    }

    /// A journal that was cut in the middle of a write may know a term or a commit that its entries do not.
    fn mend(&mut self) {
        let last_term = self.entries.last().map_or(self.snapshot.get_metadata().term, |entry| entry.term);
        if self.hard.term < last_term {
            (self.hard.term, self.hard.vote) = (last_term, 0);
        }
        self.hard.commit = self.hard.commit.clamp(self.snapshot_index(), self.last());
    }

    pub fn set_voters(&mut self, voters: &[u64]) {
        self.conf = ConfState { voters: voters.to_vec(), ..ConfState::default() };
    }

    pub fn is_empty(&self) -> bool {
        self.last() == 0
    }

    pub fn snapshot_index(&self) -> u64 {
        self.snapshot.get_metadata().index
    }

    pub fn last(&self) -> u64 {
        self.entries.last().map_or(self.snapshot_index(), |entry| entry.index)
    }

    /// Adds entries; they replace what stands there and behind.
    pub fn append(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let first = self.snapshot_index() + 1;
            if entry.index < first || entry.index > self.last() + 1 {
                continue;
            }
            self.entries.truncate((entry.index - first) as usize);
            self.entries.push(entry);
        }
    }

    /// A snapshot that another one sent: nothing of the log remains.
    pub fn restore(&mut self, mut snapshot: Snapshot) {
        snapshot.mut_metadata().set_conf_state(self.conf.clone());
        self.hard.commit = self.hard.commit.max(snapshot.get_metadata().index);
        self.hard.term = self.hard.term.max(snapshot.get_metadata().term);
        self.snapshot = snapshot;
        self.entries.clear();
    }

    /// Puts the state at `index` in the place of the entries up to there.
    pub fn compact(&mut self, index: u64, data: Vec<u8>) {
        let Ok(term) = self.term(index) else { return };
        let drop = (index - self.snapshot_index()) as usize;
        self.entries.drain(..drop);
        let mut snapshot = Snapshot { data, ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (index, term);
        metadata.set_conf_state(self.conf.clone());
        self.snapshot = snapshot;
    }

    /// Everything, as the journal keeps it.
    pub fn written(&self) -> Vec<JournalEntry> {
        let mut journal = vec![written_snapshot(&self.snapshot)];
        journal.extend(self.entries.iter().map(written_entry));
        journal.push(written_hard(&self.hard));
        journal
    }
}

pub(crate) fn written_hard(hard: &HardState) -> JournalEntry {
    JournalEntry::Hard(hard.encode_to_vec().into())
}

pub(crate) fn written_entry(entry: &Entry) -> JournalEntry {
    JournalEntry::Log(entry.index, entry.encode_to_vec().into())
}

fn written_snapshot(snapshot: &Snapshot) -> JournalEntry {
    JournalEntry::Snapshot(snapshot.get_metadata().index, snapshot.encode_to_vec().into())
}

impl Storage for Log {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard.clone(), self.conf.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        let first = self.snapshot_index() + 1;
        if low < first {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let mut entries = self.entries[(low - first) as usize..(high - first) as usize].to_vec();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64> {
        let snapshot = self.snapshot_index();
        if index == snapshot {
            return Ok(self.snapshot.get_metadata().term);
        }
        if index < snapshot {
            return Err(Error::Store(StorageError::Compacted));
        }
        let entry = self.entries.get((index - snapshot - 1) as usize);
        entry.map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.snapshot_index() + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> Result<Snapshot> {
        match self.snapshot_index() >= request_index && self.snapshot_index() > 0 {
            true => Ok(self.snapshot.clone()),
            false => Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable)),
        }
    }
}

#[cfg(test)]
mod tests;
