//! What stands outside of all chassis: the store with subscribers and bindings, and the records that have arrived.
//!
//! Bindings stand in three replicas. A write is done when two of them have it, a read asks two and believes the newer one
//! (the quorum that nodes ask the store for): one replica may lag, be away or have lost everything.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use fabric::letters::location::StoredBindings;
use fabric::letters::record::{Record, RecordId};
use fabric::letters::subscriber::{Account, AccountAsk};
use fabric::{Envelope, Epoch};

use crate::cluster::scene::Scene;
use crate::dice::Dice;
use crate::ports::Store;

pub struct Central {
    store: Store,
    replicas: [Replica; REPLICAS],
    /// Writes so far: the newer one wins.
    stamp: u64,
    /// The highest epoch that has written each address-of-record.
    fences: BTreeMap<Box<str>, Epoch>,
    /// Writes of former owners.
    pub stale: u64,
    /// Reads in which one replica was behind the other one; writes that a replica took late or missed.
    pub outvoted: u64,
    pub late: u64,
    pub missed: u64,
    /// Nobody reaches it.
    pub out: bool,
    /// Writes and loads that wait for it: node and letter.
    pub waiting: Vec<(usize, u64, Envelope)>,
    /// Records by identity, each text once.
    pub records: BTreeMap<RecordId, Vec<Record>>,
    pub duplicates: u64,
}

/// Copies of every binding.
pub const REPLICAS: usize = 3;

/// Replicas that a read or a write needs.
const QUORUM: usize = 2;

#[derive(Default)]
struct Replica {
    rows: BTreeMap<Box<str>, Row>,
    /// Writes on their way to it, in order: when they are there.
    coming: VecDeque<(u64, Row)>,
    /// It takes writes so much later, microseconds.
    lag_us: u64,
    away: bool,
}

#[derive(Clone)]
struct Row {
    stamp: u64,
    stored: Arc<StoredBindings>,
}

impl Replica {
    fn settle(&mut self, now_us: u64) {
        while self.coming.front().is_some_and(|(due, _)| *due <= now_us) {
            let Some((_, row)) = self.coming.pop_front() else { return };
            let known = self.rows.get(&row.stored.aor).map_or(0, |known| known.stamp);
            if row.stamp > known {
                self.rows.insert(row.stored.aor.clone(), row);
            }
        }
    }
}

impl Central {
    pub fn new(scene: &Scene) -> Central {
        Central::of(Store::new(&scene.script))
    }

    fn of(store: Store) -> Central {
        Central {
            store,
            replicas: Default::default(),
            stamp: 0,
            fences: BTreeMap::new(),
            stale: 0,
            outvoted: 0,
            late: 0,
            missed: 0,
            out: false,
            waiting: Vec::new(),
            records: BTreeMap::new(),
            duplicates: 0,
        }
    }

    pub fn account(&self, ask: &AccountAsk) -> Account {
        self.store.account(ask)
    }

    /// Keeps bindings unless a later owner has written already. When two replicas have them, microseconds from now.
    pub fn keep(&mut self, stored: StoredBindings, epoch: Epoch, now_us: u64) -> u64 {
        let fence = self.fences.entry(stored.aor.clone()).or_default();
        if epoch < *fence {
            self.stale += 1;
            return 0;
        }
        *fence = epoch;
        self.stamp += 1;
        let row = Row { stamp: self.stamp, stored: Arc::new(stored) };
        let mut there: Vec<u64> = Vec::new();
        for replica in &mut self.replicas {
            replica.settle(now_us);
            self.late += u64::from(replica.lag_us > 0);
            self.missed += u64::from(replica.away);
            // The others keep a hint of what one that is away misses.
            let due = if replica.away { u64::MAX } else { now_us + replica.lag_us };
            let due = due.max(replica.coming.back().map_or(0, |(last, _)| *last));
            replica.coming.push_back((due, row.clone()));
            replica.settle(now_us);
            if !replica.away {
                there.push(due - now_us);
            }
        }
        there.sort_unstable();
        there.get(QUORUM - 1).copied().unwrap_or(0)
    }

