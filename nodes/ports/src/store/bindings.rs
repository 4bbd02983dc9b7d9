//! Bindings on disk, written behind the location shards: a log in a table. Every change is a row at the end with the
//! whole state of one address-of-record, the newest row counts, and the oldest rows are cleaned away as new ones come.
//! A change costs a part of a page that way; overwriting rows in place costs a page each, since devices refresh in an
//! order of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric::Home;
use fabric::hash::{FixedMap, hash64};
use fabric::letters::location::{Binding, StoredBindings};
use rusqlite::Connection;

/// States that wait for a commit, where the newest rows are, and what was read for location shards that have not asked yet.
pub(super) struct Bindings {
    home: Home,
    /// Newest state per address-of-record; several changes between two commits become one.
    dirty: BTreeMap<Box<str>, (Vec<Binding>, i64)>,
    dirty_max: usize,
    /// Hash of an address-of-record → its newest row. 64 bits with the cluster's secret: two of ten million share one
    /// with a chance of one in a hundred thousand.
    newest: FixedMap<u64, i64>,
    /// Rows in the table.
    rows: usize,
    /// What the open transaction changes of the two above; in force once it is committed.
    pending: Pending,
    loaded: Option<Loaded>,
    buffer: Vec<u8>,
}

#[derive(Default)]
struct Pending {
    /// The newest row of an address-of-record, `None` when there is none any more.
    newest: Vec<(u64, Option<i64>)>,
    added: usize,
    removed: usize,
}

struct Loaded {
    shards: u16,
    /// By shard; taken when asked for.
    parts: Vec<Option<Arc<Vec<StoredBindings>>>>,
    at: Instant,
}

impl Bindings {
    /// Looks through the table for the newest rows.
    pub fn open(db: &Connection, home: Home, dirty_max: usize) -> rusqlite::Result<Bindings> {
        let mut bindings = Bindings {
            home,
            dirty: BTreeMap::new(),
            dirty_max,
            newest: FixedMap::default(),
            rows: 0,
            pending: Pending::default(),
            loaded: None,
            buffer: Vec::new(),
        };
        let mut find = db.prepare("SELECT seq, aor FROM bindings ORDER BY seq")?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            bindings.newest.insert(bindings.hash(row.get_ref(1)?.as_str()?), row.get(0)?);
            bindings.rows += 1;
        }
        Ok(bindings)
    }

    /// Remembers the newest state. Beyond the limit (the disk has failed for long) the change is dropped; its question
    /// comes back as failed either way.
    pub fn keep(&mut self, state: StoredBindings, stamp: i64) {
        if self.dirty.len() < self.dirty_max || self.dirty.contains_key(&state.aor) {
            self.dirty.insert(state.aor, (state.bindings, stamp));
        }
    }

    pub fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Writes all that waits and cleans some old rows; nothing is in force until `written`. Returns the number of states.
    pub fn write(&mut self, db: &Connection, now_ms: u64) -> rusqlite::Result<usize> {
        self.pending = Pending::default();
        if self.dirty.is_empty() {
            return Ok(0);
        }
        self.clean(db, now_ms)?;
        let mut insert = db.prepare_cached(INSERT)?;
        for (aor, (bindings, stamp)) in &self.dirty {
            encode(bindings, &mut self.buffer);
            insert.execute((&**aor, &self.buffer[..], stamp))?;
            self.pending.newest.push((hash(&self.home, aor), Some(db.last_insert_rowid())));
            self.pending.added += 1;
        }
        Ok(self.dirty.len())
    }

    /// A row that somebody else added inside the transaction.
    pub fn added(&mut self, aor: &str, seq: i64) {
        self.newest.insert(self.hash(aor), seq);
        self.rows += 1;
    }

    /// The commit of what `write` wrote succeeded.
    pub fn written(&mut self) {
        self.dirty.clear();
        let pending = std::mem::take(&mut self.pending);
        self.rows = (self.rows + pending.added).saturating_sub(pending.removed);
        for (hash, seq) in pending.newest {
            match seq {
                Some(seq) => self.newest.insert(hash, seq),
                None => self.newest.remove(&hash),
            };
        }
    }

    /// When more than half of the rows are outdated: takes the oldest ones away, a few for each that is written, and
    /// puts those that still count to the end.
    fn clean(&mut self, db: &Connection, now_ms: u64) -> rusqlite::Result<()> {
        if self.rows <= 2 * self.newest.len() + OUTDATED_MIN {
            return Ok(());
        }
        let count = CLEANED_PER_ROW * self.dirty.len() + CLEANED_MIN;
        let mut find = db.prepare_cached("SELECT seq, aor, bindings, stamp FROM bindings ORDER BY seq LIMIT ?")?;
        let mut insert = db.prepare_cached(INSERT)?;
        let mut rows = find.query([count as i64])?;
        let (mut last, mut kept) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            let (seq, aor) = (row.get::<_, i64>(0)?, row.get_ref(1)?.as_str()?);
            (last, self.pending.removed) = (seq, self.pending.removed + 1);
            let hash = hash(&self.home, aor);
            if self.newest.get(&hash) != Some(&seq) || self.dirty.contains_key(aor) {
                continue;
            }
            let bytes = row.get_ref(2)?.as_blob()?;
            // The oldest row of an address-of-record without bindings has nothing left to hide.
            match decode(bytes, now_ms).is_empty() {
                true => self.pending.newest.push((hash, None)),
                false => kept.push((hash, Box::<str>::from(aor), Box::<[u8]>::from(bytes), row.get::<_, i64>(3)?)),
            }
        }
        drop(rows);
        for (hash, aor, bytes, stamp) in kept {
            insert.execute((&*aor, &*bytes, stamp))?;
            self.pending.newest.push((hash, Some(db.last_insert_rowid())));
            self.pending.added += 1;
        }
        db.prepare_cached("DELETE FROM bindings WHERE seq <= ?")?.execute([last])?;
        Ok(())
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
        let mut find = db.prepare_cached("SELECT seq, aor, bindings FROM bindings")?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            let aor = row.get_ref(1)?.as_str()?;
            let place = self.home.keys.location(aor, shards);
            if again && place != shard || self.newest.get(&self.hash(aor)) != Some(&row.get(0)?) {
                continue;
            }
            let bindings = decode(row.get_ref(2)?.as_blob()?, now_ms);
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

    /// What `load` gives for a shard, with the central store's states among it: of each address-of-record the newer one.
    pub fn merge(
        &mut self,
        db: &Connection,
        (shard, shards): (u16, u16),
        central: Vec<(String, Vec<u8>, i64)>,
        now_ms: u64,
    ) -> rusqlite::Result<Arc<Vec<StoredBindings>>> {
        let local = self.load(db, shard, shards, now_ms)?;
        if central.is_empty() {
            return Ok(local);
        }
        let mut merged: BTreeMap<Box<str>, Vec<Binding>> =
            local.iter().map(|state| (state.aor.clone(), state.bindings.clone())).collect();
        let mut find = db.prepare_cached("SELECT stamp FROM bindings WHERE seq = ?")?;
        for (aor, bytes, stamp) in central {
            let own = match self.newest.get(&self.hash(&aor)) {
                Some(seq) => Some(find.query_row([seq], |row| row.get::<_, i64>(0))?),
                None => None,
            };
            if own.is_none_or(|own| own < stamp) {
                merged.insert(aor.into(), decode(&bytes, now_ms));
            }
        }
        let merged = merged.into_iter().filter(|(_, bindings)| !bindings.is_empty());
        Ok(Arc::new(merged.map(|(aor, bindings)| StoredBindings { aor, bindings }).collect()))
    }

    /// Gives the memory of a load back when its shards had time enough to ask; a later question reads the table again.
    pub fn forget_old_load(&mut self) {
        if let Some(loaded) = self.loaded.as_mut().filter(|loaded| loaded.at.elapsed() > LOAD_KEPT) {
            loaded.parts.clear();
        }
    }

    fn hash(&self, aor: &str) -> u64 {
        hash(&self.home, aor)
    }
}

