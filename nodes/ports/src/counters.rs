//! Counters of a port: plain atomics that the node reads for its metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only rises, or a level when `sub` or `set` is used.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub fn set(&self, level: u64) {
        self.0.store(level, Ordering::Relaxed);
    }

    pub fn one(&self) {
        self.add(1);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Names and values at one moment, in a stable order.
pub type Snapshot = Vec<(&'static str, u64)>;
