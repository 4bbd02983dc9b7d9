//! What an operator sets.

use std::time::Duration;

use serde::Deserialize;

/// Settings of an anchor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The rtpengines. None: every ask comes back as `Unavailable`.
    pub relays: Vec<RelaySettings>,
    /// Time between two pings of an rtpengine, milliseconds. Default 500; zero counts as 1.
    pub ping_interval_ms: u32,
    /// How long a ping waits for its pong, milliseconds. Default 400; zero makes every ping a miss.
    pub ping_deadline_ms: u32,
    /// Pings or commands in a row without an answer that make an rtpengine dead, count. Default 3; zero counts as 1.
    pub misses_max: u32,
    /// Time until a command is sent again, doubled each time, milliseconds. Default 250; zero counts as 1.
    pub resend_ms: u32,
    /// How long a command waits for one rtpengine, milliseconds. Default 1200.
    pub command_deadline_ms: u32,
    /// How long an ask may take over all rtpengines that are tried, milliseconds. Default 2500.
    pub ask_deadline_ms: u32,
    /// How long an rtpengine that said it is full is passed over, milliseconds. Default 1000; zero: not at all.
    pub full_pause_ms: u32,
    /// Commands under way at once, count; one more comes back as `Overload`. Default 10000.
    pub commands_max: usize,
    /// Sessions whose rtpengine is remembered, count; beyond it new sessions come back as `Overload`. Default 200000.
    pub sessions_max: usize,
    /// Oldest session that still counts against an rtpengine's room, seconds. Default 25000, past the longest call.
    pub session_age_max_s: u32,
    /// Given-up offers that are still to be deleted, count; the oldest is forgotten beyond it. Default 10000.
    pub leftovers_max: usize,
    /// How long deleting a given-up offer is tried, seconds. Default 120; by then rtpengine has dropped it for silence.
    pub leftover_age_max_s: u32,
    /// How long rtpengine keeps the ports of a deleted session, seconds. Default 0.
    pub delete_delay_s: u32,
}

/// One rtpengine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelaySettings {
    /// Name in records and status.
    pub name: String,
    /// Where it listens for NG over UDP, `ip:port`.
    pub address: String,
    /// Share of new sessions against the others' weights, a plain number. Default 1; zero gets none.
    #[serde(default = "one")]
    pub weight: u32,
    /// Sessions it may have at once, count. Default 0: no limit of ours.
    #[serde(default)]
    pub sessions_max: u32,
    /// Takes no new sessions and keeps those it has. Default false.
    #[serde(default)]
    pub drain: bool,
}

fn one() -> u32 {
    1
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            relays: Vec::new(),
            ping_interval_ms: 500,
            ping_deadline_ms: 400,
            misses_max: 3,
            resend_ms: 250,
            command_deadline_ms: 1_200,
            ask_deadline_ms: 2_500,
            full_pause_ms: 1_000,
            commands_max: 10_000,
            sessions_max: 200_000,
            session_age_max_s: 25_000,
            leftovers_max: 10_000,
            leftover_age_max_s: 120,
            delete_delay_s: 0,
        }
    }
}

impl RelaySettings {
    /// An rtpengine of weight 1 without limits.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> RelaySettings {
        RelaySettings { name: name.into(), address: address.into(), weight: 1, sessions_max: 0, drain: false }
    }
}

impl Settings {
    pub(crate) fn ping_interval(&self) -> Duration {
        ms(self.ping_interval_ms.max(1))
    }

    pub(crate) fn ping_deadline(&self) -> Duration {
        ms(self.ping_deadline_ms)
    }

    pub(crate) fn resend(&self) -> Duration {
        ms(self.resend_ms.max(1))
    }

    pub(crate) fn command_deadline(&self) -> Duration {
        ms(self.command_deadline_ms)
    }

    pub(crate) fn ask_deadline(&self) -> Duration {
        ms(self.ask_deadline_ms)
    }

    pub(crate) fn full_pause(&self) -> Duration {
        ms(self.full_pause_ms)
    }
}

fn ms(milliseconds: u32) -> Duration {
    Duration::from_millis(u64::from(milliseconds))
}
