//! Bytes to `Session`. RFC 8866 5 and 9.

use std::borrow::Cow;

use crate::error::{SdpError, SdpErrorKind};
use crate::fields::{Connection, Origin};
use crate::session::{Line, Media, Session};
use crate::{BYTES_MAX, FORMATS_MAX, LINES_MAX, MEDIA_MAX};

impl<'a> Session<'a> {
    /// Parses a body of type `application/sdp`.
    ///
    /// Lines end with CRLF, LF or CR, the last one may end with the body; empty lines are passed over. Errors: `SdpError`
    /// for the first broken line or a limit.
    pub fn parse(body: &'a [u8]) -> Result<Session<'a>, SdpError> {
        if body.len() > BYTES_MAX {
            return Err(SdpError::new(SdpErrorKind::TooLarge, 0, 0));
        }
        let mut session = Session { lines: Vec::new(), media: Vec::new() };
        let mut number = 0;
        let mut offset = 0;
        for text in body.split(|byte| matches!(byte, b'\r' | b'\n')) {
            let here = offset;
            offset += text.len() + 1;
            if text.is_empty() {
                continue;
            }
            number += 1;
            let fail = |kind| Err(SdpError::new(kind, number, here));
            if number > LINES_MAX {
                return fail(SdpErrorKind::TooManyLines);
            }
            let Some(line) = line(text) else { return fail(SdpErrorKind::Line) };
            if number == 1 {
                if line.kind != b'v' || line.value.trim_ascii() != b"0" {
                    return fail(SdpErrorKind::Version);
                }
            } else if let Some(kind) = fault(&line, session.media.is_empty()) {
                return fail(kind);
            }
            if line.kind == b'm' {
                if session.media.len() == MEDIA_MAX {
                    return fail(SdpErrorKind::TooManyMedia);
                }
                match media(text) {
                    Ok(media) => session.media.push(media),
                    Err(kind) => return fail(kind),
                }
            } else {
                session.section().push(line);
            }
        }
        if number == 0 {
            return Err(SdpError::new(SdpErrorKind::Version, 0, 0));
        }
        if !session.lines.iter().any(|line| line.kind == b'o') {
            return Err(SdpError::new(SdpErrorKind::NoOrigin, 0, 0));
        }
        Ok(session)
    }

    fn section(&mut self) -> &mut Vec<Line<'a>> {
        match self.media.last_mut() {
            Some(media) => &mut media.lines,
            None => &mut self.lines,
        }
    }
}

fn line(text: &[u8]) -> Option<Line<'_>> {
    match text {
        [kind, b'=', value @ ..] if kind.is_ascii_alphabetic() && !value.contains(&0) => {
            Some(Line { kind: *kind, value: Cow::Borrowed(value) })
        }
        _ => None,
    }
}

/// What is wrong with a line that has a grammar.
fn fault(line: &Line<'_>, of_session: bool) -> Option<SdpErrorKind> {
    let value = &*line.value;
    match line.kind {
        b'v' => Some(SdpErrorKind::Version),
        b'o' if !of_session || Origin::parse(value).is_none() => Some(SdpErrorKind::Origin),
        b'c' if Connection::parse(value).is_none() => Some(SdpErrorKind::Connection),
        b'b' if !is_bandwidth(value) => Some(SdpErrorKind::Bandwidth),
        _ => None,
    }
}

fn is_bandwidth(value: &[u8]) -> bool {
    let Some(colon) = value.iter().position(|byte| *byte == b':') else { return false };
    let (kind, number) = (&value[..colon], value[colon + 1..].trim_ascii());
    !kind.is_empty() && !number.is_empty() && number.len() <= 20 && number.iter().all(u8::is_ascii_digit)
}

fn media(text: &[u8]) -> Result<Media<'_>, SdpErrorKind> {
    let value = std::str::from_utf8(&text[2..]).map_err(|_| SdpErrorKind::Media)?;
    let mut words = value.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err(SdpErrorKind::Media);
    };
    let (port, ports) = match port.split_once('/') {
        Some((port, count)) => (number(port)?, number(count)?.max(1)),
        None => (number(port)?, 1),
    };
    let mut formats = Vec::new();
    for format in words {
        if formats.len() == FORMATS_MAX {
            return Err(SdpErrorKind::TooManyFormats);
        }
        formats.push(Cow::Borrowed(format));
    }
    // A refused stream needs no format to be understood (RFC 3264 6 asks for one).
    if formats.is_empty() && port != 0 {
        return Err(SdpErrorKind::Media);
    }
    Ok(Media { kind: Cow::Borrowed(kind), port, ports, protocol: Cow::Borrowed(protocol), formats, lines: Vec::new() })
}

fn number(text: &str) -> Result<u16, SdpErrorKind> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().map_err(|_| SdpErrorKind::Media),
        false => Err(SdpErrorKind::Media),
    }
}

#[cfg(test)]
mod tests;
