//! What is known of records: answered calls without a stop, finished ones not yet exported, and the ids of those that
//! are, so that a second delivery changes nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fabric::letters::media::MediaStats;
use fabric::letters::record::{CallParties, CallStop, Record, RecordId, StopCause};

use super::Cdr;
use super::journal::Entry;

pub(super) struct Ledger {
    open: BTreeMap<RecordId, Box<CallParties>>,
    /// Stops that came before their start.
    early: BTreeMap<RecordId, CallStop>,
    finished: BTreeSet<RecordId>,
    /// The same in the order they were finished, to forget the oldest.
    order: VecDeque<RecordId>,
    open_max: usize,
    remembered_max: usize,
}

/// What a record did.
#[derive(Debug, PartialEq)]
pub(super) enum Applied {
    /// A call was answered, or its stop came before its start.
    Open,
    Finished(RecordId, Arc<Cdr>),
    /// Known already.
    Repeated,
}

impl Ledger {
    pub fn new(open_max: usize, remembered_max: usize) -> Ledger {
        Ledger {
            open: BTreeMap::new(),
            early: BTreeMap::new(),
            finished: BTreeSet::new(),
            order: VecDeque::new(),
            open_max: open_max.max(1),
            remembered_max: remembered_max.max(1),
        }
    }

    pub fn apply(&mut self, record: Record) -> Applied {
        let id = match &record {
            Record::Start(parties) | Record::Attempt { parties, .. } => parties.id,
            Record::Stop { id, .. } => *id,
        };
        if self.finished.contains(&id) {
            return Applied::Repeated;
        }
        match record {
            Record::Start(_) if self.open.contains_key(&id) => Applied::Repeated,
            Record::Start(parties) => match self.early.remove(&id) {
                Some(stop) => self.finish(id, &parties, &stop),
                None => {
                    self.open.insert(id, Box::new(parties));
                    Applied::Open
                }
            },
            Record::Stop { stop, .. } => match self.open.remove(&id) {
                Some(parties) => self.finish(id, &parties, &stop),
                None => {
                    if self.early.len() < EARLY_MAX {
                        self.early.insert(id, stop);
                    }
                    Applied::Open
                }
            },
            Record::Attempt { parties, stop } => self.finish(id, &parties, &stop),
        }
    }

    /// Ends open calls as lost at `end_ms`: all, or those above the limit (oldest key first).
    pub fn lose(&mut self, all: bool, end_ms: u64) -> Vec<(RecordId, Arc<Cdr>)> {
        let mut lost = Vec::new();
        while self.open.len() > if all { 0 } else { self.open_max } {
            let Some((id, parties)) = self.open.pop_first() else { break };
            let end_ms = end_ms.max(parties.start_ms);
            let stop = CallStop {
                end_ms,
                duration_ms: end_ms - parties.start_ms,
                cause: StopCause::Lost,
                status: 200,
                reason: "the switch lost the call".to_owned(),
                media: MediaStats::default(),
            };
            if let Applied::Finished(id, cdr) = self.finish(id, &parties, &stop) {
                lost.push((id, cdr));
            }
        }
        lost
    }

    /// Remembers an id as finished.
    pub fn remember(&mut self, id: RecordId) {
        self.open.remove(&id);
        if self.finished.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > self.remembered_max {
            if let Some(oldest) = self.order.pop_front() {
                self.finished.remove(&oldest);
            }
        }
    }

    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Entries that bring a new ledger to this state; ids in `pending` are finished but not exported and are left out.
    pub fn carried(&self, pending: &BTreeSet<RecordId>) -> Vec<Entry> {
        let exported: Vec<RecordId> = self.order.iter().filter(|id| !pending.contains(id)).copied().collect();
        let exported = exported.chunks(IDS_MAX).map(|ids| Entry::Exported(ids.to_vec()));
        let starts = self.open.values().map(|parties| Record::Start((**parties).clone()));
        let stops = self.early.iter().map(|(id, stop)| Record::Stop { id: *id, stop: stop.clone() });
        exported.chain(starts.chain(stops).map(|record| Entry::Record(Box::new(record)))).collect()
    }

    fn finish(&mut self, id: RecordId, parties: &CallParties, stop: &CallStop) -> Applied {
        self.remember(id);
        Applied::Finished(id, Arc::new(Cdr::new(parties, stop)))
    }
}

/// Stops without a start that are kept, count.
const EARLY_MAX: usize = 10_000;

/// Ids in one entry, count.
pub(super) const IDS_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
