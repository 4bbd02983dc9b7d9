//! Limits of the shell.

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Letters that may wait in one mailbox of a resident or a hive shard, count; default 20000, at zero every letter is refused.
    pub mailbox_letters_max: usize,
    /// Letters that may wait in the mailbox of an actor of its own (a call), count; default 1000, at zero every letter is refused.
    pub own_letters_max: usize,
    /// Actors of their own (calls) at a time, live and parked, count; default 1000000, at zero none is founded.
    pub own_actors_max: usize,
    /// Machines in one hive shard, count; default 1000000, at zero none is founded.
    pub hive_machines_max: usize,
    /// Letters an actor handles before it lets others run, count; default 64, zero counts as one.
    pub batch_letters_max: usize,
    /// Silence after which an actor of its own is parked, milliseconds; default 250, at zero it never is.
    pub park_after_ms: u64,
    /// Coarseness of the alarm clock, milliseconds; default 4, zero counts as one. Deadlines are met this much late at most.
    pub alarm_tick_ms: u64,
    /// Shards of the table of actors of their own, count; default 16, zero counts as one.
    pub table_shards: usize,
    /// Pause before a resident that died twice in a row is founded again, milliseconds; default 100, doubling up to `restart_pause_max_ms`.
    pub restart_pause_ms: u64,
    /// Longest such pause, milliseconds; default 10000.
    pub restart_pause_max_ms: u64,
    /// Open questions of the control plane, count; default 10000, at zero none may be asked.
    pub asks_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mailbox_letters_max: 20_000,
            own_letters_max: 1_000,
            own_actors_max: 1_000_000,
            hive_machines_max: 1_000_000,
            batch_letters_max: 64,
            park_after_ms: 250,
            alarm_tick_ms: 4,
            table_shards: 16,
            restart_pause_ms: 100,
            restart_pause_max_ms: 10_000,
            asks_max: 10_000,
        }
    }
}
