//! Bytes of a link: `length u32, kind u8, body`; the length counts kind and body. All numbers are big-endian.
//!
//! The first frame each way is `Hello` (from the side that dialled) and `Welcome`; their layout never changes, only
//! grows at the end, so that builds of any age can tell each other that they do not fit. Golden bytes stand in the tests.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fabric::NodeId;

/// Version of the frames that this build speaks.
pub(super) const VERSION: u16 = 1;

/// Oldest version that this build speaks.
pub(super) const VERSION_MIN: u16 = 1;

/// Largest frame, bytes; the length is held against it before anything is allocated.
pub(super) const FRAME_BYTES_MAX: usize = 1 << 20;

/// Largest first frame, bytes.
pub(super) const GREETING_BYTES_MAX: usize = 512;

/// Largest encoded parcel that fits a frame, bytes.
pub(super) const PARCEL_BYTES_MAX: usize = FRAME_BYTES_MAX - BATCH_HEAD_BYTES - 4;

/// Bytes of a batch before its first parcel: length, kind, lane, first number, count.
pub(super) const BATCH_HEAD_BYTES: usize = 4 + 1 + 1 + 8 + 4;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Parcels and commands.
    Data = 0,
}

/// Names a session: the boot of who accepted it, and its number there; zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionId(pub u128);

/// First frame of the side that dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub version_min: u16,
    pub version_max: u16,
    pub node: NodeId,
    pub chassis: u16,
    pub lane: Lane,
    pub boot: u64,
    /// The session it would go on with.
    pub session: SessionId,
    /// Highest numbers that it has of it: urgent, ordered.
    pub received: [u64; 2],
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Welcome {
    pub verdict: Verdict,
    /// The version to be spoken, or the newest that this side could speak.
    pub version: u16,
    pub node: NodeId,
    pub boot: u64,
    pub session: SessionId,
    pub received: [u64; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A new session begins.
    Fresh = 0,
    /// The session goes on.
    Resumed = 1,
    /// The versions do not overlap.
    Version = 2,
    /// Not now.
    Refused = 3,
}

/// Frames after the greeting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Parcels of a lane (0 urgent, 1 ordered) from number `first` on, each `length u32, bytes`.
    Batch {
        lane: usize,
        first: u64,
        count: u32,
        parcels: Bytes,
    },
    /// Everything up to these numbers is here: urgent, ordered.
    Ack([u64; 2]),
    /// Answered by `Pong` with the same number.
    Ping(u64),
    Pong(u64),
    /// The sender ends the session on purpose.
    Bye,
    /// A command: number, bytes.
    Ask(u64, Bytes),
    /// Its answer.
    Answer(u64, AnswerStatus, Bytes),
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerStatus {
    Done = 0,
    Busy = 1,
    NotServed = 2,
}

/// Bytes that are no frame; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    TooLarge(u32),
    Empty,
    Kind(u8),
    Malformed,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::TooLarge(bytes) => write!(f, "frame of {bytes} bytes"),
            FrameError::Empty => write!(f, "empty frame"),
            FrameError::Kind(kind) => write!(f, "unknown frame {kind}"),
            FrameError::Malformed => write!(f, "malformed frame"),
        }
    }
}

/// Takes the next whole frame off the front; `None` when more bytes are needed.
pub(super) fn cut(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<(u8, Bytes)>, FrameError> {
    let Some(head) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*head);
    if length == 0 {
        return Err(FrameError::Empty);
    }
    if length as usize > bytes_max - 4 {
        return Err(FrameError::TooLarge(length));
    }
    let whole = 4 + length as usize;
    if buffer.len() < whole {
        // Room for the rest at once: the length is within its limit.
        buffer.reserve(whole - buffer.len());
        return Ok(None);
    }
    let mut frame = buffer.split_to(whole).freeze();
    frame.advance(4);
    let kind = frame.get_u8();
    Ok(Some((kind, frame)))
}

/// Reads a frame of an open link.
pub(super) fn parse(kind: u8, mut body: Bytes) -> Result<Frame, FrameError> {
    let need = |body: &Bytes, bytes: usize| if body.len() < bytes { Err(FrameError::Malformed) } else { Ok(()) };
    Ok(match kind {
        BATCH => {
            need(&body, BATCH_HEAD_BYTES - 5)?;
            let (lane, first, count) = (body.get_u8(), body.get_u64(), body.get_u32());
            if lane > 1 || first == 0 || count == 0 {
                return Err(FrameError::Malformed);
            }
            Frame::Batch { lane: usize::from(lane), first, count, parcels: body }
        }
        ACK => {
            need(&body, 16)?;
            Frame::Ack([body.get_u64(), body.get_u64()])
        }
        PING | PONG => {
            need(&body, 8)?;
            let number = body.get_u64();
            if kind == PING { Frame::Ping(number) } else { Frame::Pong(number) }
        }
        BYE => Frame::Bye,
        ASK => {
            need(&body, 8)?;
            Frame::Ask(body.get_u64(), body)
        }
        ANSWER => {
            need(&body, 9)?;
            let number = body.get_u64();
            let status = match body.get_u8() {
                0 => AnswerStatus::Done,
                1 => AnswerStatus::Busy,
                _ => AnswerStatus::NotServed,
            };
            Frame::Answer(number, status, body)
        }
        other => return Err(FrameError::Kind(other)),
    })
}

