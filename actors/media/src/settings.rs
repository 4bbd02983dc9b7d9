//! What an operator sets.

use std::time::Duration;

use sdp::Network;
use serde::{Deserialize, Deserializer, de};

/// Settings of media sessions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long one ask waits for the anchor, milliseconds. Default 3000; longer than the anchor's own `ask_deadline_ms`.
    pub relay_deadline_ms: u32,
    /// How long an ask may wait for its turn, milliseconds. Default 4500: its call has given it up by then.
    pub ask_deadline_ms: u32,
    /// How long `End` waits for the statistics, milliseconds. Default 1500; zero answers at once without.
    pub end_deadline_ms: u32,
    /// Pause before a deletion is tried again, doubled up to 16 times itself, milliseconds. Default 1000.
    pub delete_retry_ms: u32,
    /// How long a deletion is tried, seconds. Default 120; by then the relay has dropped the session for silence.
    pub delete_age_max_s: u32,
    /// Oldest session that nobody has answered, seconds. Default 300, past the longest ringing.
    pub offer_age_max_s: u32,
    /// Oldest session at all, seconds. Default 22000, past the longest call.
    pub session_age_max_s: u32,
    /// Asks that may wait for their turn, count; one more comes back as `Overload`. Default 64.
    pub asks_max: usize,
    /// Legs of a call, count; an offer to one more comes back as `Overload`. Default 32.
    pub legs_max: usize,
    /// Drop packets that come from another address than the learnt one. Default true.
    pub strict_source: bool,
    /// Balancer nodes whose anchors may be used; default none: this node's own. Which one is the first choice of a call
    /// goes by its key; when that fails the next one in this list is tried, so neighbours are to stand on different chassis.
    pub anchors: Vec<u16>,
    /// Internal networks that a description may name (media gateways on private addresses), `10.0.0.0/8`. Default none.
    pub internal_networks: Vec<NetworkText>,
}

/// A network as it stands in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkText(pub Network);

impl<'de> Deserialize<'de> for NetworkText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<NetworkText, D::Error> {
        String::deserialize(from)?.parse().map(NetworkText).map_err(de::Error::custom)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            relay_deadline_ms: 3_000,
            ask_deadline_ms: 4_500,
            end_deadline_ms: 1_500,
            delete_retry_ms: 1_000,
            delete_age_max_s: 120,
            offer_age_max_s: 300,
            session_age_max_s: 22_000,
            asks_max: 64,
            legs_max: 32,
            strict_source: true,
            anchors: Vec::new(),
            internal_networks: Vec::new(),
        }
    }
}

impl Settings {
    pub(crate) fn relay_deadline(&self) -> Duration {
        Duration::from_millis(u64::from(self.relay_deadline_ms))
    }

    pub(crate) fn ask_deadline(&self) -> Duration {
        Duration::from_millis(u64::from(self.ask_deadline_ms))
    }

    pub(crate) fn end_deadline(&self) -> Duration {
        Duration::from_millis(u64::from(self.end_deadline_ms))
    }

    pub(crate) fn delete_retry(&self) -> Duration {
        Duration::from_millis(u64::from(self.delete_retry_ms.max(1)))
    }

    pub(crate) fn delete_age_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.delete_age_max_s))
    }

    pub(crate) fn offer_age_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.offer_age_max_s))
    }

    pub(crate) fn session_age_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.session_age_max_s))
    }
}
