//! Seeded random numbers for the choice among SRV records: the same secret gives the same sequence.

use std::sync::atomic::{AtomicU64, Ordering};

use fabric::hash::hash64;

/// SplitMix64, shared by all questions.
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub fn new(secret: &[u8; 16]) -> Dice {
        Dice(AtomicU64::new(hash64(secret, &[b"srv"])))
    }

    /// A number from 0 to `highest`, both included.
    pub fn upto(&self, highest: u64) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut value = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^= value >> 31;
        // Weights are 16 bits wide: the bias of the remainder is below one in 2^40.
        value % highest.saturating_add(1).max(1)
    }
}
