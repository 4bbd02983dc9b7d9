//! The index of a message: one pass, one small record per header field, nothing copied.
//! RFC 3261 7, tolerant where old and odd senders are harmless: bare LF, white space before the colon, leading CRLF.

use crate::name::{WINDOW, words};
use crate::text::{decimal, is_lws, is_token_text, offset_in, trim, trim_end};
use crate::{ErrorKind, Limits, Name, ParseError};
use memchr::{memchr, memrchr};

/// Records that fit without the heap.
pub(crate) const INLINE: usize = 64;

/// Where one header field stands; its line ends where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rec {
    pub start: u32,
    pub value_len: u32,
    pub value_at: u16,
    pub name_len: u8,
    pub id: Name,
}

impl Rec {
    const EMPTY: Rec = Rec { start: 0, value_len: 0, value_at: 0, name_len: 0, id: Name::Other };

    pub fn value_start(&self) -> usize {
        self.start as usize + self.value_at as usize
    }
    pub fn value_end(&self) -> usize {
        self.value_start() + self.value_len as usize
    }
    pub fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..self.start as usize + self.name_len as usize]
    }
    pub fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.value_start()..self.value_end()]
    }
}

/// The start line and the borders of a message; offsets count from its first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// One bit per known name: answers most questions for absent fields.
    pub present: u64,
    /// End of the method; zero in a response.
    pub method_end: u16,
    /// Zero in a request.
    pub status: u16,
    /// Request-URI, or reason phrase.
    pub text_start: u16,
    pub text_end: u16,
    pub fields_start: u32,
    pub fields_end: u32,
    pub body_start: u32,
}

/// The Content-Length fields taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Absent,
    Known(u64),
    Bad(ParseError),
}

/// What one pass over the bytes finds beside the records.
pub(crate) struct Found {
    pub length: Length,
    /// The first fault that does not keep the rest from being read.
    pub fault: Option<ParseError>,
}

/// Records on the stack, on the heap beyond `INLINE`.
#[derive(Clone)]
pub(crate) struct Records {
    inline: [Rec; INLINE],
    count: usize,
    spilled: Vec<Rec>,
}

impl Records {
    #[inline]
    pub fn new() -> Records {
        Records { inline: [Rec::EMPTY; INLINE], count: 0, spilled: Vec::new() }
    }

    #[inline]
    fn push(&mut self, record: Rec) {
        if let Some(slot) = self.inline.get_mut(self.count) {
            *slot = record;
        } else {
            if self.spilled.is_empty() {
                self.spilled.extend_from_slice(&self.inline);
            }
            self.spilled.push(record);
        }
        self.count += 1;
    }

    #[inline]
    pub fn as_slice(&self) -> &[Rec] {
        if self.count <= INLINE { &self.inline[..self.count] } else { &self.spilled }
    }
}

/// Reads start line and header fields of `bytes`, which begin with the start line, into `head` and `records`.
///
/// Errors: those after which nothing can be trusted (no SIP, limits); lesser ones are in `Found::fault`.
pub(crate) fn index(
    bytes: &[u8],
    limits: &Limits,
    head: &mut Head,
    records: &mut Records,
) -> Result<Found, ParseError> {
    let line_max = limits.line_bytes_max.min(u16::MAX as usize);
    let line_end = memchr(b'\n', bytes).ok_or(ParseError::new(ErrorKind::NotSip, 0, "start line"))?;
    if line_end > line_max {
        return Err(ParseError::new(ErrorKind::LineTooLong, line_max, "start line"));
    }
    let line = match &bytes[..line_end] {
        [line @ .., b'\r'] => line,
        line => line,
    };
    let fault = if is_version(line) { status_line(line, head) } else { request_line(line, head)? };
    let mut found = Found { length: Length::Absent, fault };
    head.fields_start = (line_end + 1) as u32;
    let mut at = line_end + 1;
    let blank = loop {
        match bytes[at..] {
            // Tolerance: a datagram may lack the empty line when it has no body.
            [] => break 0,
            [b'\n', ..] => break 1,
            [b'\r', b'\n', ..] => break 2,
            _ => {}
        }
        let end = field_end(bytes, at)?;
        if end - at > limits.line_bytes_max {
            return Err(ParseError::new(ErrorKind::LineTooLong, at, "header"));
        }
        if records.count >= limits.headers_max {
            return Err(ParseError::new(ErrorKind::TooMany, at, "headers"));
        }
        match field(bytes, at, end) {
            Ok(record) => {
                head.present |= record.id.bit();
                if record.id == Name::ContentLength {
                    found.length = length(found.length, record.value(bytes), record.value_start());
                }
                records.push(record);
            }
            Err(fault) => {
                found.fault.get_or_insert(fault);
            }
        }
        at = end;
    };
    head.fields_end = at as u32;
    head.body_start = (at + blank) as u32;
    Ok(found)
}

