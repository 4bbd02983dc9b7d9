//! What stands outside of all chassis: the store with subscribers and bindings, and the records that have arrived.

use std::collections::BTreeMap;

use fabric::letters::location::StoredBindings;
use fabric::letters::record::{Record, RecordId};
use fabric::letters::subscriber::{Account, AccountAsk};
use fabric::{Envelope, Epoch};

use crate::cluster::scene::Scene;
use crate::ports::Store;

pub struct Central {
    pub store: Store,
    /// The highest epoch that has written each address-of-record.
    fences: BTreeMap<Box<str>, Epoch>,
    /// Writes of former owners.
    pub stale: u64,
    /// Nobody reaches it.
    pub out: bool,
    /// Writes and loads that wait for it: node and letter.
    pub waiting: Vec<(usize, u64, Envelope)>,
    /// Records by identity, each text once.
    pub records: BTreeMap<RecordId, Vec<Record>>,
    pub duplicates: u64,
}

impl Central {
    pub fn new(scene: &Scene) -> Central {
        Central {
            store: Store::new(&scene.script),
            fences: BTreeMap::new(),
            stale: 0,
            out: false,
            waiting: Vec::new(),
            records: BTreeMap::new(),
            duplicates: 0,
        }
    }

    pub fn account(&self, ask: &AccountAsk) -> Account {
        self.store.account(ask)
    }

    /// Keeps bindings unless a later owner has written already.
    pub fn keep(&mut self, stored: StoredBindings, epoch: Epoch) {
        let fence = self.fences.entry(stored.aor.clone()).or_default();
        if epoch < *fence {
            self.stale += 1;
            return;
        }
        *fence = epoch;
        self.store.keep(stored);
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
