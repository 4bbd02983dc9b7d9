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
