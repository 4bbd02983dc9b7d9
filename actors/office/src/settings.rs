//! Limits and lengths of the office.

use std::time::Duration;

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Pause between two beats to the directors, milliseconds; default 50.
    pub beat_ms: u32,
    /// A node from which nothing has come for this long is told to the directors as not heard, milliseconds; default 200: several
    /// times `links.keep_alive_ms`, and less than `unprotected_ms`. Zero tells nothing.
    pub deaf_ms: u32,
    /// Length of the lease that a beat may earn, milliseconds; default 300; the directors must be told the same.
    pub lease_ms: u32,
    /// How long mail for another node is kept and offered to the next owner, milliseconds; default 10000: a client over a stream waits for 32 s.
    pub hold_ms: u32,
    /// Letters for other nodes kept at a time, count; default 50000. Beyond it the oldest are given up and counted.
    pub mail_max: usize,
    /// Without an acknowledgement for this long effects leave unprotected, milliseconds; default 450 (rule R1).
    pub unprotected_ms: u32,
    /// A step without consequences is recorded this much later at most, milliseconds; default 20. Zero: at the next wake-up.
    pub defer_ms: u32,
    /// Bytes of images that are sent to a node that is filled, a round of `round_ms`; default 262144.
    pub fill_bytes_max: usize,
    /// Machines that are restored in the background after a take-over, count a round; default 200.
    pub revive_max: usize,
    /// Length of a round of background work, milliseconds; default 5.
    pub round_ms: u32,
    /// Pause between two comparisons of a group with its standby, milliseconds; default 5000.
    pub digest_ms: u32,
    /// Quiet time before a group is handed over, milliseconds; default 60: longer than `defer_ms`.
    pub yield_ms: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            beat_ms: 50,
            deaf_ms: 200,
            lease_ms: 300,
            hold_ms: 10_000,
            mail_max: 50_000,
            unprotected_ms: 450,
            defer_ms: 20,
            fill_bytes_max: 262_144,
            revive_max: 200,
            round_ms: 5,
            digest_ms: 5_000,
            yield_ms: 60,
        }
    }
}

impl Settings {
    pub(crate) fn beat(&self) -> Duration {
        millis(self.beat_ms)
    }

    pub(crate) fn deaf(&self) -> Option<Duration> {
        (self.deaf_ms > 0).then(|| millis(self.deaf_ms))
    }

    pub(crate) fn lease(&self) -> Duration {
        millis(self.lease_ms)
    }

    pub(crate) fn hold(&self) -> Duration {
        millis(self.hold_ms)
    }

    pub(crate) fn unprotected(&self) -> Duration {
        millis(self.unprotected_ms)
    }

    pub(crate) fn round(&self) -> Duration {
        millis(self.round_ms)
    }

    pub(crate) fn digest(&self) -> Duration {
        millis(self.digest_ms)
    }

    pub(crate) fn yielding(&self) -> Duration {
        millis(self.yield_ms)
    }
}

fn millis(length: u32) -> Duration {
    Duration::from_millis(u64::from(length))
}
