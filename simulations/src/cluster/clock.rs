//! The clocks of a node: a monotonic one that may run wrong, and a wall clock that may jump.

use fabric::{Instant, Now};

use crate::plan::START_UNIX_MS;

/// True time is microseconds since the start of the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    true_us: u64,
    local_us: u64,
    /// Millionths that it runs fast (or, below 0, slow).
    drift_ppm: i64,
    /// Milliseconds that the wall clock is ahead.
    wall_ms: i64,
}

impl Clock {
    /// The clock of a process that starts now: monotonic time begins anywhere.
    pub fn new(true_us: u64, local_us: u64, drift_ppm: i64, wall_ms: i64) -> Clock {
        Clock { true_us, local_us, drift_ppm, wall_ms }
    }

    pub fn instant(&self, true_us: u64) -> Instant {
        let passed = true_us.saturating_sub(self.true_us);
        let more = (passed as i128 * i128::from(self.drift_ppm) / 1_000_000) as i64;
        Instant((self.local_us + passed).saturating_add_signed(more))
    }

    pub fn now(&self, true_us: u64) -> Now {
        let unix_ms = (START_UNIX_MS + true_us / 1_000).saturating_add_signed(self.wall_ms);
        Now { instant: self.instant(true_us), unix_ms }
    }

    /// The first true moment at which this clock shows `at` or more.
    pub fn when(&self, at: Instant) -> u64 {
        let left = at.0.saturating_sub(self.local_us);
        let rate = 1_000_000 + i128::from(self.drift_ppm);
        let passed = (i128::from(left) * 1_000_000 + rate - 1) / rate;
        let mut when = self.true_us + passed as u64;
        while self.instant(when) < at {
            when += 1;
        }
        when
    }

    pub fn drift(&mut self, true_us: u64, drift_ppm: i64) {
        *self = Clock::new(true_us, self.instant(true_us).0, drift_ppm, self.wall_ms);
    }

    pub fn step(&mut self, by_ms: i64) {
        self.wall_ms += by_ms;
    }

    pub fn drift_ppm(&self) -> i64 {
        self.drift_ppm
    }

    pub fn wall_ms(&self) -> i64 {
        self.wall_ms
    }
}
