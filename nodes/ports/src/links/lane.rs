//! The data lane of one session, without a socket: what waits to be sent, what waits to be acknowledged, and the limits
//! of both. Urgent parcels have numbers of their own and go first.

use std::collections::VecDeque;

use super::frame::{BATCH_HEAD_BYTES, PARCEL_BYTES_MAX, SessionId, seal_batch};

/// What goes out.
pub(super) struct Outgoing {
    /// The session that is up; `None` while nothing may be sent.
    session: Option<SessionId>,
    lanes: [Numbered; 2],
    bytes: usize,
    parcels: usize,
    bytes_max: usize,
    parcels_max: usize,
    /// Room of batches that were acknowledged, for the next ones.
    spare: Vec<Vec<u8>>,
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
    frame: Vec<u8>,
}

/// Why a parcel was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No session.
    Down,
    /// More than the window holds; the session has ended.
    Full,
    /// So many bytes, which no frame holds; nothing else has changed.
    TooLarge(usize),
}

impl Outgoing {
    pub fn new(bytes_max: usize, parcels_max: usize) -> Outgoing {
        Outgoing {
            session: None,
            lanes: Default::default(),
            bytes: 0,
            parcels: 0,
            bytes_max,
            parcels_max,
            spare: Vec::new(),
        }
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

    /// Puts a parcel in, as `encode` appends it; `Ok(true)` when the writer may be asleep. A full window ends the session.
    pub fn push(&mut self, is_urgent: bool, encode: impl FnOnce(&mut Vec<u8>)) -> Result<bool, Refused> {
        if self.session.is_none() {
            return Err(Refused::Down);
        }
        let was_idle = self.is_written();
        let lane = if is_urgent { URGENT } else { ORDERED };
        let numbered = &mut self.lanes[lane];
        let mut grown = 4;
        if numbered.open.is_empty() {
            numbered.begin(self.spare.pop());
            grown += BATCH_HEAD_BYTES;
        }
        let start = numbered.open.len();
        numbered.open.extend_from_slice(&[0; 4]);
        encode(&mut numbered.open);
        let length = numbered.open.len() - start - 4;
        if length > PARCEL_BYTES_MAX {
            numbered.open.truncate(if start == BATCH_HEAD_BYTES { 0 } else { start });
            return Err(Refused::TooLarge(length));
        }
        numbered.open[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
        if start > BATCH_HEAD_BYTES && numbered.open.len() > BATCH_BYTES {
            let parcel = numbered.open.split_off(start);
            numbered.seal(lane);
            numbered.begin(self.spare.pop());
            numbered.open.extend_from_slice(&parcel);
            grown += BATCH_HEAD_BYTES;
        }
        grown += length;
        if self.bytes + grown > self.bytes_max || self.parcels >= self.parcels_max {
            self.end();
            return Err(Refused::Full);
        }
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
                numbered.written = numbered.written.saturating_sub(1);
                let room = numbered.batches.pop_front().map(|batch| batch.frame).unwrap_or_default();
                if self.spare.len() < SPARE_MAX && room.capacity() <= SPARE_BYTES_MAX {
                    self.spare.push(room);
                }
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
    /// Begins a batch in the room of an old one.
    fn begin(&mut self, room: Option<Vec<u8>>) {
        self.open = room.unwrap_or_default();
        self.open.clear();
        self.open.resize(BATCH_HEAD_BYTES, 0);
    }

    fn seal(&mut self, lane: usize) {
        let mut frame = std::mem::take(&mut self.open);
        let count = std::mem::take(&mut self.open_count);
        seal_batch(&mut frame, lane, self.last + 1 - u64::from(count), count);
        self.batches.push_back(Batch { last: self.last, count, frame });
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

/// Room that is kept for the next batches: so many, none larger than that, bytes.
const SPARE_MAX: usize = 16;
const SPARE_BYTES_MAX: usize = 2 * BATCH_BYTES;

#[cfg(test)]
mod tests;
