//! What an operator may set of a location shard.

use serde::{Deserialize, Serialize};

/// Settings of all location shards of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Most contacts of an address-of-record, count, permanent ones not counted. Default 5; zero refuses every contact.
    pub contacts_max: u16,
    /// What happens to one contact too many: the one that would end first gives way (true), or 403 (false). Default false.
    pub evict_oldest: bool,
    /// A REGISTER is answered when its change is durable (true), or at once (false). Default true.
    pub durable_before_answer: bool,
    /// How long a removed binding is remembered against delayed older requests, seconds. Default 64; zero forgets at once.
    pub tombstone_s: u32,
    /// Longest wait for the store to keep a change, milliseconds. Default 5000; zero fails every change.
    pub keep_timeout_ms: u32,
    /// Longest wait for the store to load the shard before it is asked again, milliseconds. Default 30000; zero asks at every wake-up.
    pub load_timeout_ms: u32,
    /// Pause before the store is asked again after it failed to load, milliseconds. Default 1000; zero asks at once.
    pub load_retry_ms: u32,
    /// Most letters that wait for the load, count. Default 10000; zero refuses all letters until then.
    pub queue_max: u32,
    /// Most changes on their way to the store, count. Default 2000; zero refuses every change.
    pub writes_max: u32,
    /// Most addresses-of-record of one shard, count. Default 1000000; zero refuses every contact.
    pub records_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            contacts_max: 5,
            evict_oldest: false,
            durable_before_answer: true,
            tombstone_s: 64,
            keep_timeout_ms: 5_000,
            load_timeout_ms: 30_000,
            load_retry_ms: 1_000,
            queue_max: 10_000,
            writes_max: 2_000,
            records_max: 1_000_000,
        }
    }
}
