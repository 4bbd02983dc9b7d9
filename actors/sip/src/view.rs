//! The borrowed view of a message: an index over bytes, typed values on demand.

use crate::index::{Found, Head, Length, Rec, Records, index};
use crate::name::compact_other;
use crate::{ErrorKind, Limits, Message, Method, Name, ParseError, Status};
use std::fmt;

/// A message that was indexed but not taken apart; costs no allocation up to 64 header lines.
#[derive(Clone)]
pub struct View<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) head: Head,
    pub(crate) fields: Fields<'a>,
}

/// Records of a view just read, or borrowed from a kept message.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "the index lives on the stack so that reading allocates nothing")]
pub(crate) enum Fields<'a> {
    Own(Records),
    Kept(&'a [Rec]),
}

/// One header line.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The name when it is a known one, long or compact.
    pub id: Name,
    /// The name as written.
    pub name: &'a [u8],
    /// The value without white space around it; folds stand as they came.
    pub value: &'a [u8],
}

impl<'a> View<'a> {
    /// Reads a message that is alone in its datagram.
    ///
    /// Leading CRLF are skipped, bytes beyond Content-Length are noise and not part of the view.
    /// Errors: see `ErrorKind`; a request refused here may still be answered by means of `salvage`.
    #[inline]
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<View<'a>, ParseError> {
        let mut view = View::empty(bytes);
        let found = view.index(limits)?;
        if let Some(fault) = found.fault {
            return Err(fault);
        }
        let body = view.body().len();
        match found.length {
            Length::Absent => {}
            Length::Known(length) if length <= body as u64 => {
                view.bytes = &view.bytes[..view.head.body_start as usize + length as usize];
            }
            Length::Known(_) => return Err(ParseError::new(ErrorKind::Truncated, view.bytes.len(), "body")),
            Length::Bad(fault) => return Err(fault),
        }
        Ok(view)
    }

    /// Reads what can be read of a message that `parse` refuses, so that the refusal can be sent: RFC 3261 8.2.6.
    ///
    /// `None` when it is no request, or a limit is exceeded. Never route it.
    pub fn salvage(bytes: &'a [u8], limits: &Limits) -> Option<View<'a>> {
        let mut view = View::empty(bytes);
        view.index(limits).ok()?;
        if !view.is_request() {
            return None;
        }
        view.bytes = &view.bytes[..view.head.body_start as usize];
        Some(view)
    }

    #[inline]
    fn empty(bytes: &'a [u8]) -> View<'a> {
        View { bytes: skip_newlines(bytes), head: Head::default(), fields: Fields::Own(Records::new()) }
    }

    #[inline]
    fn index(&mut self, limits: &Limits) -> Result<Found, ParseError> {
        if self.bytes.len() > limits.message_bytes_max.min(u32::MAX as usize) {
            return Err(ParseError::new(ErrorKind::TooLarge, limits.message_bytes_max, "message"));
        }
        match &mut self.fields {
            Fields::Own(records) => index(self.bytes, limits, &mut self.head, records),
            Fields::Kept(_) => Ok(Found { length: Length::Absent, fault: None }),
        }
    }

    /// The message from its first to its last byte.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A copy that lives on its own; nothing is read again.
    pub fn to_message(&self) -> Message {
        Message::of(bytes::Bytes::copy_from_slice(self.bytes), self.head, self.records())
    }

    #[inline]
    pub(crate) fn records(&self) -> &[Rec] {
        match &self.fields {
            Fields::Own(records) => records.as_slice(),
            Fields::Kept(records) => records,
        }
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        self.head.status == 0
    }

    /// The method of the start line; of CSeq in a response (`Other("")` when that cannot be read).
    pub fn method(&self) -> Method<'a> {
        if self.is_request() {
            let text = &self.bytes[..self.head.method_end as usize];
            std::str::from_utf8(text).map_or(Method::Other(""), Method::of)
        } else {
            self.cseq().map_or(Method::Other(""), |cseq| cseq.method)
        }
    }

    /// The Request-URI as it stands; empty for a response.
    pub fn uri(&self) -> &'a [u8] {
        if self.is_request() { self.start_text() } else { b"" }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<Status> {
        (self.head.status != 0).then_some(Status(self.head.status))
    }

    /// The reason phrase of a response, any bytes; empty for a request.
    pub fn reason(&self) -> &'a [u8] {
        if self.is_request() { b"" } else { self.start_text() }
    }

    fn start_text(&self) -> &'a [u8] {
        &self.bytes[self.head.text_start as usize..self.head.text_end as usize]
    }

    /// The start line without its line end.
    pub fn start_line(&self) -> &'a [u8] {
        match &self.bytes[..self.head.fields_start as usize] {
            [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
            line => line,
        }
    }

    /// The value of the first line of this name; folds stand as they came, see `unfold`.
    #[inline]
    pub fn header(&self, name: Name) -> Option<&'a [u8]> {
        self.record(name).map(|record| record.value(self.bytes))
    }

    #[inline]
    pub(crate) fn record(&self, name: Name) -> Option<&Rec> {
        if !self.has(name) {
            return None;
        }
        self.records().iter().find(|record| record.id == name)
    }

    /// Whether there is a line of this name.
    #[inline]
    pub fn has(&self, name: Name) -> bool {
        self.head.present & name.bit() != 0
    }

    /// The values of every line of this name.
    pub fn headers(&self, name: Name) -> impl Iterator<Item = &'a [u8]> {
        let bytes = self.bytes;
        self.lines(name).map(move |record| record.value(bytes))
    }

    pub(crate) fn lines(&self, name: Name) -> impl Iterator<Item = &Rec> {
        let records = if self.has(name) { self.records() } else { &[] };
        records.iter().filter(move |record| record.id == name)
    }

    /// Every comma-separated value over all lines of this name; quotes and `<>` shield commas, empty values are left out.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &'a [u8]> {
        let bytes = self.bytes;
        let mut records = if self.has(name) { self.records().iter() } else { [].iter() };
        let mut line = crate::split_commas(b"");
        std::iter::from_fn(move || {
            loop {
                if let Some(value) = line.next() {
                    return Some(value);
                }
                line = crate::split_commas(records.find(|record| record.id == name)?.value(bytes));
            }
        })
    }

    /// How many lines of this name there are.
    pub fn count(&self, name: Name) -> usize {
        self.lines(name).count()
    }

    /// The first value of a header we have no `Name` for (or have: both work); any case, compact form too.
    pub fn other(&self, name: &str) -> Option<&'a [u8]> {
        self.others(name).next()
    }

    /// The values of every line of a header named by text.
    pub fn others(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.lines_of(name).map(|record| record.value(self.bytes))
    }

    pub(crate) fn lines_of(&self, name: &str) -> impl Iterator<Item = &Rec> {
        let id = Name::of(name.as_bytes());
        let bytes = self.bytes;
        self.records()
            .iter()
            .filter(move |record| record.id == id && (id != Name::Other || same_other(record.name(bytes), name)))
    }

    /// All lines in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        let bytes = self.bytes;
        self.records().iter().map(move |record| Field {
            id: record.id,
            name: record.name(bytes),
            value: record.value(bytes),
        })
    }

    /// The body; bounded by Content-Length when there is one.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.head.body_start as usize..]
    }
}

fn same_other(written: &[u8], name: &str) -> bool {
    match written {
        [letter] => {
            compact_other(*letter).is_some_and(|long| long.eq_ignore_ascii_case(name)) || written == name.as_bytes()
        }
        _ => written.eq_ignore_ascii_case(name.as_bytes()),
    }
}

/// RFC 3261 7.5: CRLF before the start line are ignored.
fn skip_newlines(mut bytes: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({})", String::from_utf8_lossy(self.start_line()))
    }
}

#[cfg(test)]
mod tests;