    /// Bindings of those addresses, as two replicas know them.
    pub fn load(&mut self, wanted: impl Fn(&str) -> bool, now_us: u64, dice: &mut Dice) -> Vec<StoredBindings> {
        let mut asked: Vec<usize> = (0..REPLICAS).filter(|place| !self.replicas[*place].away).collect();
        while asked.len() > QUORUM {
            asked.remove(dice.below(asked.len()));
        }
        let rows = self.read(&asked, now_us);
        let found = rows.values().map(|row| &row.stored);
        found
            .filter(|stored| !stored.bindings.is_empty() && wanted(&stored.aor))
            .map(|stored| (**stored).clone())
            .collect()
    }

    fn read(&mut self, asked: &[usize], now_us: u64) -> BTreeMap<Box<str>, Row> {
        let mut newest: BTreeMap<Box<str>, Row> = BTreeMap::new();
        let mut behind = false;
        for (nth, place) in asked.iter().enumerate() {
            let replica = &mut self.replicas[*place];
            replica.settle(now_us);
            behind |= nth > 0 && replica.rows.len() != newest.len();
            for (aor, row) in &replica.rows {
                let known = newest.get(aor).map_or(0, |known| known.stamp);
                behind |= nth > 0 && known != row.stamp;
                if row.stamp > known {
                    newest.insert(aor.clone(), row.clone());
                }
            }
        }
        self.outvoted += u64::from(behind);
        newest
    }

    /// One replica, the one that something is wrong with already if there is one: two of three must be well.
    fn one(&self, dice: &mut Dice) -> usize {
        let sick = self.replicas.iter().position(|replica| replica.away || replica.lag_us > 0);
        sick.unwrap_or_else(|| dice.below(REPLICAS))
    }

    /// One replica takes writes late from now on.
    pub fn lag(&mut self, lag_us: u64, dice: &mut Dice) -> usize {
        let place = self.one(dice);
        self.replicas[place].lag_us = lag_us;
        place
    }

    /// One replica is gone; what it had is lost when `empty`.
    pub fn vanish(&mut self, empty: bool, dice: &mut Dice) -> usize {
        let place = self.one(dice);
        let replica = &mut self.replicas[place];
        replica.away = true;
        // What was on its way is hinted again.
        replica.coming.iter_mut().for_each(|(due, _)| *due = u64::MAX);
        if empty {
            replica.rows.clear();
            replica.coming.clear();
        }
        place
    }

    pub fn lag_ends(&mut self) {
        self.replicas.iter_mut().for_each(|replica| replica.lag_us = 0);
    }

    /// It is back: the others hand over what it has missed; one that lost everything is filled by them first.
    pub fn comes_back(&mut self, now_us: u64) {
        for place in 0..REPLICAS {
            if !std::mem::take(&mut self.replicas[place].away) {
                continue;
            }
            let others: Vec<usize> = (0..REPLICAS).filter(|other| *other != place).collect();
            let counted = self.outvoted;
            let rows = self.read(&others, now_us);
            self.outvoted = counted;
            let replica = &mut self.replicas[place];
            replica.coming.iter_mut().for_each(|(due, _)| *due = now_us);
            replica.settle(now_us);
            for (aor, row) in rows {
                replica.rows.entry(aor).or_insert(row);
            }
        }
    }

    /// A record has arrived; its identity makes copies one.
    pub fn record(&mut self, record: Record) {
        let id = match &record {
            Record::Start(parties) | Record::Attempt { parties, .. } => parties.id,
            Record::Stop { id, .. } => *id,
        };
        let known = self.records.entry(id).or_default();
        match known.contains(&record) {
            true => self.duplicates += 1,
            false => known.push(record),
        }
    }
}

#[cfg(test)]
mod tests;