/// Where the field that begins at `at` ends, its folds included: RFC 3261 7.3.1.
#[inline]
fn field_end(bytes: &[u8], at: usize) -> Result<usize, ParseError> {
    let mut end = at;
    loop {
        let Some(found) = memchr(b'\n', &bytes[end..]) else {
            return Err(ParseError::new(ErrorKind::Incomplete, end, "header"));
        };
        end += found + 1;
        if !matches!(bytes.get(end), Some(b' ' | b'\t')) {
            return Ok(end);
        }
    }
}

#[inline]
fn field(bytes: &[u8], start: usize, end: usize) -> Result<Rec, ParseError> {
    let line = &bytes[start..end];
    let words = window(bytes, start);
    let colon = match first_colon(words).or_else(|| memchr(b':', line)) {
        Some(colon) if colon < line.len() => colon,
        _ => return Err(ParseError::syntax(start, "header")),
    };
    let mut name_len = colon;
    if let Some(b' ' | b'\t') = line[..colon].last() {
        name_len = trim_end(&line[..colon]).len();
    }
    let id = if name_len < WINDOW { Name::of_window(words, name_len) } else { Name::Other };
    if id == Name::Other && !is_token_text(&line[..name_len]) {
        return Err(ParseError::syntax(start, "header name"));
    }
    let mut value = line[colon + 1..].strip_suffix(b"\n").unwrap_or(b"");
    if let [b' ', rest @ ..] = value {
        value = rest;
    }
    if let [rest @ .., b'\r'] = value {
        value = rest;
    }
    if let ([first, ..], [.., last]) = (value, value)
        && (is_lws(*first) || is_lws(*last))
    {
        value = trim(value);
    }
    let value_at = if value.is_empty() { colon + 1 } else { offset_in(line, value) };
    if name_len > u8::MAX as usize || value_at > u16::MAX as usize {
        return Err(ParseError::new(ErrorKind::LineTooLong, start, "header name"));
    }
    Ok(Rec {
        start: start as u32,
        value_len: value.len() as u32,
        value_at: value_at as u16,
        name_len: name_len as u8,
        id,
    })
}

/// The first bytes of a line as words; zeros stand where the message has ended.
#[inline]
fn window(bytes: &[u8], start: usize) -> [u64; 3] {
    match bytes[start..].split_first_chunk::<8>() {
        Some((first, rest)) => match rest.first_chunk::<16>() {
            Some(rest) => {
                let [second, third] = [&rest[..8], &rest[8..]].map(word);
                [u64::from_le_bytes(*first), second, third]
            }
            None => padded(&bytes[start..]),
        },
        None => padded(&bytes[start..]),
    }
}

#[inline]
fn word(eight: &[u8]) -> u64 {
    eight.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight))
}

#[cold]
#[inline(never)]
fn padded(text: &[u8]) -> [u64; 3] {
    let mut window = [0; WINDOW];
    let length = text.len().min(WINDOW);
    window[..length].copy_from_slice(&text[..length]);
    words(&window)
}

