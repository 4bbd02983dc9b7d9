//! Export: finished records go to the day files and into the store, and the journal learns when both have them.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use fabric::letters::record::RecordId;

use super::files::DayFiles;
use super::journal::Entry;
use super::ledger::{Finished, IDS_MAX};
use crate::store::{CdrRow, CdrSink, stamp};

pub(super) struct Export {
    files: DayFiles,
    sink: Option<CdrSink>,
    /// Not yet in the files: the disk was full, say.
    unwritten: Vec<Finished>,
    /// In the files, not yet handed to the store.
    unstored: Vec<Finished>,
    stored_at: Option<Instant>,
    /// Handed to the store, perhaps not yet written there.
    batches: VecDeque<Batch>,
    /// After a start, what might stand in the files already is looked for there.
    doubtful: bool,
    /// Records taken and records confirmed since the start; confirmed ones are the first of those taken.
    taken: u64,
    confirmed: u64,
}

struct Batch {
    cdrs: Vec<Finished>,
    stored: Arc<AtomicU8>,
}

impl Export {
    pub fn new(dir: &Path, csv: bool, sink: Option<CdrSink>) -> io::Result<Export> {
        let files = DayFiles::new(dir, csv)?;
        Ok(Export {
            files,
            sink,
            unwritten: Vec::new(),
            unstored: Vec::new(),
            stored_at: None,
            batches: VecDeque::new(),
            doubtful: true,
            taken: 0,
            confirmed: 0,
        })
    }

    /// Takes finished records.
    pub fn add(&mut self, cdrs: impl IntoIterator<Item = Finished>) {
        let before = self.unwritten.len();
        self.unwritten.extend(cdrs);
        self.taken += (self.unwritten.len() - before) as u64;
    }

    /// Writes what waits to the files and hands it to the store.
    pub fn write(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        // A copy is exported by the node where the call ended.
        let cdrs = self.unwritten.iter().filter(|done| !done.copy).map(|done| &*done.cdr);
        let doubtful = self.doubtful || self.unwritten.iter().any(|done| done.found);
        match doubtful {
            true => self.files.append_missing(cdrs)?,
            false => self.files.append(cdrs)?,
        }
        self.doubtful = false;
        self.unstored.append(&mut self.unwritten);
        if self.stored_at.is_none_or(|at| at.elapsed() >= STORE_EVERY) {
            self.store();
        }
        Ok(())
    }

    /// Hands what is in the files to the store: seldom and many at a time, for each record touches pages of its own.
    fn store(&mut self) {
        if !self.unstored.is_empty() {
            self.stored_at = Some(Instant::now());
            let cdrs = std::mem::take(&mut self.unstored);
            let batch = Batch { cdrs, stored: Arc::new(AtomicU8::new(WAITING)) };
            batch.store(self.sink.as_ref());
            self.batches.push_back(batch);
        }
    }

    /// Syncs the files; returns entries for the journal about everything that both files and store have, and tries the
    /// rest of the store again.
    pub fn confirm(&mut self) -> io::Result<Vec<Entry>> {
        self.store();
        if self.batches.is_empty() {
            return Ok(Vec::new());
        }
        self.files.sync()?;
        for batch in &self.batches {
            if batch.stored.load(Ordering::Acquire) == FAILED {
                batch.store(self.sink.as_ref());
            }
        }
        let mut done = Vec::new();
        while self.batches.front().is_some_and(|batch| batch.stored.load(Ordering::Acquire) == STORED) {
            done.extend(self.batches.pop_front().into_iter().flat_map(|batch| batch.cdrs).map(|done| done.id));
        }
        self.confirmed += done.len() as u64;
        Ok(done.chunks(IDS_MAX).map(|ids| Entry::Exported(ids.to_vec())).collect())
    }

    /// Ids of all that is finished but not confirmed.
    pub fn pending(&self) -> BTreeSet<RecordId> {
        let batches = self.batches.iter().flat_map(|batch| &batch.cdrs);
        self.unwritten.iter().chain(&self.unstored).chain(batches).map(|done| done.id).collect()
    }

    /// Records taken so far; all of them are exported once `confirmed` has come as far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    pub fn files(&mut self) -> &mut DayFiles {
        &mut self.files
    }
}

impl Batch {
    fn store(&self, sink: Option<&CdrSink>) {
        let Some(sink) = sink else {
            self.stored.store(STORED, Ordering::Release);
            return;
        };
        self.stored.store(WAITING, Ordering::Release);
        let stored = Arc::clone(&self.stored);
        let cdrs = self.cdrs.iter().map(row).collect();
        let tell = move |ok| stored.store(if ok { STORED } else { FAILED }, Ordering::Release);
        if !sink.insert(cdrs, tell) {
            self.stored.store(FAILED, Ordering::Release);
        }
    }
}

/// The record as the store takes it. One whose end nobody saw must not win over one whose end was seen elsewhere.
fn row(done: &Finished) -> CdrRow {
    let end_ms = done.cdr.end_ms();
    let stamp = done.epoch.map_or_else(|| stamp::weak(end_ms), |epoch| stamp::of(epoch, end_ms));
    CdrRow { cdr: Arc::clone(&done.cdr), copy: done.copy, stamp }
}

const WAITING: u8 = 0;
const STORED: u8 = 1;
const FAILED: u8 = 2;

/// Least time between two hand-overs to the store; a second passes at most before `confirm` makes one.
const STORE_EVERY: Duration = Duration::from_millis(200);
