//! Bindings in the central store: written behind the local database, read when a location shard starts cold.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabric::Epoch;
use fabric::letters::location::{Binding, StoredBindings};

use super::super::{bindings, stamp};
use super::{Central, session};
use crate::store::cql::session::Shared;

/// States that wait for the central store: of each address-of-record the newest one.
#[derive(Default)]
pub(in crate::store) struct Behind {
    states: Mutex<BTreeMap<Box<str>, (Vec<Binding>, Epoch)>>,
    states_max: usize,
    dropped: AtomicU64,
}

impl Behind {
    pub fn new(states_max: usize) -> Behind {
        Behind { states_max, ..Behind::default() }
    }

    /// Takes a state. Beyond the limit (the store is away for long) new ones are dropped: devices register again.
    pub fn keep(&self, state: &StoredBindings, epoch: Epoch) {
        let mut states = self.lock();
        if states.len() < self.states_max || states.contains_key(&state.aor) {
            states.insert(state.aor.clone(), (state.bindings.clone(), epoch));
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn take(&self) -> BTreeMap<Box<str>, (Vec<Binding>, Epoch)> {
        std::mem::take(&mut *self.lock())
    }

    /// Puts back what could not be written, unless something newer came.
    fn put_back(&self, states: BTreeMap<Box<str>, (Vec<Binding>, Epoch)>) {
        let mut now = self.lock();
        for (aor, state) in states {
            now.entry(aor).or_insert(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, (Vec<Binding>, Epoch)>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Central {
    /// Writes what waits, once a second: so no two states of one address-of-record have the same write time.
    pub(super) async fn ship_bindings(self: Arc<Self>) {
        let Some(session) = self.session() else { return };
        loop {
            tokio::time::sleep(SHIP_EVERY).await;
            if self.is_up() {
                self.ship_bindings_now(&session).await;
            }
        }
    }

    pub(super) async fn ship_bindings_now(&self, session: &Shared) {
        let states = self.behind.take();
        if states.is_empty() {
            return;
        }
        let now_ms = self.clock.now().unix_ms;
        let mut rows = Vec::with_capacity(states.len());
        for (aor, (bound, epoch)) in &states {
            let mut bytes = Vec::new();
            bindings::encode(bound, &mut bytes);
            let bucket = i32::from(self.home.keys.location(aor, BUCKETS));
            rows.push((bucket, aor.to_string(), bytes, lifetime(bound, now_ms), stamp::of(epoch.0, now_ms)));
        }
        let count = rows.len();
        let written = session::all(rows, self.settings.parallel_max, |row| {
            let session = Arc::clone(session);
            async move { session.execute(&session.statements.write_bindings, row).await.map(drop) }
        });
        match written.await {
            Ok(()) => self.counters.bindings_shipped.add(count as u64),
            Err(why) => {
                // Some may have been written; with the same or a later write time once more does no harm.
                self.behind.put_back(states);
                self.failed(why);
            }
        }
    }

    /// What the central store has of a location shard: address-of-record, bytes, write time; nothing when it is away.
    pub async fn load_bindings(&self, shard: u16, shards: u16) -> Vec<(String, Vec<u8>, i64)> {
        let Some(session) = self.session().filter(|_| self.is_up()) else { return Vec::new() };
        let shards = shards.max(1);
        // Both are remainders of the same hash.
        let is_aligned = BUCKETS % shards == 0;
        let buckets = (0..BUCKETS).filter(|bucket| !is_aligned || bucket % shards == shard);
        let found = Arc::new(Mutex::new(Vec::new()));
        let read = session::all(buckets, self.settings.parallel_max, |bucket| {
            let (session, found) = (Arc::clone(&session), Arc::clone(&found));
            async move {
                let mut part = Vec::new();
                let row = |(aor, bytes, stamp): (String, Option<Vec<u8>>, Option<i64>)| {
                    if let (Some(bytes), Some(stamp)) = (bytes, stamp) {
                        part.push((aor, bytes, stamp));
                    }
                };
                session.pages(&session.statements.read_bindings, (i32::from(bucket),), row).await?;
                found.lock().unwrap_or_else(PoisonError::into_inner).append(&mut part);
                Ok(())
            }
        });
        match tokio::time::timeout(self.settings.timeout() * LOAD_TIMEOUTS, read).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => drop(self.failed(why)),
            Err(_) => drop(self.failed("reading bindings took too long".to_owned())),
        }
        let mut found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        found.retain(|(aor, ..)| self.home.keys.location(aor, shards) == shard);
        found
    }
}

/// Seconds until the last binding has ended; 0, which is for ever, for permanent ones.
fn lifetime(bindings: &[Binding], now_ms: u64) -> i32 {
    let last_ms = bindings.iter().map(|binding| binding.expires_ms).max().unwrap_or(0);
    if last_ms == u64::MAX {
        return 0;
    }
    let left_s = last_ms.saturating_sub(now_ms) / 1000;
    left_s.clamp(u64::from(HIDING_S), u64::from(LIFETIME_S_MAX)) as i32
}

const SHIP_EVERY: Duration = Duration::from_secs(1);

/// Partitions that bindings are spread over.
const BUCKETS: u16 = 1024;

/// A state lives at least so long, also an empty one, to hide older ones in local databases, seconds.
const HIDING_S: u32 = 86_400;

/// Longest time to live that the stores take, seconds.
const LIFETIME_S_MAX: u32 = 600_000_000;

/// Reading a shard may take so many times longer than one answer.
const LOAD_TIMEOUTS: u32 = 2;
