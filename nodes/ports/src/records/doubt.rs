//! Finished records of which the other chassis has not said that it has them. Should this node lose its calls now, their next
//! owner may record the same end as its own; so they are exported only when the other node has taken the copy, become
//! copies when it says that the record is its own, and are exported after all when it says nothing for long.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fabric::letters::record::{Record, RecordId};

use super::journal::Entry;
use super::ledger::{Finished, Origin};

#[derive(Default)]
pub(super) struct Doubts {
    records: BTreeMap<RecordId, Doubt>,
}

struct Doubt {
    done: Finished,
    since: Instant,
    /// Was in the journal when the process started: the older files are needed until it is exported.
    found: bool,
}

impl Doubts {
    pub fn add(&mut self, done: Finished, found: bool) {
        self.records.insert(done.id, Doubt { done, since: Instant::now(), found });
    }

    /// The other node has a copy: this one exports the record.
    pub fn settle(&mut self, id: &RecordId) -> Option<Finished> {
        let Doubt { done, found, .. } = self.records.remove(id)?;
        Some(Finished { found, ..done })
    }

    /// The record is the other node's own.
    pub fn concede(&mut self, id: &RecordId) -> Option<Finished> {
        Some(Finished { copy: true, ..self.settle(id)? })
    }

    /// What nobody has said anything about for too long, or nobody else can have: there is no other node for its call now.
    pub fn overdue(&mut self, is_alone: impl Fn(&RecordId) -> bool) -> Vec<Finished> {
        let is_late = |id: &RecordId, doubt: &Doubt| {
            let patience = if !doubt.found && is_alone(id) { RETRY_AFTER } else { PATIENCE };
            doubt.since.elapsed() >= patience
        };
        let late = self.records.iter().filter(|(id, doubt)| is_late(id, doubt));
        let late: Vec<RecordId> = late.map(|(id, _)| *id).collect();
        late.iter().filter_map(|id| self.settle(id)).collect()
    }

    /// Records to be sent again, whole.
    pub fn again(&self, count: usize) -> Vec<(Record, u64)> {
        let old = self.records.values().filter(|doubt| doubt.found || doubt.since.elapsed() >= RETRY_AFTER);
        old.take(count).map(|doubt| (doubt.done.whole(), doubt.done.epoch.unwrap_or(0))).collect()
    }

    /// Whether the older journal files hold one of them.
    pub fn is_found(&self) -> bool {
        self.records.values().any(|doubt| doubt.found)
    }

    pub fn ids(&self) -> impl Iterator<Item = RecordId> {
        self.records.keys().copied()
    }

    /// Entries that bring them into a new journal file.
    pub fn carried(&self) -> impl Iterator<Item = Entry> {
        self.records.values().map(|doubt| {
            let origin = Origin { copy_of: None, epoch: doubt.done.epoch.unwrap_or(0) };
            Entry::Taken(Box::new(doubt.done.whole()), origin)
        })
    }
}

/// How long the other node may be silent: longer than a chassis takes to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause before a record is sent again; its first copy is waited for that long.
const RETRY_AFTER: Duration = Duration::from_secs(1);
