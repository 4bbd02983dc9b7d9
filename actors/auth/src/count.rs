//! Nonce counts: each (nonce, nc) is accepted once. RFC 7616 3.4 `nc` and 5.5.

use serde::{Deserialize, Serialize};

/// The counts of the nonces that one machine has accepted for one binding.
///
/// A nonce of a binding is named by its issue time, so an entry has 16 bytes. At most two nonces are kept: a client
/// moves to the next one after a `stale=true`, and an older one is then retired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonceCounts {
    newest: Option<Seen>,
    older: Option<Seen>,
    /// Nonces issued at or before this moment and not kept are retired, milliseconds since 1970.
    retired_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    issued_ms: u64,
    highest: u32,
    /// Bit `n` is set when `highest - n` was accepted.
    window: u32,
}

/// What a count is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Not seen before; it is taken now.
    First,
    /// Seen before, or too far behind to know.
    Replayed,
    /// The nonce was given up for newer ones.
    Retired,
}

impl NonceCounts {
    pub fn new() -> NonceCounts {
        NonceCounts::default()
    }

    /// Takes count `nc` of the nonce that was issued at `issued_ms`, unless it was taken before.
    pub fn take(&mut self, issued_ms: u64, nc: u32) -> Count {
        for seen in [&mut self.newest, &mut self.older].into_iter().flatten() {
            if seen.issued_ms == issued_ms {
                return seen.take(nc);
            }
        }
        if issued_ms <= self.retired_ms {
            return Count::Retired;
        }
        let fresh = Seen { issued_ms, highest: nc, window: 1 };
        match self.newest {
            Some(newest) if newest.issued_ms < issued_ms => {
                self.retire(self.older);
                self.older = Some(newest);
                self.newest = Some(fresh);
            }
            Some(_) => match self.older {
                Some(older) if older.issued_ms > issued_ms => return Count::Retired,
                older => {
                    self.retire(older);
                    self.older = Some(fresh);
                }
            },
            None => self.newest = Some(fresh),
        }
        Count::First
    }

    /// Until when a restart of these counts could let a replay through; `None` when nothing was accepted.
    ///
    /// Milliseconds since 1970, for nonces of life `life_ms`.
    pub fn remember_until_ms(&self, life_ms: u64) -> Option<u64> {
        self.newest.map(|seen| seen.issued_ms.saturating_add(life_ms))
    }

    fn retire(&mut self, gone: Option<Seen>) {
        if let Some(gone) = gone {
            self.retired_ms = self.retired_ms.max(gone.issued_ms);
        }
    }
}

impl Seen {
    fn take(&mut self, nc: u32) -> Count {
        if nc > self.highest {
            let step = nc - self.highest;
            self.window = self.window.checked_shl(step).unwrap_or(0) | 1;
            self.highest = nc;
            return Count::First;
        }
        let behind = self.highest - nc;
        let bit = 1u32.checked_shl(behind).unwrap_or(0);
        if bit == 0 || self.window & bit != 0 {
            return Count::Replayed;
        }
        self.window |= bit;
        Count::First
    }
}

#[cfg(test)]
mod tests;
