//! Why bytes are not a session description, and where.

use std::fmt;

/// What is wrong, and in which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdpError {
    pub kind: SdpErrorKind,
    /// Counted from 1; 0 when it is about the whole body.
    pub line: usize,
    /// Bytes from the start of the body to the start of that line.
    pub offset: usize,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpErrorKind {
    /// The first line is not `v=0`.
    Version,
    /// Larger than `BYTES_MAX`.
    TooLarge,
    /// More than `LINES_MAX` lines.
    TooManyLines,
    /// More than `MEDIA_MAX` m-lines.
    TooManyMedia,
    /// More than `FORMATS_MAX` formats in an m-line.
    TooManyFormats,
    /// Not `x=value`, or a NUL inside.
    Line,
    /// No `o=` line.
    NoOrigin,
    /// `o=` is not six fields with numbers and an address.
    Origin,
    /// `c=` is not `IN IP4` or `IN IP6` with an address.
    Connection,
    /// `b=` is not `type:number`.
    Bandwidth,
    /// `m=` is not `kind port protocol formats`.
    Media,
}

impl SdpError {
    pub(crate) fn new(kind: SdpErrorKind, line: usize, offset: usize) -> SdpError {
        SdpError { kind, line, offset }
    }
}

impl fmt::Display for SdpErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SdpErrorKind::Version => "first line is not v=0",
            SdpErrorKind::TooLarge => "body too large",
            SdpErrorKind::TooManyLines => "too many lines",
            SdpErrorKind::TooManyMedia => "too many m-lines",
            SdpErrorKind::TooManyFormats => "too many formats",
            SdpErrorKind::Line => "not a line of type=value",
            SdpErrorKind::NoOrigin => "no o= line",
            SdpErrorKind::Origin => "bad o= line",
            SdpErrorKind::Connection => "bad c= line",
            SdpErrorKind::Bandwidth => "bad b= line",
            SdpErrorKind::Media => "bad m= line",
        })
    }
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad SDP in line {} (byte {}): {}", self.line, self.offset, self.kind)
    }
}

impl std::error::Error for SdpError {}
