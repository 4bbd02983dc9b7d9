//! A bounded table that forgets by itself: two generations, of which the older is thrown away when the younger is full or
//! old enough. Whatever is used moves to the younger one. No clean-up ever walks the table.

use std::time::Duration;

use fabric::Instant;
use fabric::hash::FixedMap;

/// Values by a hash of what they belong to.
#[derive(Debug)]
pub struct Generations<V> {
    young: FixedMap<u64, V>,
    old: FixedMap<u64, V>,
    generation_max: usize,
    period: Duration,
    turned: Instant,
}

impl<V: Default> Generations<V> {
    /// At most `max` values; one that is not used for `period` to twice `period` is forgotten.
    pub fn new(max: u32, period: Duration) -> Generations<V> {
        let generation_max = (max as usize / 2).max(1);
        let (young, old) = (FixedMap::default(), FixedMap::default());
        Generations { young, old, generation_max, period, turned: Instant::default() }
    }

    /// The value of `key`, if it is known.
    pub fn get(&mut self, key: u64, now: Instant) -> Option<&mut V> {
        self.turn_by_time(now);
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key)?;
            self.insert(key, value, now);
        }
        self.young.get_mut(&key)
    }

    /// The value of `key`, made when it is not known.
    pub fn at(&mut self, key: u64, now: Instant) -> &mut V {
        self.turn_by_time(now);
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key).unwrap_or_default();
            self.insert(key, value, now);
        }
        self.young.entry(key).or_default()
    }

    pub fn remove(&mut self, key: u64) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    /// Values in the table, count.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(&mut self, key: u64, value: V, now: Instant) {
        if self.young.len() >= self.generation_max {
            self.turn(now);
        }
        self.young.insert(key, value);
    }

    fn turn_by_time(&mut self, now: Instant) {
        let silence = now.since(self.turned);
        if silence >= self.period * 2 {
            // Nothing of either generation was used within the period.
            self.turn(now);
            self.turn(now);
        } else if silence >= self.period {
            self.turn(self.turned + self.period);
        }
    }

    fn turn(&mut self, now: Instant) {
        self.old = std::mem::take(&mut self.young);
        self.turned = now;
    }
}

#[cfg(test)]
mod tests;
