//! The clocks of a node.

use std::time::{SystemTime, UNIX_EPOCH};

use fabric::{Clock, Instant, Now};

/// The operating system's clocks: monotonic since the start, wall clock as it stands.
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            instant: Instant(micros(self.start.elapsed())),
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The clock of the tokio runtime, which tests can pause; the wall clock goes along with it.
pub struct TokioClock {
    start: tokio::time::Instant,
    start_unix_ms: u64,
}

impl TokioClock {
    /// Starts at instant 0 and `unix_ms` on the wall.
    pub fn new(unix_ms: u64) -> TokioClock {
        TokioClock { start: tokio::time::Instant::now(), start_unix_ms: unix_ms }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let since = micros(self.start.elapsed());
        Now { instant: Instant(since), unix_ms: self.start_unix_ms + since / 1_000 }
    }
}

fn micros(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
