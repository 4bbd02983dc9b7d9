//! How much of a message is read before it is refused.

/// Limits of a message; each is compared before memory is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole message, default 65,535; zero refuses everything.
    pub message_bytes_max: usize,
    /// Header lines, default 256; zero refuses everything.
    pub headers_max: usize,
    /// Bytes of the start line and of one header field with its folds, default 8,192; zero refuses everything.
    pub line_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { message_bytes_max: 65_535, headers_max: 256, line_bytes_max: 8_192 }
    }
}

impl Limits {
    /// For bytes that this switch wrote or has already accepted.
    pub(crate) const NONE: Limits = Limits {
        message_bytes_max: u32::MAX as usize,
        headers_max: u32::MAX as usize,
        line_bytes_max: u32::MAX as usize,
    };
}