/// Adds a row that says that an address-of-record has no bindings; returns its number.
pub(super) fn unbind(db: &Connection, aor: &str) -> rusqlite::Result<i64> {
    let mut bytes = Vec::new();
    encode(&[], &mut bytes);
    db.prepare_cached(INSERT)?.execute((aor, bytes, 0))?;
    Ok(db.last_insert_rowid())
}

fn hash(home: &Home, aor: &str) -> u64 {
    hash64(home.secret(), &[b"stored", aor.as_bytes()])
}

/// One version byte, then the fields in their order.
pub(super) fn encode(bindings: &[Binding], buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.push(VERSION);
    let taken = postcard::to_extend(bindings, std::mem::take(buffer)).expect("a binding has no unserialisable part");
    *buffer = taken;
}

/// Unexpired bindings of a row; none when a newer build wrote it or the bytes are damaged: the device registers again.
pub(super) fn decode(bytes: &[u8], now_ms: u64) -> Vec<Binding> {
    let mut bindings: Vec<Binding> = match bytes.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).unwrap_or_default(),
        _ => Vec::new(),
    };
    bindings.retain(|binding| binding.expires_ms > now_ms);
    bindings
}

const INSERT: &str = "INSERT INTO bindings (aor, bindings, stamp) VALUES (?, ?, ?)";

/// Version of the encoding.
const VERSION: u8 = 1;

/// How long what was read for other shards is kept.
const LOAD_KEPT: Duration = Duration::from_secs(60);

/// Outdated rows that are left alone whatever their share, count.
const OUTDATED_MIN: usize = 1000;

/// Old rows looked at for each one that is written, and besides in every commit, count.
const CLEANED_PER_ROW: usize = 4;
const CLEANED_MIN: usize = 100;

#[cfg(test)]
mod tests;
