//! Bindings on disk: the whole state of an address-of-record in one row, written behind the location shards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric::Home;
use fabric::letters::location::{Binding, StoredBindings};
use rusqlite::Connection;

/// States that wait for a commit, and what was read for location shards that have not asked yet.
pub(super) struct Bindings {
    home: Home,
    /// Newest state per address-of-record; several changes between two commits become one.
    /// In order, so that neighbours in the table are written together.
    dirty: BTreeMap<Box<str>, Vec<Binding>>,
    dirty_max: usize,
    loaded: Option<Loaded>,
    buffer: Vec<u8>,
}

struct Loaded {
    shards: u16,
    /// By shard; taken when asked for.
    parts: Vec<Option<Arc<Vec<StoredBindings>>>>,
    at: Instant,
}

impl Bindings {
    pub fn new(home: Home, dirty_max: usize) -> Bindings {
        Bindings { home, dirty: BTreeMap::new(), dirty_max, loaded: None, buffer: Vec::new() }
    }

    /// Remembers the newest state. Beyond the limit (the disk has failed for long) the change is dropped; its question
    /// comes back as failed either way.
    pub fn keep(&mut self, state: StoredBindings) {
        if self.dirty.len() < self.dirty_max || self.dirty.contains_key(&state.aor) {
            self.dirty.insert(state.aor, state.bindings);
        }
    }

    pub fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Writes all that waits; it goes on waiting until `written`. Returns the number of rows.
    pub fn write(&mut self, db: &Connection) -> rusqlite::Result<usize> {
        if self.dirty.is_empty() {
            return Ok(0);
        }
        let mut upsert = db.prepare_cached("INSERT OR REPLACE INTO bindings (aor, bindings) VALUES (?, ?)")?;
        let mut delete = db.prepare_cached("DELETE FROM bindings WHERE aor = ?")?;
        for (aor, bindings) in &self.dirty {
            if bindings.is_empty() {
                delete.execute([&**aor])?;
            } else {
                encode(bindings, &mut self.buffer);
                upsert.execute((&**aor, &self.buffer[..]))?;
            }
        }
        Ok(self.dirty.len())
    }

    /// The commit of what `write` wrote succeeded.
    pub fn written(&mut self) {
        self.dirty.clear();
    }

    /// The unexpired bindings of one shard. The first question reads the whole table for all shards.
    pub fn load(
        &mut self,
        db: &Connection,
        shard: u16,
        shards: u16,
        now_ms: u64,
    ) -> rusqlite::Result<Arc<Vec<StoredBindings>>> {
        let shards = shards.max(1);
        let held = self.loaded.as_mut().filter(|loaded| loaded.shards == shards);
        if let Some(part) = held.and_then(|loaded| loaded.parts.get_mut(usize::from(shard))?.take()) {
            return Ok(part);
        }
        // Asked for again: a shard was founded anew, and what was read at first may be old.
        let again = self.loaded.as_ref().is_some_and(|loaded| loaded.shards == shards);
        let mut parts: Vec<Vec<StoredBindings>> = (0..shards).map(|_| Vec::new()).collect();
        let mut find = db.prepare_cached("SELECT aor, bindings FROM bindings")?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            let aor = row.get_ref(0)?.as_str()?;
            let place = self.home.keys.location(aor, shards);
            if again && place != shard {
                continue;
            }
            let mut bindings = decode(row.get_ref(1)?.as_blob()?);
            bindings.retain(|binding| binding.expires_ms > now_ms);
            if !bindings.is_empty() {
                parts[usize::from(place)].push(StoredBindings { aor: aor.into(), bindings });
            }
        }
        let wanted = parts.get_mut(usize::from(shard)).map(std::mem::take).unwrap_or_default();
        if !again {
            let mut parts: Vec<_> = parts.into_iter().map(|part| Some(Arc::new(part))).collect();
            if let Some(part) = parts.get_mut(usize::from(shard)) {
                *part = None;
            }
            self.loaded = Some(Loaded { shards, parts, at: Instant::now() });
        }
        Ok(Arc::new(wanted))
    }

    /// Gives the memory of a load back when its shards had time enough to ask; a later question reads the table again.
    pub fn forget_old_load(&mut self) {
        if let Some(loaded) = self.loaded.as_mut().filter(|loaded| loaded.at.elapsed() > LOAD_KEPT) {
            loaded.parts.clear();
        }
    }
}

/// One version byte, then the fields in their order.
fn encode(bindings: &[Binding], buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.push(VERSION);
    let taken = postcard::to_extend(bindings, std::mem::take(buffer)).expect("a binding has no unserialisable part");
    *buffer = taken;
}

/// Bindings of a row; none when a newer build wrote it or the bytes are damaged: the device registers again.
fn decode(bytes: &[u8]) -> Vec<Binding> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Version of the encoding.
const VERSION: u8 = 1;

/// How long what was read for other shards is kept.
const LOAD_KEPT: Duration = Duration::from_secs(60);