/// The place of the first colon in a window.
#[inline]
fn first_colon([first, second, third]: [u64; 3]) -> Option<usize> {
    let place = |zeros: u64| zeros.trailing_zeros() as usize / 8;
    match (colons(first), colons(second), colons(third)) {
        (0, 0, 0) => None,
        (0, 0, zeros) => Some(16 + place(zeros)),
        (0, zeros, _) => Some(8 + place(zeros)),
        (zeros, _, _) => Some(place(zeros)),
    }
}

/// The high bit of every byte that is a colon; exact up to the first one.
#[inline]
fn colons(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let other = word ^ (ONES * b':' as u64);
    other.wrapping_sub(ONES) & !other & (ONES * 0x80)
}

/// Two Content-Length fields never count as one, even when they agree: RFC 3261 18.3, smuggling.
fn length(before: Length, value: &[u8], offset: usize) -> Length {
    let bad = |kind| Length::Bad(ParseError::new(kind, offset, "Content-Length"));
    match (before, decimal(value)) {
        (Length::Absent, Some(length)) => Length::Known(length),
        (Length::Absent, None) => bad(ErrorKind::ContentLength),
        (Length::Known(_), _) => bad(ErrorKind::Duplicate),
        (already @ Length::Bad(_), _) => already,
    }
}

fn status_line(line: &[u8], head: &mut Head) -> Option<ParseError> {
    // Whatever follows, this is no request.
    head.status = u16::MAX;
    head.text_start = line.len() as u16;
    head.text_end = line.len() as u16;
    let Some(space) = memchr(b' ', line) else {
        return Some(ParseError::syntax(line.len(), "status line"));
    };
    let rest = &line[space + 1..];
    let digits = memchr(b' ', rest).unwrap_or(rest.len());
    let Some(code) = decimal(&rest[..digits]).filter(|code| digits == 3 && (100..700).contains(code)) else {
        return Some(ParseError::syntax(space + 1, "status code"));
    };
    head.status = code as u16;
    head.text_start = (space + 1 + digits + usize::from(digits < rest.len())) as u16;
    (line[4..space] != *b"2.0").then(|| ParseError::new(ErrorKind::Version, 0, "version"))
}

fn request_line(line: &[u8], head: &mut Head) -> Result<Option<ParseError>, ParseError> {
    let trimmed = trim_end(line);
    let mut fault = (trimmed.len() < line.len()).then(|| ParseError::syntax(trimmed.len(), "request line"));
    let not_sip = ParseError::new(ErrorKind::NotSip, 0, "request line");
    let first = memchr(b' ', trimmed).ok_or(not_sip)?;
    let last = memrchr(b' ', trimmed).ok_or(not_sip)?;
    let version = &trimmed[last + 1..];
    if !is_version(version) || !is_token_text(&line[..first]) {
        return Err(not_sip);
    }
    if version[4..] != *b"2.0" {
        fault.get_or_insert(ParseError::new(ErrorKind::Version, last + 1, "version"));
    }
    let uri = trimmed.get(first + 1..last).unwrap_or(b"");
    if uri.is_empty() || uri.iter().any(|&byte| is_lws(byte)) {
        fault.get_or_insert(ParseError::syntax(first + 1, "Request-URI"));
    }
    head.method_end = first as u16;
    head.text_start = (first + 1).min(last) as u16;
    head.text_end = last as u16;
    Ok(fault)
}

fn is_version(text: &[u8]) -> bool {
    matches!(text, [b'S' | b's', b'I' | b'i', b'P' | b'p', b'/', digit, ..] if digit.is_ascii_digit())
}

/// Where the header section that begins at `bytes[0]` ends: the index after its empty line.
///
/// `from` is how far an earlier search has come. The rule is the one of `fields`: LF followed by LF or CR LF.
pub(crate) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from.saturating_sub(2);
    loop {
        at += memchr(b'\n', &bytes[at..])? + 1;
        match bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

/// The Content-Length of a header section, for who cuts messages out of a stream.
pub(crate) fn content_length(head: &[u8], limits: &Limits) -> Result<Length, ParseError> {
    Ok(index(head, limits, &mut Head::default(), &mut Records::new())?.length)
}
