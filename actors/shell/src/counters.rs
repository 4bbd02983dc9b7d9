//! What the shell counts, so that rooms need not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fabric::Letter;

const KINDS: usize = Letter::KINDS.len();

/// Running totals; every counter on a cache line of its own, since all workers write them.
pub(crate) struct Totals {
    letters: [Padded; KINDS],
    pub returned: Padded,
    pub dropped: Padded,
    pub overloads: Padded,
    pub loops: Padded,
    pub panics: Padded,
    pub restarts: Padded,
    pub founded: Padded,
    pub parked: Padded,
    pub unparked: Padded,
    pub wakes: Padded,
    depth_max: Padded,
}

#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Padded(AtomicU64);

impl Padded {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Totals {
    pub fn new() -> Totals {
        Totals {
            letters: std::array::from_fn(|_| Padded::default()),
            returned: Padded::default(),
            dropped: Padded::default(),
            overloads: Padded::default(),
            loops: Padded::default(),
            panics: Padded::default(),
            restarts: Padded::default(),
            founded: Padded::default(),
            parked: Padded::default(),
            unparked: Padded::default(),
            wakes: Padded::default(),
            depth_max: Padded::default(),
        }
    }

    pub fn letter(&self, letter: &Letter) {
        self.letters[letter.code()].add(1);
    }

    pub fn depth(&self, letters: usize) {
        let depth = letters as u64;
        if depth > self.depth_max.get() {
            self.depth_max.0.fetch_max(depth, Relaxed);
        }
    }

    pub fn letters(&self) -> Vec<(&'static str, u64)> {
        Letter::KINDS.iter().zip(&self.letters).map(|(kind, count)| (*kind, count.get())).collect()
    }

    pub fn depth_max(&self) -> u64 {
        self.depth_max.get()
    }
}

/// A reading of the shell's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Letters posted since the start, by kind.
    pub letters: Vec<(&'static str, u64)>,
    /// Machines alive now, by kind.
    pub machines: Vec<(&'static str, u64)>,
    /// Of the actors of their own, those that are parked now.
    pub parked: u64,
    /// Machines lost by a panic since the start.
    pub panics: u64,
    /// Residents and hive shards that were founded again since the start.
    pub restarts: u64,
    /// Letters sent back as `Returned` by the shell.
    pub returned: u64,
    /// Letters dropped: nobody there and no answer wanted.
    pub dropped: u64,
    /// Letters refused because a mailbox, a table or a hive was full.
    pub overloads: u64,
    /// Letters cut off at `HOPS_MAX`.
    pub loops: u64,
    /// Actors of their own founded since the start.
    pub founded: u64,
    /// Times an actor was parked, and brought back by a letter or an alarm.
    pub parkings: u64,
    pub unparkings: u64,
    /// Deadlines that were met.
    pub wakes: u64,
    /// Letters waiting in all mailboxes now.
    pub mailbox_letters: u64,
    /// Most letters that ever waited in one mailbox.
    pub mailbox_letters_max: u64,
    /// Entries in the alarm clock now.
    pub alarms: u64,
}
