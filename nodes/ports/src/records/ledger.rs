//! What is known of records: answered calls without a stop, finished ones not yet exported, and the ids of those that
//! are, so that a second delivery changes nothing. In a cluster it also knows what other nodes have sent copies of, and
//! what they have yet to be told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use fabric::NodeId;
use fabric::letters::media::MediaStats;
use fabric::letters::record::{CallParties, CallStop, Record, RecordId, StopCause};
use serde::{Deserialize, Serialize};

use super::Cdr;
use super::journal::Entry;

pub(super) struct Ledger {
    open: BTreeMap<RecordId, Box<Open>>,
    /// Stops that came before their start.
    early: BTreeMap<RecordId, (CallStop, Origin)>,
    /// And whether they are copies.
    finished: BTreeMap<RecordId, bool>,
    /// The same in the order they were finished, to forget the oldest.
    order: VecDeque<RecordId>,
    /// Ends of calls whose start another node has; it is to be told when it is there.
    untold: BTreeMap<RecordId, CallStop>,
    open_max: usize,
    remembered_max: usize,
}

/// An answered call without a stop.
struct Open {
    parties: CallParties,
    origin: Origin,
    /// Another node that has the start too.
    known_at: Option<NodeId>,
    /// Was open when the process started: its stop may have gone to another node.
    stale: bool,
    /// Last moment at which the call is known to have lived, milliseconds since 1970.
    alive_ms: u64,
}

/// Where a record came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The node whose record this is a copy of; `None` for a call of this node.
    pub copy_of: Option<NodeId>,
    /// Ownership of the call's group.
    pub epoch: u64,
}

/// A finished call record on its way out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finished {
    pub id: RecordId,
    pub cdr: Arc<Cdr>,
    /// The call ended elsewhere: that node exports the record.
    pub copy: bool,
    /// Ownership under which it ended; `None` when nobody saw the end.
    pub epoch: Option<u64>,
    /// What it was made of.
    pub parties: Box<CallParties>,
    pub stop: Box<CallStop>,
    /// Finished before this process started: the files may have it already.
    pub found: bool,
}

impl Finished {
    /// Start and stop in one letter: it makes the same record, whatever is known already.
    pub fn whole(&self) -> Record {
        Record::Attempt { parties: (*self.parties).clone(), stop: (*self.stop).clone() }
    }
}

/// What a record did.
#[derive(Debug, PartialEq)]
pub(super) enum Applied {
    /// A call was answered, or its stop came before its start.
    Open,
    Finished(Finished),
    /// Known already.
    Repeated,
    /// A copy of what this node has recorded as its own.
    Owned,
}

/// Which open calls are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lose {
    All,
    /// The first ones beyond the limit.
    Surplus,
}

impl Ledger {
    pub fn new(open_max: usize, remembered_max: usize) -> Ledger {
        Ledger {
            open: BTreeMap::new(),
            early: BTreeMap::new(),
            finished: BTreeMap::new(),
            order: VecDeque::new(),
            untold: BTreeMap::new(),
            open_max: open_max.max(1),
            remembered_max: remembered_max.max(1),
        }
    }

    pub fn apply(&mut self, record: Record, origin: Origin) -> Applied {
        let id = id_of(&record);
        if let Some(is_copy) = self.finished.get(&id) {
            let is_end = !matches!(record, Record::Start(_));
            return if is_end && origin.copy_of.is_some() && !is_copy { Applied::Owned } else { Applied::Repeated };
        }
        match record {
            Record::Start(parties) => match (self.open.get_mut(&id), self.early.remove(&id)) {
                (Some(open), _) => {
                    // The same start from another node: it has it.
                    open.known_at = origin.copy_of.or(open.known_at);
                    Applied::Repeated
                }
                (None, Some((stop, origin))) => self.finish(id, parties, stop, origin),
                (None, None) => {
                    let alive_ms = parties.start_ms;
                    let open = Open { parties, origin, known_at: origin.copy_of, stale: false, alive_ms };
                    self.open.insert(id, Box::new(open));
                    Applied::Open
                }
            },
            Record::Stop { stop, .. } => match self.open.remove(&id) {
                Some(open) => {
                    if origin.copy_of.is_none() && open.origin.copy_of.is_some() {
                        self.owe(id, stop.clone());
                    }
                    self.finish(id, open.parties, stop, origin)
                }
                None => {
                    self.early.insert(id, (stop, origin));
                    if self.early.len() > EARLY_MAX {
                        self.early.pop_first();
                    }
                    Applied::Open
                }
            },
            Record::Attempt { parties, stop } => self.finish(id, parties, stop, origin),
        }
    }

    /// Ends open calls as lost at `end_ms`: all, or those above the limit (lowest key first).
    pub fn lose(&mut self, which: Lose, end_ms: u64) -> Vec<Finished> {
        let kept = if which == Lose::All { 0 } else { self.open_max };
        let mut lost = Vec::new();
        while self.open.len() > kept {
            let Some((id, open)) = self.open.pop_first() else { break };
            lost.extend(self.end_as_lost(id, *open, end_ms));
        }
        lost
    }

    /// What was open when this process started may have gone on elsewhere: nothing is lost before it is old.
    pub fn stale(&mut self, alive_ms: u64) {
        for open in self.open.values_mut() {
            open.stale = true;
            if open.origin.copy_of.is_none() {
                open.alive_ms = open.alive_ms.max(alive_ms);
            }
        }
    }

