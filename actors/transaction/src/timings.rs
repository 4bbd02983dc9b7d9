//! Lengths of the timers A to M: RFC 3261 table 4, RFC 6026 7.1.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the transaction layer; a transaction keeps the copy it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timings {
    /// T1, the estimated round trip, milliseconds; default 500; zero counts as 1.
    pub t1_ms: u32,
    /// T2, longest interval between resent non-INVITE requests and INVITE responses, milliseconds; default 4,000; less than T1 counts as T1.
    pub t2_ms: u32,
    /// T4, how long a message may stay in the network, milliseconds; default 5,000; zero keeps nothing for stragglers.
    pub t4_ms: u32,
    /// Timer C, longest wait for a final response after a provisional one, milliseconds; default 185,000 (RFC 3261 16.6 wants more than three minutes); zero waits for ever.
    pub timer_c_ms: u32,
    /// Timer D, how long a refused INVITE stays ready to repeat its ACK over UDP, milliseconds; default 32,000; zero forgets it at once.
    pub timer_d_ms: u32,
    /// Wait before an unanswered INVITE gets its 100 Trying, milliseconds; default 0: at once. RFC 3261 17.2.1 allows 200.
    pub trying_ms: u32,
}

impl Default for Timings {
    fn default() -> Timings {
        Timings { t1_ms: 500, t2_ms: 4_000, t4_ms: 5_000, timer_c_ms: 185_000, timer_d_ms: 32_000, trying_ms: 0 }
    }
}

impl Timings {
    /// First interval of a resent message (timers A, E, G), milliseconds.
    pub(crate) fn first_ms(&self) -> u32 {
        self.t1_ms.max(1)
    }

    /// The interval after `interval_ms`, with the ceiling T2 (timers E and G).
    pub(crate) fn next_ms(&self, interval_ms: u32) -> u32 {
        interval_ms.saturating_mul(2).min(self.ceiling_ms())
    }

    /// T2, milliseconds.
    pub(crate) fn ceiling_ms(&self) -> u32 {
        self.t2_ms.max(self.first_ms())
    }

    /// 64*T1: timers B, F, H, J, L and M.
    pub fn transaction(&self) -> Duration {
        Duration::from_millis(u64::from(self.first_ms()) * 64)
    }

    /// T4: timers I and K.
    pub(crate) fn straggler(&self) -> Duration {
        millis(self.t4_ms)
    }
}

pub(crate) fn millis(count: u32) -> Duration {
    Duration::from_millis(u64::from(count))
}
