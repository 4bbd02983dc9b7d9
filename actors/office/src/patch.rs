//! Patches: a changed part as LZ4 with the part before it as the dictionary. Most of a call's state is SIP messages that
//! stay as they are from one step to the next.

use bytes::Bytes;
use fabric::Part;
use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};

use crate::image::Image;

/// Below this size a patch saves nothing, bytes.
const PATCH_BYTES_MIN: usize = 256;

/// Largest part that comes out of a patch, bytes.
const PART_BYTES_MAX: usize = 1 << 20;

/// Writes parts as patches where that is shorter; the places of those.
pub(crate) fn fold(parts: &mut [Part], before: Option<&Image>) -> Vec<u16> {
    let mut patches = Vec::new();
    for (place, part) in parts.iter_mut().enumerate() {
        let (Some(value), Ok(number)) = (&part.value, u16::try_from(place)) else { continue };
        let Some(old) = before.and_then(|image| image.value(&part.name)) else { continue };
        if value.len() < PATCH_BYTES_MIN || old.len() < PATCH_BYTES_MIN {
            continue;
        }
        let patch = compress_prepend_size_with_dict(value, old);
        if patch.len() < value.len() {
            part.value = Some(patch.into());
            patches.push(number);
        }
    }
    patches
}

/// Most bytes of parts in one record, unless it is one part: a location shard that was loaded, or is sent whole, has more
/// than a parcel may carry.
const RECORD_BYTES_MAX: usize = 256 << 10;

/// Parts with the places of their patches, in as many pieces as they need; one at least.
pub(crate) fn pieces(parts: Vec<Part>, patches: &[u16]) -> Vec<(Vec<Part>, Vec<u16>)> {
    let mut pieces = vec![(Vec::new(), Vec::new())];
    let mut bytes = 0;
    for (place, part) in parts.into_iter().enumerate() {
        let own = part.name.len() + part.value.as_ref().map_or(0, Bytes::len) + PART_OVERHEAD_BYTES;
        let (mut here, mut patched) = pieces.pop().expect("there is always one");
        if bytes + own > RECORD_BYTES_MAX && !here.is_empty() {
            pieces.push((here, patched));
            (here, patched, bytes) = (Vec::new(), Vec::new(), 0);
        }
        bytes += own;
        let is_patch = u16::try_from(place).is_ok_and(|place| patches.binary_search(&place).is_ok());
        if let (true, Ok(place)) = (is_patch, u16::try_from(here.len())) {
            patched.push(place);
        }
        here.push(part);
        pieces.push((here, patched));
    }
    pieces
}

/// What a part costs besides name and value, bytes.
const PART_OVERHEAD_BYTES: usize = 8;

/// The parts that were meant; `None` when a patch does not fit what is here.
pub(crate) fn unfold(mut parts: Vec<Part>, patches: &[u16], before: Option<&Image>) -> Option<Vec<Part>> {
    for place in patches {
        let part = parts.get_mut(usize::from(*place))?;
        let old = before?.value(&part.name)?;
        let patch = part.value.as_ref()?;
        let bytes = u32::from_le_bytes(patch.get(..4)?.try_into().ok()?) as usize;
        if bytes > PART_BYTES_MAX {
            return None;
        }
        part.value = Some(Bytes::from(decompress_size_prepended_with_dict(patch, old).ok()?));
    }
    Some(parts)
}

#[cfg(test)]
mod tests;
