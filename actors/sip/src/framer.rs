//! Cutting a TCP or TLS stream into messages: RFC 3261 18.3, keep-alives of RFC 5626 3.5.1.
//! A stream whose Content-Length cannot be trusted is given up: body bytes never become a message.

use crate::index::{Length, content_length, head_end};
use crate::{ErrorKind, Limits, ParseError, Status};
use bytes::{Buf, Bytes, BytesMut};

/// What a stream holds next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One message, complete; not yet judged by `View::parse`.
    Message(Bytes),
    /// CRLF CRLF: to be answered with one CRLF.
    Ping,
    /// CRLF: the answer to our own ping, or the first half of one whose second half is still on its way.
    Pong,
}

/// Why a stream must be closed; with its header section when there is one to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameError {
    pub error: ParseError,
    /// Up to and with the empty line; `View::salvage` reads it.
    pub head: Option<Bytes>,
}

impl FrameError {
    /// The answer to send before closing, when there is a head to answer.
    pub fn status(&self) -> Status {
        self.error.status()
    }
}

/// Collects the bytes of one stream and hands out its messages.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: BytesMut,
    /// How far the search for the end of the header section has come.
    searched: usize,
    /// Bytes of the message at the front, once its header section is known.
    expected: Option<usize>,
    after_newline: bool,
    /// Whether the start line at the front has been looked at.
    started: bool,
    failed: Option<FrameError>,
}

impl Framer {
    /// An empty stream; a message may take `limits.message_bytes_max` bytes, head and body together.
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            buffer: BytesMut::new(),
            searched: 0,
            expected: None,
            after_newline: false,
            started: false,
            failed: None,
        }
    }

    /// Takes what was read; after an error it is thrown away.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Bytes waiting for the rest of their message; zero between messages.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None` when more bytes are needed. After an error the stream must be closed.
    #[expect(clippy::should_implement_trait, reason = "a stream that needs more bytes has not ended")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let found = self.advance();
        if let Err(error) = &found {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
        }
        found
    }

    fn advance(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.expected.is_none() {
            if let Some(frame) = self.newlines() {
                return Ok(Some(frame));
            }
            self.expected = self.head()?;
        }
        match self.expected {
            Some(total) if self.buffer.len() >= total => {
                // A copy: a message that is kept must not keep the whole read buffer.
                let message = Bytes::copy_from_slice(&self.buffer[..total]);
                self.buffer.advance(total);
                if self.buffer.is_empty() && total > IDLE_BYTES_MAX {
                    self.buffer = BytesMut::new();
                }
                (self.expected, self.searched, self.started) = (None, 0, false);
                Ok(Some(Frame::Message(message)))
            }
            _ => Ok(None),
        }
    }

    fn newlines(&mut self) -> Option<Frame> {
        loop {
            match self.buffer[..] {
                [b'\r', b'\n', b'\r', b'\n', ..] if !self.after_newline => {
                    self.buffer.advance(4);
                    return Some(Frame::Ping);
                }
                [b'\r', b'\n', ..] => {
                    self.buffer.advance(2);
                    self.after_newline = !self.after_newline;
                    return Some(if self.after_newline { Frame::Pong } else { Frame::Ping });
                }
                [b'\n', ..] => self.buffer.advance(1),
                _ => return None,
            }
        }
    }

    /// The length of the whole message, once its header section is complete.
    fn head(&mut self) -> Result<Option<usize>, FrameError> {
        if self.buffer.is_empty() || (self.buffer.len() == 1 && self.buffer[0] == b'\r') {
            return Ok(None);
        }
        self.after_newline = false;
        let Some(end) = head_end(&self.buffer, self.searched) else {
            self.examine_unfinished()?;
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let total = message_length(&self.buffer, end, &self.limits)
            .map_err(|error| FrameError { error, head: Some(Bytes::copy_from_slice(&self.buffer[..end])) })?;
        Ok(Some(total))
    }

    /// Gives up early on what can no longer become a message.
    fn examine_unfinished(&mut self) -> Result<(), FrameError> {
        let seen = self.buffer.len();
        let refuse = |kind, field| Err(FrameError { error: ParseError::new(kind, seen, field), head: None });
        if seen > self.limits.message_bytes_max {
            return refuse(ErrorKind::TooLarge, "header section");
        }
        if self.started {
            return Ok(());
        }
        match memchr::memchr(b'\n', &self.buffer[self.searched..]) {
            None if seen > self.limits.line_bytes_max => refuse(ErrorKind::LineTooLong, "start line"),
            None => Ok(()),
            Some(end) if self.searched + end > self.limits.line_bytes_max => {
                refuse(ErrorKind::LineTooLong, "start line")
            }
            Some(end) => {
                self.started = true;
                let line = self.buffer[..self.searched + end].to_ascii_uppercase();
                match memchr::memmem::find(&line, b"SIP/") {
                    Some(_) => Ok(()),
                    None => refuse(ErrorKind::NotSip, "start line"),
                }
            }
        }
    }
}

/// A connection that rests after a longer message gives its buffer back, bytes.
const IDLE_BYTES_MAX: usize = 4_096;

/// Length of the message whose header section is `bytes[..end]`: Content-Length must stand there once, in digits.
fn message_length(bytes: &[u8], end: usize, limits: &Limits) -> Result<usize, ParseError> {
    if end > limits.message_bytes_max {
        return Err(ParseError::new(ErrorKind::TooLarge, limits.message_bytes_max, "header section"));
    }
    let body = match content_length(&bytes[..end], limits)? {
        Length::Known(length) => length,
        Length::Absent => return Err(ParseError::new(ErrorKind::Missing, end, "Content-Length")),
        Length::Bad(fault) => return Err(fault),
    };
    match usize::try_from(body).ok().and_then(|body| body.checked_add(end)) {
        Some(total) if total <= limits.message_bytes_max => Ok(total),
        _ => Err(ParseError::new(ErrorKind::TooLarge, end, "body")),
    }
}

#[cfg(test)]
mod tests;
