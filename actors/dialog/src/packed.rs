//! Several texts in one allocation: a dialog keeps five of them, for hours, a hundred thousand times.

use serde::{Deserialize, Serialize};

/// Number of texts.
pub(crate) const TEXTS: usize = 5;

/// Byte strings in one buffer; reading is free, changing one rebuilds the buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Packed {
    bytes: Box<[u8]>,
    ends: [u32; TEXTS],
}

impl Packed {
    pub fn new(texts: [&[u8]; TEXTS]) -> Packed {
        let mut bytes = Vec::with_capacity(texts.iter().map(|text| text.len()).sum());
        let mut ends = [0; TEXTS];
        for (text, end) in texts.iter().zip(&mut ends) {
            bytes.extend_from_slice(text);
            *end = u32::try_from(bytes.len()).expect("parts of one SIP message are shorter than 4 GB");
        }
        Packed { bytes: bytes.into(), ends }
    }

    /// Text number `at`; empty when a damaged replica says nonsense.
    pub fn get(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.bytes.get(start as usize..self.ends[at] as usize).unwrap_or_default()
    }

    pub fn set(&mut self, at: usize, text: &[u8]) {
        if self.get(at) != text {
            *self = Packed::new(std::array::from_fn(|other| if other == at { text } else { self.get(other) }));
        }
    }

    /// Bytes of all texts.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}
