//! Multipart bodies: RFC 2046 5.1, as RFC 5621 lets SIP use them.

use crate::text::{is_lws, params, trim, unquote};
use crate::{ErrorKind, ParseError};
use memchr::memchr;
use std::borrow::Cow;

/// Most parts of one body.
pub const PARTS_MAX: usize = 64;

/// One part: its header section and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Header lines as they stand, without the empty line.
    pub headers: &'a [u8],
    pub body: &'a [u8],
}

impl<'a> Part<'a> {
    /// The value of the first header of this name, in any case; folds stand as they came.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let mut rest = self.headers;
        while !rest.is_empty() {
            let mut end = 0;
            loop {
                end += memchr(b'\n', &rest[end..]).map_or(rest.len() - end, |at| at + 1);
                if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                    break;
                }
            }
            let line = &rest[..end];
            rest = &rest[end..];
            if let Some(colon) = memchr(b':', line)
                && trim(&line[..colon]).eq_ignore_ascii_case(name.as_bytes())
            {
                return Some(trim(&line[colon + 1..]));
            }
        }
        None
    }
}

/// The parts of a body whose Content-Type is `multipart/...`; nested multiparts come out as parts.
///
/// Errors: `Missing` without a boundary, `Syntax` when a first or last delimiter is missing, `TooMany` beyond 64.
pub fn parts<'a>(content_type: &[u8], body: &'a [u8]) -> Result<impl Iterator<Item = Part<'a>>, ParseError> {
    let boundary = boundary(content_type)?;
    let mut delimiters = 0;
    let mut closed = false;
    let mut at = 0;
    while let Some(found) = delimiter(body, at, &boundary) {
        delimiters += 1;
        at = found.next;
        if found.last {
            closed = true;
            break;
        }
    }
    if !closed || delimiters < 2 {
        return Err(ParseError::syntax(body.len(), "multipart body"));
    }
    if delimiters > PARTS_MAX + 1 {
        return Err(ParseError::new(ErrorKind::TooMany, body.len(), "multipart body"));
    }
    let mut current = delimiter(body, 0, &boundary);
    Ok(std::iter::from_fn(move || {
        let from = current.filter(|found| !found.last)?;
        let to = delimiter(body, from.next, &boundary)?;
        current = Some(to);
        Some(part(&body[from.next..to.start.max(from.next)]))
    }))
}

/// The boundary named by a Content-Type, 1 to 70 bytes.
pub fn boundary(content_type: &[u8]) -> Result<Vec<u8>, ParseError> {
    let missing = ParseError::new(ErrorKind::Missing, 0, "boundary");
    let rest = memchr(b';', content_type).map(|at| &content_type[at + 1..]).ok_or(missing)?;
    let raw = params(rest).get("boundary").ok_or(missing)?;
    match unquote(raw) {
        text if text.is_empty() || text.len() > 70 => Err(missing),
        Cow::Borrowed(text) => Ok(text.to_vec()),
        Cow::Owned(text) => Ok(text),
    }
}

#[derive(Clone, Copy)]
struct Delimiter {
    /// End of the part before: the line break belongs to the delimiter.
    start: usize,
    next: usize,
    last: bool,
}

/// The first delimiter line at or after `from`, which is the beginning of a line.
fn delimiter(body: &[u8], from: usize, boundary: &[u8]) -> Option<Delimiter> {
    let mut at = from;
    loop {
        let text = body.get(at..).filter(|text| !text.is_empty())?;
        let end = memchr(b'\n', text).map_or(text.len(), |end| end + 1);
        if let Some(rest) = text[..end].strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary)) {
            let last = rest.starts_with(b"--");
            let tail = if last { &rest[2..] } else { rest };
            if tail.iter().all(|&byte| is_lws(byte)) {
                let before = &body[from..at];
                let before = before.strip_suffix(b"\n").unwrap_or(before);
                let before = before.strip_suffix(b"\r").unwrap_or(before);
                return Some(Delimiter { start: from + before.len(), next: at + end, last });
            }
        }
        at += end;
    }
}

fn part(bytes: &[u8]) -> Part<'_> {
    if let Some(body) = bytes.strip_prefix(b"\r\n").or(bytes.strip_prefix(b"\n")) {
        return Part { headers: b"", body };
    }
    match crate::index::head_end(bytes, 0) {
        Some(end) => Part { headers: crate::text::trim_end(&bytes[..end]), body: &bytes[end..] },
        None => Part { headers: bytes, body: b"" },
    }
}

#[cfg(test)]
mod tests;
