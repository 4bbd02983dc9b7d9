//! The data lane of one session, without a socket: what waits to be sent, what waits to be acknowledged, and the limits
//! of both. Urgent parcels have numbers of their own and go first.

use std::collections::VecDeque;

use bytes::Bytes;

use super::frame::{BATCH_HEAD_BYTES, SessionId, seal_batch};

/// What goes out.
pub(super) struct Outgoing {
    /// The session that is up; `None` while nothing may be sent.
    session: Option<SessionId>,
    lanes: [Numbered; 2],
    bytes: usize,
    parcels: usize,
    bytes_max: usize,
    parcels_max: usize,
}

/// Parcels with numbers without gaps.
#[derive(Default)]
struct Numbered {
    /// Number of the last parcel that was put in.
    last: u64,
    /// A batch that is still being filled: room for its head, then parcels.
    open: Vec<u8>,
    open_count: u32,
    /// Batches that are not acknowledged, oldest first.
    batches: VecDeque<Batch>,
    /// How many of them were written on this connection.
    written: usize,
}

struct Batch {
    last: u64,
    count: u32,
    frame: Bytes,
}

/// Why a parcel was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No session.
    Down,
    /// More than the window holds; the session has ended.
    Full,
}

impl Outgoing {
    pub fn new(bytes_max: usize, parcels_max: usize) -> Outgoing {
        Outgoing { session: None, lanes: Default::default(), bytes: 0, parcels: 0, bytes_max, parcels_max }
    }

    /// Begins a session with empty lanes.
    pub fn begin(&mut self, session: SessionId) {
        self.clear();
        self.session = Some(session);
    }

    /// Ends the session; what waited is dropped.
    pub fn end(&mut self) {
        self.clear();
        self.session = None;
    }

    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Bytes and parcels that wait to be sent or acknowledged.
    pub fn waiting(&self) -> (usize, usize) {
        (self.bytes, self.parcels)
    }

    /// Puts an encoded parcel in; `Ok(true)` when the writer may be asleep. A full window ends the session.
    pub fn push(&mut self, parcel: &[u8], is_urgent: bool) -> Result<bool, Refused> {
        if self.session.is_none() {
            return Err(Refused::Down);
        }
        let grown = parcel.len() + 4;
        if self.bytes + grown + BATCH_HEAD_BYTES > self.bytes_max || self.parcels >= self.parcels_max {
            self.end();
            return Err(Refused::Full);
        }
        let was_idle = self.is_written();
        let lane = if is_urgent { URGENT } else { ORDERED };
        let numbered = &mut self.lanes[lane];
        if !numbered.open.is_empty() && numbered.open.len() + grown > BATCH_BYTES {
            numbered.seal(lane);
        }
        if numbered.open.is_empty() {
            numbered.open.resize(BATCH_HEAD_BYTES, 0);
            self.bytes += BATCH_HEAD_BYTES;
        }
        numbered.open.extend_from_slice(&(parcel.len() as u32).to_be_bytes());
        numbered.open.extend_from_slice(parcel);
        numbered.open_count += 1;
        numbered.last += 1;
        self.bytes += grown;
        self.parcels += 1;
        Ok(was_idle)
    }

    /// Takes what is to be written next, urgent first, until `out` holds `bytes_max` or a batch more.
    pub fn take(&mut self, out: &mut Vec<u8>, bytes_max: usize) {
        for lane in [URGENT, ORDERED] {
            let numbered = &mut self.lanes[lane];
            while out.len() < bytes_max {
                if numbered.written == numbered.batches.len() {
                    if numbered.open.is_empty() {
                        break;
                    }
                    numbered.seal(lane);
                }
                out.extend_from_slice(&numbered.batches[numbered.written].frame);
                numbered.written += 1;
            }
        }
    }

    /// Everything that was put in was written.
    pub fn is_written(&self) -> bool {
        self.lanes.iter().all(|numbered| numbered.open.is_empty() && numbered.written == numbered.batches.len())
    }

    /// Drops what the peer has; `false` when it claims what was never written.
    pub fn acknowledge(&mut self, received: [u64; 2]) -> bool {
        for (numbered, received) in self.lanes.iter_mut().zip(received) {
            if received > numbered.last - u64::from(numbered.open_count) {
                return false;
            }
            while let Some(batch) = numbered.batches.front().filter(|batch| batch.last <= received) {
                self.bytes -= batch.frame.len();
                self.parcels -= batch.count as usize;
                numbered.batches.pop_front();
                numbered.written = numbered.written.saturating_sub(1);
            }
        }
        true
    }

    /// A new connection of the same session: what is not acknowledged is written again.
    pub fn rewind(&mut self) {
        self.lanes.iter_mut().for_each(|numbered| numbered.written = 0);
    }

    fn clear(&mut self) {
        self.lanes = Default::default();
        (self.bytes, self.parcels) = (0, 0);
    }
}

impl Numbered {
    fn seal(&mut self, lane: usize) {
        let mut frame = std::mem::take(&mut self.open);
        let count = std::mem::take(&mut self.open_count);
        seal_batch(&mut frame, lane, self.last + 1 - u64::from(count), count);
        self.batches.push_back(Batch { last: self.last, count, frame: frame.into() });
    }
}

/// What came in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Incoming {
    /// Highest numbers: urgent, ordered.
    pub received: [u64; 2],
}

impl Incoming {
    /// How many parcels of a batch are here already; `None` when some are missing before it.
    pub fn known(&self, lane: usize, first: u64, count: u32) -> Option<u32> {
        let received = self.received[lane];
        if first > received.saturating_add(1) {
            return None;
        }
        Some(u32::try_from(received + 1 - first).unwrap_or(u32::MAX).min(count))
    }
}

/// Places of the two lanes.
pub(super) const URGENT: usize = 0;
pub(super) const ORDERED: usize = 1;

/// A batch is sent at this size at the latest, bytes; larger parcels have one of their own.
const BATCH_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