/// Takes the next parcel off a batch.
pub(super) fn next_parcel(parcels: &mut Bytes) -> Result<Bytes, FrameError> {
    let Some(head) = parcels.first_chunk::<4>() else { return Err(FrameError::Malformed) };
    let length = u32::from_be_bytes(*head) as usize;
    if parcels.len() - 4 < length {
        return Err(FrameError::Malformed);
    }
    parcels.advance(4);
    Ok(parcels.split_to(length))
}

/// Fills in the head of a batch whose parcels stand behind `BATCH_HEAD_BYTES` of room.
pub(super) fn seal_batch(frame: &mut [u8], lane: usize, first: u64, count: u32) {
    let length = frame.len() as u32 - 4;
    let mut head = &mut frame[..BATCH_HEAD_BYTES];
    head.put_u32(length);
    head.put_u8(BATCH);
    head.put_u8(lane as u8);
    head.put_u64(first);
    head.put_u32(count);
}

pub(super) fn put_ack(out: &mut Vec<u8>, received: [u64; 2]) {
    out.put_u32(17);
    out.put_u8(ACK);
    out.put_u64(received[0]);
    out.put_u64(received[1]);
}

pub(super) fn put_ping(out: &mut Vec<u8>, number: u64) {
    put_number(out, PING, number);
}

pub(super) fn put_pong(out: &mut Vec<u8>, number: u64) {
    put_number(out, PONG, number);
}

pub(super) fn put_bye(out: &mut Vec<u8>) {
    out.put_u32(1);
    out.put_u8(BYE);
}

pub(super) fn put_ask(out: &mut Vec<u8>, number: u64, command: &[u8]) {
    out.put_u32(command.len() as u32 + 9);
    out.put_u8(ASK);
    out.put_u64(number);
    out.put_slice(command);
}

pub(super) fn put_answer(out: &mut Vec<u8>, number: u64, status: AnswerStatus, answer: &[u8]) {
    out.put_u32(answer.len() as u32 + 10);
    out.put_u8(ANSWER);
    out.put_u64(number);
    out.put_u8(status as u8);
    out.put_slice(answer);
}

fn put_number(out: &mut Vec<u8>, kind: u8, number: u64) {
    out.put_u32(9);
    out.put_u8(kind);
    out.put_u64(number);
}

impl Hello {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.put_u32(0);
        out.put_u8(HELLO);
        out.put_slice(MAGIC);
        out.put_u16(self.version_min);
        out.put_u16(self.version_max);
        out.put_u16(self.node.0);
        out.put_u16(self.chassis);
        out.put_u8(self.lane as u8);
        out.put_u64(self.boot);
        out.put_u128(self.session.0);
        out.put_u64(self.received[0]);
        out.put_u64(self.received[1]);
        finish(out)
    }

    /// Reads the first frame; what a newer build has added at its end is passed over.
    pub fn decode(kind: u8, mut body: Bytes) -> Result<Hello, FrameError> {
        if kind != HELLO {
            return Err(FrameError::Kind(kind));
        }
        if body.len() < 53 || body.split_to(4) != MAGIC[..] {
            return Err(FrameError::Malformed);
        }
        Ok(Hello {
            version_min: body.get_u16(),
            version_max: body.get_u16(),
            node: NodeId(body.get_u16()),
            chassis: body.get_u16(),
            lane: match body.get_u8() {
                0 => Lane::Data,
                _ => return Err(FrameError::Malformed),
            },
            boot: body.get_u64(),
            session: SessionId(body.get_u128()),
            received: [body.get_u64(), body.get_u64()],
        })
    }

    /// The version to be spoken with this peer: the newest that both know.
    pub fn version(&self) -> Option<u16> {
        let version = self.version_max.min(VERSION);
        (version >= self.version_min && version >= VERSION_MIN).then_some(version)
    }
}

impl Welcome {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.put_u32(0);
        out.put_u8(WELCOME);
        out.put_u8(self.verdict as u8);
        out.put_u16(self.version);
        out.put_u16(self.node.0);
        out.put_u64(self.boot);
        out.put_u128(self.session.0);
        out.put_u64(self.received[0]);
        out.put_u64(self.received[1]);
        finish(out)
    }

    pub fn decode(kind: u8, mut body: Bytes) -> Result<Welcome, FrameError> {
        if kind != WELCOME {
            return Err(FrameError::Kind(kind));
        }
        if body.len() < 45 {
            return Err(FrameError::Malformed);
        }
        Ok(Welcome {
            verdict: match body.get_u8() {
                0 => Verdict::Fresh,
                1 => Verdict::Resumed,
                2 => Verdict::Version,
                _ => Verdict::Refused,
            },
            version: body.get_u16(),
            node: NodeId(body.get_u16()),
            boot: body.get_u64(),
            session: SessionId(body.get_u128()),
            received: [body.get_u64(), body.get_u64()],
        })
    }
}

fn finish(mut out: Vec<u8>) -> Vec<u8> {
    let length = out.len() as u32 - 4;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

const MAGIC: &[u8; 4] = b"TNDM";

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const BATCH: u8 = 3;
const ACK: u8 = 4;
const PING: u8 = 5;
const PONG: u8 = 6;
const BYE: u8 = 7;
const ASK: u8 = 8;
const ANSWER: u8 = 9;

#[cfg(test)]
mod tests;
