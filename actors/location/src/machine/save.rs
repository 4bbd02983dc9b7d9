//! The state of a shard as its standby keeps it: a part for each address-of-record, named by it, with the change that is
//! under way; one without a name for how far the shard itself is; one for each letter that waits for the load.
//!
//! Each begins with a version byte. Moments are on the clock that the shard lives by, as in the records themselves.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use fabric::codec::{decode_part, encode_part};
use fabric::{Address, Asks, Envelope, Home, Instant, Now, Part, Thread};
use serde::{Deserialize, Serialize};

use super::{Ask, Location, Phase, Write};
use crate::Settings;
use crate::record::Record;

/// Version of the parts that this build writes, and the only one that it reads.
const VERSION: u8 = 1;

/// Begins the names of letters that wait for the load; no address-of-record begins so.
const LETTER: char = '\0';

/// What a replica does not have yet.
#[derive(Default)]
pub(super) struct Unsaved {
    /// Addresses-of-record that have changed; not more than the shard may hold.
    aors: BTreeSet<Box<str>>,
    /// The part without a name as it was saved last.
    head: Bytes,
    /// Letters of the load that were saved.
    letters: usize,
}

/// How far the shard is.
#[derive(Serialize, Deserialize)]
enum Head {
    New,
    Loading {
        retry: Option<Instant>,
        /// The question for the load, and its deadline.
        asked: Option<(Thread, Instant)>,
        next: Thread,
    },
    Open {
        next: Thread,
    },
}

/// A part of an address-of-record: what is in force, and what the store was asked to keep.
type Saved<'a> = (Option<&'a [u8]>, Option<Change<'a>>);

#[derive(Serialize, Deserialize)]
struct Change<'a> {
    thread: Thread,
    deadline: Instant,
    #[serde(borrow)]
    record: &'a [u8],
    asker: Address,
    answer_on: Thread,
    waiting: Cow<'a, VecDeque<Envelope>>,
}

impl Location {
    /// The shard that these parts describe, in any order; `None` when one is damaged or of another version.
    ///
    /// It is open at once, unless it was still loading, and asks the store for nothing that it knew.
    pub fn restore(home: &Home, shard: u16, settings: Arc<Settings>, parts: &[Part], _now: Now) -> Option<Location> {
        let mut location = Location::new(home, shard, settings);
        let mut letters = Vec::new();
        let head = parts.iter().find(|part| part.name.is_empty())?;
        location.read_head(decode_part(versioned(head)?)?);
        for part in parts.iter().filter(|part| part.value.is_some()) {
            let value = versioned(part)?;
            match part.name.chars().next() {
                None => {}
                Some(LETTER) => letters.push((&part.name, decode_part::<Envelope>(value)?)),
                Some(_) => location.read_record(&part.name, value)?,
            }
        }
        letters.sort_by_key(|(name, _)| *name);
        if let Phase::Loading { queue, .. } = &mut location.phase {
            queue.extend(letters.into_iter().map(|(_, letter)| letter));
        }
        Some(location.replicated())
    }

    fn read_head(&mut self, head: Head) {
        (self.asks, self.phase) = match head {
            Head::New => return,
            Head::Loading { retry, asked, next } => {
                let mut asks = Asks::from_next(next);
                if let Some((thread, deadline)) = asked {
                    asks.reopen(thread, deadline, Ask::Load);
                }
                (asks, Phase::Loading { retry, queue: VecDeque::new() })
            }
            Head::Open { next } => (Asks::from_next(next), Phase::Open),
        };
    }

    fn read_record(&mut self, aor: &str, value: &[u8]) -> Option<()> {
        let (kept, change): Saved<'_> = postcard::from_bytes(value).ok()?;
        if let Some(tail) = kept {
            let record = Record::join(aor, tail)?;
            let due_ms = record.contents().earliest_ms();
            self.shelf.put(record, due_ms);
        }
        if let Some(change) = change {
            let Change { thread, deadline, record, asker, answer_on, waiting } = change;
            let record = Record::join(aor, record)?;
            let write = Write { record, asker, thread: answer_on, waiting: waiting.into_owned() };
            self.asks.reopen(thread, deadline, Ask::Keep(Box::new(write)));
        }
        Some(())
    }

