//! Write times that fence: made of the owner's epoch and the second, so that what an older owner writes late loses against
//! what its successor wrote, whatever their clocks say. Twenty bits of epoch over thirty of seconds stay below the present
//! in microseconds, beyond which ScyllaDB takes no write time.

/// Write time of what happened at `unix_ms` under `epoch`.
pub(crate) fn of(epoch: u64, unix_ms: u64) -> i64 {
    (epoch.saturating_add(1).min(EPOCHS_MAX) << SECONDS_BITS | seconds(unix_ms)) as i64
}

/// Write time of what nobody witnessed: weaker than any other.
pub(crate) fn weak(unix_ms: u64) -> i64 {
    seconds(unix_ms).max(1) as i64
}

fn seconds(unix_ms: u64) -> u64 {
    (unix_ms.saturating_sub(BEGIN_MS) / 1000).min((1 << SECONDS_BITS) - 1)
}

/// 34 years from `BEGIN_MS`.
const SECONDS_BITS: u32 = 30;

/// A million changes of a group's owner.
const EPOCHS_MAX: u64 = (1 << 20) - 1;

/// 2026-01-01T00:00:00Z.
const BEGIN_MS: u64 = 1_767_225_600_000;

#[cfg(test)]
mod tests;
