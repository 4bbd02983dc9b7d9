//! Time as a value: rooms are told what time it is, they never look.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the node's monotonic clock, microseconds since the node's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instant(pub u64);

/// The time a letter is handled at: monotonic for durations, wall clock for what people and peers read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    pub instant: Instant,
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
}

impl Instant {
    /// Time since `earlier`; zero when `earlier` is in the future.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, length: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(length.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

impl Now {
    /// The same moment, `length` later on both clocks.
    pub fn after(self, length: Duration) -> Now {
        let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Now { instant: self.instant + length, unix_ms: self.unix_ms.saturating_add(length_ms) }
    }

    /// The monotonic instant at which the wall clock will show `unix_ms`, if it does not step; now when it is past.
    pub fn instant_of(self, unix_ms: u64) -> Instant {
        self.instant + Duration::from_millis(unix_ms.saturating_sub(self.unix_ms))
    }
}
