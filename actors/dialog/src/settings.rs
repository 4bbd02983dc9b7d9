//! Intervals and limits of dialogs.

use serde::{Deserialize, Serialize};

/// Settings of the dialog layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// T1, first interval of a resent 2xx or reliable provisional, milliseconds; default 500; zero counts as 1.
    pub t1_ms: u32,
    /// T2, longest interval of a resent 2xx, milliseconds; default 4,000; less than T1 counts as T1.
    pub t2_ms: u32,
    /// Session interval that we ask for, seconds; default 1,800; zero asks for none and takes what the peer wants.
    pub session_expires_s: u32,
    /// Shortest session interval that we accept (Min-SE), seconds; default 90; less than 90 counts as 90 (RFC 4028 4).
    pub min_se_s: u32,
    /// Longest session interval that we follow, seconds; default 86,400; zero means no session timers at all.
    pub session_max_s: u32,
    /// Whether we refresh when the choice is ours, and alone when the peer knows no session timers; default true.
    pub refresh: bool,
    /// How often a 422 of the peer is followed with a longer interval, times; default 3; zero never tries again.
    pub session_retries_max: u8,
    /// Reliable provisional responses that may wait behind an unacknowledged one, number, default 8; zero lets none wait.
    pub provisionals_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            t1_ms: 500,
            t2_ms: 4_000,
            session_expires_s: 1_800,
            min_se_s: 90,
            session_max_s: 86_400,
            refresh: true,
            session_retries_max: 3,
            provisionals_max: 8,
        }
    }
}

impl Settings {
    pub(crate) fn first_ms(&self) -> u32 {
        self.t1_ms.max(1)
    }

    pub(crate) fn ceiling_ms(&self) -> u32 {
        self.t2_ms.max(self.first_ms())
    }

    /// Our Min-SE, seconds: never less than the 90 of RFC 4028 4, never more than the maximum.
    pub(crate) fn least_s(&self) -> u32 {
        self.min_se_s.max(LEAST_S)
    }
}

/// Shortest Min-SE that anybody may name, seconds (RFC 4028 4).
pub(crate) const LEAST_S: u32 = 90;