    /// Notes that an address-of-record is not as a replica has it.
    pub(super) fn touch(&mut self, aor: &str) {
        let Some(unsaved) = &mut self.unsaved else { return };
        // A host that never asks has no replica to bring up to date; the first one it gets begins with everything.
        if unsaved.aors.len() >= self.settings.records_max as usize {
            unsaved.aors.clear();
        }
        unsaved.aors.insert(aor.into());
    }

    /// Adds what has changed since it was asked for last, or everything: for one more replica, so that what the others
    /// lack is still to be asked for.
    pub(super) fn write(&mut self, all: bool, parts: &mut Vec<Part>) {
        let unsaved = self.unsaved.as_deref_mut().map(std::mem::take).unwrap_or_default();
        let Unsaved { aors, head, letters } = &unsaved;
        let now_head = encode_part(&(VERSION, self.head()));
        let queued = match &self.phase {
            Phase::Loading { queue, .. } => queue.len(),
            _ => 0,
        };
        if let Phase::Loading { queue, .. } = &self.phase {
            let fresh = queue.iter().enumerate().skip(if all { 0 } else { *letters });
            parts.extend(fresh.map(|(number, mail)| letter(number, Some(encode_part(&(VERSION, mail))))));
        } else if !all {
            parts.extend((0..*letters).map(|number| letter(number, None)));
        }
        if all {
            let mut writes: BTreeMap<&str, _> = self.writes().map(|open| (open.2.record.aor(), open)).collect();
            for record in self.shelf.records() {
                parts.push(self.part(record.aor(), writes.remove(record.aor())));
            }
            parts.extend(writes.into_iter().map(|(aor, open)| self.part(aor, Some(open))));
        } else {
            for aor in aors {
                let gone = || self.shelf.get(aor).is_none_or(|record| record.contents().entries.is_empty());
                if fabric::mutant!(TombstoneForgotten) && gone() {
                    continue;
                }
                let open = self.writes().find(|open| open.2.record.aor() == &**aor);
                parts.push(self.part(aor, open));
            }
        }
        // The head comes last: a shard that has only half arrived is still loading.
        if all || now_head != *head {
            parts.push(Part { name: "".into(), value: Some(now_head.clone()) });
        }
        if let Some(after) = &mut self.unsaved {
            **after = if all { unsaved } else { Unsaved { aors: BTreeSet::new(), head: now_head, letters: queued } };
        }
    }

    fn head(&self) -> Head {
        let next = self.asks.next();
        match &self.phase {
            Phase::New => Head::New,
            Phase::Loading { retry, .. } => {
                let mut loads = self.asks.iter().filter(|(_, _, ask)| matches!(ask, Ask::Load));
                let asked = loads.next().map(|(thread, deadline, _)| (thread, deadline));
                Head::Loading { retry: *retry, asked, next }
            }
            Phase::Open => Head::Open { next },
        }
    }

    /// Changes under way: thread and deadline of the question to the store, and what it is about.
    fn writes(&self) -> impl Iterator<Item = (Thread, Instant, &Write)> {
        self.asks.iter().filter_map(|(thread, deadline, ask)| match ask {
            Ask::Keep(write) => Some((thread, deadline, write.as_ref())),
            Ask::Load => None,
        })
    }

    fn part(&self, aor: &str, open: Option<(Thread, Instant, &Write)>) -> Part {
        let kept = self.shelf.get(aor).map(Record::tail);
        let change = open.map(|(thread, deadline, write)| Change {
            thread,
            deadline,
            record: write.record.tail(),
            asker: write.asker,
            answer_on: write.thread,
            waiting: Cow::Borrowed(&write.waiting),
        });
        let saved: Saved<'_> = (kept, change);
        let value = (saved.0.is_some() || saved.1.is_some()).then(|| encode_part(&(VERSION, saved)));
        Part { name: aor.into(), value }
    }
}

fn letter(number: usize, value: Option<Bytes>) -> Part {
    Part { name: format!("{LETTER}{number:08}").into(), value }
}

/// What stands behind the version byte; `None` for another version.
fn versioned(part: &Part) -> Option<&[u8]> {
    match part.value.as_deref()?.split_first()? {
        (&VERSION, value) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
