//! The state of a registration as its standby keeps it: one part, a version byte and postcard.

use std::sync::Arc;

use auth::NonceCounts;
use bytes::Bytes;
use fabric::Instant;
use fabric::codec::{decode_part, encode_part};

use super::{Desk, KeepAlive, Last, Open, Registration};

/// Version of the state that this build writes, and the only one that it reads.
const VERSION: u8 = 1;

/// What stands behind the version byte.
type State = (Option<Box<Open>>, Option<Box<KeepAlive>>, NonceCounts, Last, Instant);

impl Registration {
    /// The registration that these bytes describe; `None` when they are damaged or of another version.
    pub fn restore(desk: Arc<Desk>, bytes: &[u8]) -> Option<Registration> {
        let (&VERSION, state) = bytes.split_first()? else { return None };
        let (open, keep_alive, counts, last, remember) = decode_part::<State>(state)?;
        Some(Registration { desk, open, keep_alive, counts, last, remember })
    }

    /// The state as a replica keeps it.
    pub(super) fn write(&self) -> Bytes {
        encode_part(&(VERSION, (&self.open, &self.keep_alive, &self.counts, &self.last, self.remember)))
    }
}

#[cfg(test)]
mod tests;