    /// Ends what began before `before_ms` and is not a call of this process.
    pub fn lose_old(&mut self, before_ms: u64) -> Vec<Finished> {
        let is_old = |open: &Open| (open.stale || open.origin.copy_of.is_some()) && open.parties.start_ms < before_ms;
        let old: Vec<RecordId> = self.open.iter().filter(|(_, open)| is_old(open)).map(|(id, _)| *id).collect();
        let mut lost = Vec::new();
        for id in old {
            if let Some(open) = self.open.remove(&id) {
                let end_ms = open.alive_ms;
                lost.extend(self.end_as_lost(id, *open, end_ms));
            }
        }
        lost
    }

    fn end_as_lost(&mut self, id: RecordId, open: Open, end_ms: u64) -> Option<Finished> {
        let (parties, origin) = (open.parties, open.origin);
        let end_ms = end_ms.max(parties.start_ms);
        let stop = CallStop {
            end_ms,
            duration_ms: end_ms - parties.start_ms,
            cause: StopCause::Lost,
            status: 200,
            reason: "the switch lost the call".to_owned(),
            media: MediaStats::default(),
        };
        match self.finish(id, parties, stop, origin) {
            Applied::Finished(finished) => Some(Finished { epoch: None, ..finished }),
            Applied::Open | Applied::Repeated | Applied::Owned => None,
        }
    }

    /// Remembers an id as exported.
    pub fn remember(&mut self, id: RecordId) {
        let is_copy = self.finished.get(&id).copied().unwrap_or(false);
        self.note(id, is_copy);
    }

    fn note(&mut self, id: RecordId, is_copy: bool) {
        self.open.remove(&id);
        if self.finished.insert(id, is_copy).is_none() {
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

    /// Remembers an end that another node must hear of.
    pub fn owe(&mut self, id: RecordId, stop: CallStop) {
        self.untold.insert(id, stop);
        if self.untold.len() > UNTOLD_MAX {
            self.untold.pop_first();
        }
    }

    /// Ends that another node has yet to hear of, at most `count` behind `after`.
    pub fn owed(&self, after: Option<RecordId>, count: usize) -> Vec<Record> {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let owed = self.untold.range(range).take(count);
        owed.map(|(id, stop)| Record::Stop { id: *id, stop: stop.clone() }).collect()
    }

    /// Starts of open calls that the node which is to have them does not have, at most `count` of the `looked` behind
    /// `after`; and where to look next.
    pub fn unknown_starts(
        &self,
        after: Option<RecordId>,
        count: usize,
        looked: usize,
        standby: impl Fn(&RecordId) -> Option<NodeId>,
    ) -> (Vec<(Record, Origin)>, Option<RecordId>) {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let (mut found, mut last) = (Vec::new(), None);
        for (place, (id, open)) in self.open.range(range).enumerate() {
            if place >= looked || found.len() >= count {
                return (found, last);
            }
            last = Some(*id);
            if standby(id).is_some_and(|node| open.known_at != Some(node)) {
                found.push((Record::Start(open.parties.clone()), open.origin));
            }
        }
        (found, None)
    }

    /// `node` has the record now.
    pub fn told(&mut self, id: RecordId, node: Option<NodeId>) {
        self.untold.remove(&id);
        if let Some(open) = self.open.get_mut(&id) {
            open.known_at = node.or(open.known_at);
        }
    }

    /// Entries that bring a new ledger to this state; ids in `pending` are finished but not exported and are left out.
    pub fn carried(&self, pending: &BTreeSet<RecordId>) -> Vec<Entry> {
        let exported: Vec<RecordId> = self.order.iter().filter(|id| !pending.contains(id)).copied().collect();
        let exported = exported.chunks(IDS_MAX).map(|ids| Entry::Exported(ids.to_vec()));
        let starts = self.open.values().map(|open| (Record::Start(open.parties.clone()), open.origin));
        let stops =
            self.early.iter().map(|(id, (stop, origin))| (Record::Stop { id: *id, stop: stop.clone() }, *origin));
        let records = starts.chain(stops).map(|(record, origin)| Entry::Taken(Box::new(record), origin));
        let untold = self.untold.iter().map(|(id, stop)| Entry::Untold(*id, Box::new(stop.clone())));
        exported.chain(records).chain(untold).collect()
    }

    fn finish(&mut self, id: RecordId, parties: CallParties, stop: CallStop, origin: Origin) -> Applied {
        let copy = origin.copy_of.is_some();
        self.note(id, copy);
        let cdr = Arc::new(Cdr::new(&parties, &stop));
        let (parties, stop) = (Box::new(parties), Box::new(stop));
        Applied::Finished(Finished { id, cdr, copy, epoch: Some(origin.epoch), parties, stop, found: false })
    }
}

/// The identity of what a record is about.
pub(super) fn id_of(record: &Record) -> RecordId {
    match record {
        Record::Start(parties) | Record::Attempt { parties, .. } => parties.id,
        Record::Stop { id, .. } => *id,
    }
}

/// Stops without a start that are kept, count.
const EARLY_MAX: usize = 10_000;

/// Ends that another node has yet to hear of, count.
const UNTOLD_MAX: usize = 100_000;

/// Ids in one entry, count.
pub(super) const IDS_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
