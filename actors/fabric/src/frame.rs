//! Frames of a file: length and CRC32C (Castagnoli), four bytes each in little-endian order, and a body in postcard. What a
//! crash has torn is told from what was written.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Length and CRC, bytes.
pub const HEAD: usize = 8;

/// Adds a frame to a file's bytes; returns the length of its body. Errors: a value that cannot be serialised.
pub fn put<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<usize, postcard::Error> {
    let start = out.len();
    let mut bytes = std::mem::take(out);
    bytes.extend_from_slice(&[0; HEAD]);
    *out = postcard::to_extend(value, bytes)?;
    let (head, body) = out[start..].split_at_mut(HEAD);
    head[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    head[4..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    Ok(body.len())
}

/// The frame that these bytes begin with, and its length with the head; `None`: none is whole here. A body of more than
/// `body_bytes_max` is not believed.
pub fn at<T: DeserializeOwned>(bytes: &[u8], body_bytes_max: usize) -> Option<(T, usize)> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(4..HEAD)?.try_into().ok()?);
    // An empty body has the CRC 0: eight zero bytes are no frame.
    if length == 0 || length > body_bytes_max {
        return None;
    }
    let body = bytes.get(HEAD..HEAD + length)?;
    if crc32c::crc32c(body) != crc {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, HEAD + length))
}

/// All whole frames from the start, and where they end: for a file in which nothing may be missing.
pub fn all<T: DeserializeOwned>(bytes: &[u8], body_bytes_max: usize) -> (Vec<T>, usize) {
    let (mut found, mut place) = (Vec::new(), 0);
    while let Some((value, length)) = at(&bytes[place..], body_bytes_max) {
        found.push(value);
        place += length;
    }
    (found, place)
}

/// All whole frames wherever they begin, and how many bytes belong to none: for a file whose entries stand alone.
pub fn salvage<T: DeserializeOwned>(mut bytes: &[u8], body_bytes_max: usize) -> (Vec<T>, u64) {
    let (mut found, mut damaged) = (Vec::new(), 0);
    while !bytes.is_empty() {
        match at(bytes, body_bytes_max) {
            Some((value, length)) => {
                found.push(value);
                bytes = &bytes[length..];
            }
            None => {
                damaged += 1;
                bytes = &bytes[1..];
            }
        }
    }
    (found, damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(values: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in values {
            put(value, &mut bytes).expect("a number");
        }
        bytes
    }

    #[test]
    fn a_file_torn_anywhere_gives_what_was_whole() {
        let whole = file(&[7, 70_000, 9]);
        let ends = [0, HEAD + 1, 2 * HEAD + 4, 3 * HEAD + 5];
        for length in 0..=whole.len() {
            let (found, end) = all::<u64>(&whole[..length], 100);
            let frames = ends.iter().rposition(|at| *at <= length).unwrap_or(0);
            assert_eq!((found.as_slice(), end), (&[7, 70_000, 9][..frames], ends[frames]), "of {length} bytes");
        }
    }

    #[test]
    fn a_hole_ends_what_is_in_order_and_costs_one_entry_of_what_is_not() {
        let mut bytes = file(&[7, 70_000, 9]);
        bytes[HEAD + 1 + HEAD] ^= 1;
        assert_eq!(all::<u64>(&bytes, 100), (vec![7], HEAD + 1));
        assert_eq!(salvage::<u64>(&bytes, 100), (vec![7, 9], HEAD as u64 + 3));
    }

    #[test]
    fn zeros_and_giants_are_no_frames() {
        assert_eq!(salvage::<u64>(&[0; 64], 100), (vec![], 64));
        assert_eq!(
            at::<String>(
                &{
                    let mut bytes = Vec::new();
                    put("x".repeat(200).as_str(), &mut bytes).expect("text");
                    bytes
                },
                100
            ),
            None
        );
    }
}
