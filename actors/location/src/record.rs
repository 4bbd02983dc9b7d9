//! An address-of-record with all its bindings, packed into one allocation.

use fabric::Now;
use fabric::letters::location::Binding;
use serde::{Deserialize, Serialize};

/// The packed form: address-of-record, entries, tombstones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(Box<[u8]>);

/// What a record says, borrowed from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents<'a> {
    pub entries: Vec<Entry<'a>>,
    pub tombstones: Vec<Tombstone>,
}

/// One binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<'a> {
    pub contact: &'a str,
    pub path: &'a str,
    pub call_id: &'a str,
    pub cseq: u32,
    /// Thousandths.
    pub q: u16,
    pub ends: Ends,
    pub instance: Option<&'a str>,
    pub reg_id: u32,
    pub user_agent: Option<&'a str>,
    pub received: Option<&'a str>,
    pub nat: bool,
}

/// When a binding ends: milliseconds since the node's start; 0 means never (a permanent binding).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ends(u64);

/// A binding that was removed or replaced: nothing of its Call-ID up to this CSeq may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Hash of the Call-ID.
    pub call_id: u64,
    pub cseq: u32,
    /// Milliseconds since the node's start.
    pub until_ms: u64,
}

impl Ends {
    pub const NEVER: Ends = Ends(0);

    /// The end on the node's clock of something that ends at `expires_ms` by the wall clock; `None` when that is past.
    pub fn of(expires_ms: u64, now: Now) -> Option<Ends> {
        if expires_ms == u64::MAX {
            return Some(Ends::NEVER);
        }
        let left_ms = expires_ms.checked_sub(now.unix_ms).filter(|left| *left > 0)?;
        Some(Ends((now_ms(now) + left_ms).max(1)))
    }

    /// The end by today's wall clock, milliseconds since 1970; `u64::MAX` when permanent.
    pub fn expires_ms(self, now: Now) -> u64 {
        match self {
            Ends::NEVER => u64::MAX,
            Ends(at_ms) => now.unix_ms.saturating_add(at_ms).saturating_sub(now_ms(now)),
        }
    }

    pub fn is_past(self, now: Now) -> bool {
        self != Ends::NEVER && self.0 <= now_ms(now)
    }

    /// Milliseconds since the node's start; `None` when permanent.
    pub fn at_ms(self) -> Option<u64> {
        (self != Ends::NEVER).then_some(self.0)
    }
}

impl<'a> Entry<'a> {
    /// The entry of a binding that a letter carries; `None` when it ends now or has ended.
    pub fn of(binding: &'a Binding, now: Now) -> Option<Entry<'a>> {
        Some(Entry {
            contact: &binding.contact,
            path: &binding.path,
            call_id: &binding.call_id,
            cseq: binding.cseq,
            q: binding.q,
            ends: Ends::of(binding.expires_ms, now)?,
            instance: binding.instance.as_deref(),
            reg_id: binding.reg_id,
            user_agent: binding.user_agent.as_deref(),
            received: binding.received.as_deref(),
            nat: binding.nat,
        })
    }

    /// The binding as letters carry it.
    pub fn binding(&self, now: Now) -> Binding {
        Binding {
            contact: self.contact.into(),
            path: self.path.into(),
            call_id: self.call_id.into(),
            cseq: self.cseq,
            q: self.q,
            expires_ms: self.ends.expires_ms(now),
            instance: self.instance.map(Into::into),
            reg_id: self.reg_id,
            user_agent: self.user_agent.map(Into::into),
            received: self.received.map(Into::into),
            nat: self.nat,
        }
    }

    pub fn is_permanent(&self) -> bool {
        self.ends == Ends::NEVER
    }
}

impl Contents<'_> {
    /// Drops what has ended; whether a binding was among it.
    pub fn prune(&mut self, now: Now) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| !entry.ends.is_past(now));
        self.tombstones.retain(|tombstone| tombstone.until_ms > now_ms(now));
        self.entries.len() != before
    }

    /// The earliest moment at which something in here ends, milliseconds since the node's start.
    pub fn earliest_ms(&self) -> Option<u64> {
        let entries = self.entries.iter().filter_map(|entry| entry.ends.at_ms());
        entries.chain(self.tombstones.iter().map(|tombstone| tombstone.until_ms)).min()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.tombstones.is_empty()
    }

    /// The bindings as letters carry them.
    pub fn bindings(&self, now: Now) -> Vec<Binding> {
        self.entries.iter().filter(|entry| !entry.ends.is_past(now)).map(|entry| entry.binding(now)).collect()
    }
}

impl Record {
    pub fn pack(aor: &str, contents: &Contents<'_>) -> Record {
        let bytes = postcard::to_allocvec(&(aor, &contents.entries, &contents.tombstones))
            .expect("a record has no unserialisable part");
        Record(bytes.into_boxed_slice())
    }

    pub fn aor(&self) -> &str {
        postcard::take_from_bytes(&self.0).expect("packed by us").0
    }

    pub fn contents(&self) -> Contents<'_> {
        let (_, entries, tombstones): (&str, _, _) = postcard::from_bytes(&self.0).expect("packed by us");
        Contents { entries, tombstones }
    }

    /// What stands behind the address-of-record in the packed form.
    pub fn tail(&self) -> &[u8] {
        postcard::take_from_bytes::<&str>(&self.0).expect("packed by us").1
    }

    /// A record out of what `tail` gave elsewhere; `None` when it cannot be read.
    pub fn join(aor: &str, tail: &[u8]) -> Option<Record> {
        let mut bytes = postcard::to_allocvec(aor).expect("a text has no unserialisable part");
        bytes.extend_from_slice(tail);
        postcard::from_bytes::<(&str, Vec<Entry<'_>>, Vec<Tombstone>)>(&bytes).ok()?;
        Some(Record(bytes.into_boxed_slice()))
    }

    /// Bytes of the packed form.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// The node's clock in milliseconds.
pub fn now_ms(now: Now) -> u64 {
    now.instant.0 / 1_000
}

#[cfg(test)]
mod tests;
