//! What is wrong with a message, where, and which answer it deserves.

use crate::Status;
use std::fmt;

/// What a parser objects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No start line of a SIP message.
    NotSip,
    /// Complete so far, but the header section does not end.
    Incomplete,
    /// A SIP version other than 2.0.
    Version,
    /// A Request-URI scheme that the switch cannot route.
    Scheme,
    /// Longer than `Limits::message_bytes_max`.
    TooLarge,
    /// More fields than `Limits::headers_max`, or more values or parameters than fit.
    TooMany,
    /// A line longer than `Limits::line_bytes_max`.
    LineTooLong,
    /// A Content-Length that is no number, stands twice or is missing where it must not be.
    ContentLength,
    /// The body is shorter than Content-Length says.
    Truncated,
    /// A mandatory field is missing.
    Missing,
    /// A field that may stand once stands more often.
    Duplicate,
    /// Not what the grammar allows.
    Syntax,
    /// A number out of its range.
    Range,
    /// The method of CSeq is not the method of the request.
    Mismatch,
    /// The same, and the request's method is unknown.
    UnknownMethod,
}

/// Why bytes were refused: what, at which byte, in which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseError {
    pub kind: ErrorKind,
    /// Bytes from the first byte of the message (of the value for a parser of single values).
    pub offset: usize,
    pub field: &'static str,
}

impl ParseError {
    pub(crate) fn new(kind: ErrorKind, offset: usize, field: &'static str) -> ParseError {
        ParseError { kind, offset, field }
    }

    pub(crate) fn syntax(offset: usize, field: &'static str) -> ParseError {
        ParseError::new(ErrorKind::Syntax, offset, field)
    }

    pub(crate) fn within(mut self, base: usize, field: &'static str) -> ParseError {
        self.offset += base;
        self.field = field;
        self
    }

    /// The answer that a request with this fault deserves; a response with it is dropped.
    pub fn status(&self) -> Status {
        match self.kind {
            ErrorKind::Version => Status::VERSION_NOT_SUPPORTED,
            ErrorKind::Scheme => Status::UNSUPPORTED_URI_SCHEME,
            ErrorKind::TooLarge => Status::REQUEST_ENTITY_TOO_LARGE,
            ErrorKind::UnknownMethod => Status::NOT_IMPLEMENTED,
            _ => Status::BAD_REQUEST,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::NotSip => "not SIP",
            ErrorKind::Incomplete => "header section without an end",
            ErrorKind::Version => "unsupported version",
            ErrorKind::Scheme => "unsupported scheme",
            ErrorKind::TooLarge => "message too large",
            ErrorKind::TooMany => "too many",
            ErrorKind::LineTooLong => "line too long",
            ErrorKind::ContentLength => "not one plain number",
            ErrorKind::Truncated => "body shorter than announced",
            ErrorKind::Missing => "missing",
            ErrorKind::Duplicate => "more than one",
            ErrorKind::Syntax => "syntax",
            ErrorKind::Range => "number out of range",
            ErrorKind::Mismatch => "method differs",
            ErrorKind::UnknownMethod => "method differs and is unknown",
        })
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad {} at byte {}: {}", self.field, self.offset, self.kind)
    }
}

impl std::error::Error for ParseError {}
