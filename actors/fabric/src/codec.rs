//! Bytes of an envelope: what crosses a link or stands in a replica. One version byte, then postcard.
//!
//! Enum variants are encoded by their order: a new variant goes to the end of its enum, a new field means a new
//! version. The tests hold golden bytes of every version, so that a change which breaks a neighbour is noticed here.

pub mod previous;

use postcard::ser_flavors::Flavor;

use crate::{Envelope, Parcel};

/// Version written by this build.
pub const VERSION: u8 = 1;

/// Oldest version that this build reads.
pub const VERSION_MIN: u8 = 1;

/// Largest encoded envelope, bytes.
pub const ENVELOPE_BYTES_MAX: usize = 1 << 20;

/// Why bytes are not an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    Empty,
    /// Larger than `ENVELOPE_BYTES_MAX`.
    TooLarge(usize),
    /// Written by a build that is too new or too old.
    Version(u8),
    /// Not what the version says.
    Malformed,
}

impl std::fmt::Display for CodecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CodecError::Empty => write!(f, "empty envelope"),
            CodecError::TooLarge(bytes) => write!(f, "envelope of {bytes} bytes, at most {ENVELOPE_BYTES_MAX}"),
            CodecError::Version(version) => {
                write!(f, "envelope of version {version}, this build reads {VERSION_MIN} to {VERSION}")
            }
            CodecError::Malformed => write!(f, "malformed envelope"),
        }
    }
}

impl std::error::Error for CodecError {}

/// Encodes an envelope.
pub fn encode(envelope: &Envelope) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROOM_BYTES);
    bytes.push(VERSION);
    write(envelope, &mut bytes);
    bytes
}

/// Decodes an envelope; errors when it is too large, of another version or malformed.
pub fn decode(bytes: &[u8]) -> Result<Envelope, CodecError> {
    if bytes.len() > ENVELOPE_BYTES_MAX {
        return Err(CodecError::TooLarge(bytes.len()));
    }
    match bytes.split_first() {
        None => Err(CodecError::Empty),
        Some((version, rest)) if (VERSION_MIN..=VERSION).contains(version) => {
            postcard::from_bytes(rest).map_err(|_| CodecError::Malformed)
        }
        Some((version, _)) => Err(CodecError::Version(*version)),
    }
}

/// Encodes a parcel: what crosses the data lane of a link.
pub fn encode_parcel(parcel: &Parcel) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROOM_BYTES);
    append_parcel(parcel, &mut bytes);
    bytes
}

/// The same, behind what `bytes` holds already.
pub fn append_parcel(parcel: &Parcel, bytes: &mut Vec<u8>) {
    bytes.push(VERSION);
    write(parcel, bytes);
}

/// Decodes a parcel; errors as `decode`.
pub fn decode_parcel(bytes: &[u8]) -> Result<Parcel, CodecError> {
    if bytes.len() > ENVELOPE_BYTES_MAX {
        return Err(CodecError::TooLarge(bytes.len()));
    }
    match bytes.split_first() {
        None => Err(CodecError::Empty),
        Some((version, rest)) if (VERSION_MIN..=VERSION).contains(version) => {
            postcard::from_bytes(rest).map_err(|_| CodecError::Malformed)
        }
        Some((version, _)) => Err(CodecError::Version(*version)),
    }
}

/// Encodes one part of a machine's state (`Machine::save`).
pub fn encode_part<T: serde::Serialize>(value: &T) -> bytes::Bytes {
    let mut bytes = Vec::with_capacity(ROOM_BYTES);
    write(value, &mut bytes);
    // It is kept for long: no longer than it must be.
    bytes::Bytes::copy_from_slice(&bytes)
}

/// Encodes one part into the room of another, for what is read and forgotten.
pub fn append_part<T: serde::Serialize>(value: &T, bytes: &mut Vec<u8>) {
    write(value, bytes);
}

/// Decodes one part of a machine's state; `None` when it is of another make.
pub fn decode_part<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

fn write<T: serde::Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    postcard::serialize_with_flavor(value, Behind(bytes))
        .expect("no letter, parcel or state has an unserialisable part");
}

/// Writes behind the bytes that are there; postcard's own flavours begin with an empty vector, which grows many times.
struct Behind<'a>(&'a mut Vec<u8>);

impl Flavor for Behind<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Room that a vector begins with, bytes: most letters, and the state of a call, fit.
const ROOM_BYTES: usize = 4096;

#[cfg(test)]
mod tests;
