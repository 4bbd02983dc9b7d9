//! Timers as data: a small ordered table inside a machine; the host only sees the earliest deadline.

use serde::{Deserialize, Serialize};

use crate::Instant;

/// Named timers of one machine. `K` names them; setting one again moves it. Meant for tens of timers, not thousands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timers<K> {
    set: Vec<(Instant, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Timers { set: Vec::new() }
    }
}

impl<K: PartialEq> Timers<K> {
    pub fn new() -> Timers<K> {
        Timers::default()
    }

    /// Sets `timer` to fire at `at`, moving it when it was set.
    pub fn set(&mut self, timer: K, at: Instant) {
        self.cancel(&timer);
        let place = self.set.partition_point(|(other, _)| *other <= at);
        self.set.insert(place, (at, timer));
    }

    /// Cancels `timer`; nothing happens when it was not set.
    pub fn cancel(&mut self, timer: &K) {
        self.set.retain(|(_, other)| other != timer);
    }

    /// Cancels every timer for which `gone` holds.
    pub fn cancel_where(&mut self, mut gone: impl FnMut(&K) -> bool) {
        self.set.retain(|(_, timer)| !gone(timer));
    }

    /// When `timer` is due, if set.
    pub fn due(&self, timer: &K) -> Option<Instant> {
        self.set.iter().find(|(_, other)| other == timer).map(|(at, _)| *at)
    }

    /// Takes the next timer that is due at `now`, earliest first.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        match self.set.first() {
            Some((at, _)) if *at <= now => Some(self.set.remove(0).1),
            _ => None,
        }
    }

    /// The earliest deadline.
    pub fn earliest(&self) -> Option<Instant> {
        self.set.first().map(|(at, _)| *at)
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Gives spare memory back.
    pub fn shrink(&mut self) {
        self.set.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests;
