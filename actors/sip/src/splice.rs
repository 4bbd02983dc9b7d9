//! Changing a message without rebuilding it: a short ordered list of cuts and insertions over the original bytes.
//! This is all that a load balancer does to a message; every untouched byte leaves as it came.

use crate::index::Rec;
use crate::text::{decimal, find, semicolon, trim};
use crate::write::{header_line, number, other_line, put_address, put_clean, put_uri};
use crate::{Name, View};
use bytes::{BufMut, Bytes, BytesMut};
use std::net::IpAddr;

/// Changes to one message; all of them refer to the message as it was, whatever was changed before.
#[derive(Clone)]
pub struct Splices<'a> {
    view: &'a View<'a>,
    edits: Edits<'a>,
}

/// A cut of `at..end` with `text` in its place; an empty cut is an insertion.
#[derive(Clone, Copy)]
struct Edit<'a> {
    at: u32,
    end: u32,
    /// Whether it belongs to the line it stands in, and dies with it.
    inside: bool,
    text: Text<'a>,
}

#[derive(Clone, Copy)]
enum Text<'a> {
    Nothing,
    Line(Name, &'a [u8]),
    OtherLine(&'a str, &'a [u8]),
    Value(&'a [u8]),
    Uri(&'a [u8]),
    Number(u8),
    MaxForwards(u8),
    Stamp(Option<IpAddr>, Option<u16>),
    Length(u32),
}

impl<'a> Splices<'a> {
    /// No change yet; `apply` would write the same message.
    #[inline]
    pub fn new(view: &'a View<'a>) -> Splices<'a> {
        Splices { view, edits: Edits::new() }
    }

    /// A new line above the first of its kind, or after the start line when there is none.
    pub fn push_front(&mut self, name: Name, value: &'a [u8]) {
        let at = self.view.record(name).map_or(self.view.head.fields_start, |record| record.start);
        self.edits.insert_front(Edit { at, end: at, inside: false, text: Text::Line(name, value) });
    }

    /// A new line below the last of its kind, or at the end of the header section.
    pub fn append(&mut self, name: Name, value: &'a [u8]) {
        let at = self.end_of_last(name);
        self.insert(at, Text::Line(name, value));
    }

    /// A new line with a name of its own at the end of the header section.
    pub fn append_other(&mut self, name: &'a str, value: &'a [u8]) {
        self.insert(self.view.head.fields_end, Text::OtherLine(name, value));
    }

    /// Another value for the first line of this name; a new line at the end when there is none.
    pub fn replace_first(&mut self, name: Name, value: &'a [u8]) {
        match self.view.record(name) {
            Some(record) => self.replace_value(*record, Text::Value(value)),
            None => self.append(name, value),
        }
    }

    /// Removes the topmost value that is still there, with its line when it is the line's last.
    pub fn remove_first_value(&mut self, name: Name) {
        let view = self.view;
        for (at, record) in view.records().iter().enumerate() {
            if record.id != name || self.is_cut(record.start) {
                continue;
            }
            let value = record.value(view.bytes);
            let mut values = crate::split_commas(value).filter(|item| !self.is_cut(view.at(item) as u32));
            let first = values.next();
            return match (first, values.next()) {
                (Some(first), Some(next)) => {
                    let (at, end) = (view.at(first) as u32, view.at(next) as u32);
                    self.edits.insert(Edit { at, end, inside: true, text: Text::Nothing });
                }
                _ => self.remove_line(at),
            };
        }
    }

    /// Removes every line of this name.
    pub fn remove_all(&mut self, name: Name) {
        if self.view.has(name) {
            self.remove_where(|_, record| record.id == name);
        }
    }

    /// Removes every line of a header named by text, in any case and compact form.
    pub fn remove_other(&mut self, name: &str) {
        let view = self.view;
        for record in view.lines_of(name) {
            if let Some(at) = view.records().iter().position(|other| other.start == record.start) {
                self.remove_line(at);
            }
        }
    }

    /// Another Request-URI; white space and control bytes in it are escaped. Nothing happens to a response.
    pub fn set_uri(&mut self, uri: &'a [u8]) {
        if self.view.is_request() {
            let (at, end) = (self.view.head.text_start.into(), self.view.head.text_end.into());
            self.edits.insert(Edit { at, end, inside: true, text: Text::Uri(uri) });
        }
    }

    /// One less, never below zero; adds 70 when the field is missing: RFC 3261 16.6 step 3.
    pub fn decrement_max_forwards(&mut self) {
        match self.view.record(Name::MaxForwards) {
            Some(record) => {
                if let Some(hops) = decimal(record.value(self.view.bytes)) {
                    let left = hops.saturating_sub(1).min(255) as u8;
                    self.replace_value(*record, Text::Number(left));
                }
            }
            None => self.insert(self.view.head.fields_end, Text::MaxForwards(70)),
        }
    }

    /// Writes where the request came from into its top Via: RFC 3261 18.2.1 and RFC 3581 4.
    ///
    /// `received` is written when given; `rport` only when the sender asked by an `rport` parameter.
    /// A `received` that the sender wrote itself is removed, an `rport` value of its own overwritten.
    pub fn stamp_via(&mut self, received: Option<IpAddr>, rport: Option<u16>) {
        self.stamp(received, rport, false);
    }

    /// Like `stamp_via`, but writes `rport` even when the sender did not ask: for senders behind a NAT.
    pub fn stamp_via_forced(&mut self, received: Option<IpAddr>, rport: Option<u16>) {
        self.stamp(received, rport, true);
    }

    fn stamp(&mut self, received: Option<IpAddr>, rport: Option<u16>, forced: bool) {
        let view = self.view;
        let Some(value) = view.values(Name::Via).next() else {
            return;
        };
        let base = view.at(value);
        let mut asked = false;
        for (at, end, name) in param_spans(value) {
            let is_rport = name.eq_ignore_ascii_case(b"rport");
            asked |= is_rport;
            if (is_rport && rport.is_some()) || name.eq_ignore_ascii_case(b"received") {
                let (at, end) = ((base + at) as u32, (base + end) as u32);
                self.edits.insert(Edit { at, end, inside: true, text: Text::Nothing });
            }
        }
        let rport = rport.filter(|_| asked || forced);
        if received.is_some() || rport.is_some() {
            let at = (base + value.len()) as u32;
            self.edits.insert(Edit { at, end: at, inside: true, text: Text::Stamp(received, rport) });
        }
    }

    /// Writes the changed message behind what `out` already holds; adds Content-Length when it was missing.
    pub fn apply<B: BufMut>(mut self, out: &mut B) {
        if !self.view.has(Name::ContentLength) {
            let length = self.view.body().len() as u32;
            self.insert(self.view.head.fields_end, Text::Length(length));
        }
        let bytes = self.view.bytes;
        let mut done = 0;
        for edit in self.edits.as_slice() {
            let at = edit.at as usize;
            if at > done {
                out.put_slice(&bytes[done..at]);
                done = at;
            }
            edit.text.put(out);
            done = done.max(edit.end as usize);
        }
        if (self.view.head.body_start as usize) == self.view.head.fields_end as usize {
            out.put_slice(&bytes[done..]);
            out.put_slice(b"\r\n");
        } else {
            out.put_slice(&bytes[done..]);
        }
    }

    /// The changed message as bytes of its own.
    pub fn into_bytes(self) -> Bytes {
        let added: usize = self.edits.as_slice().iter().map(|edit| edit.text.len_max()).sum();
        let mut out = BytesMut::with_capacity(self.view.bytes.len() + added + 32);
        self.apply(&mut out);
        out.freeze()
    }

    fn insert(&mut self, at: u32, text: Text<'a>) {
        self.edits.insert(Edit { at, end: at, inside: false, text });
    }

    fn replace_value(&mut self, record: Rec, text: Text<'a>) {
        if self.is_cut(record.start) {
            return;
        }
        let (at, end) = (record.value_start() as u32, record.value_end() as u32);
        self.edits.retain(|edit| !(edit.inside && edit.at >= at && edit.end <= end));
        self.edits.insert(Edit { at, end, inside: true, text });
    }

    fn remove_where(&mut self, wanted: impl Fn(&View<'a>, &Rec) -> bool) {
        let view = self.view;
        for (at, record) in view.records().iter().enumerate() {
            if wanted(view, record) {
                self.remove_line(at);
            }
        }
    }

    fn remove_line(&mut self, index: usize) {
        let (at, end) = self.line(index);
        self.edits.retain(|edit| !(edit.inside && edit.at >= at && edit.end <= end));
        self.edits.insert(Edit { at, end, inside: true, text: Text::Nothing });
    }

    fn line(&self, index: usize) -> (u32, u32) {
        let records = self.view.records();
        let end = records.get(index + 1).map_or(self.view.head.fields_end, |next| next.start);
        (records[index].start, end)
    }

    fn end_of_last(&self, name: Name) -> u32 {
        let last = self.view.records().iter().rposition(|record| record.id == name);
        last.map_or(self.view.head.fields_end, |at| self.line(at).1)
    }

    fn is_cut(&self, offset: u32) -> bool {
        self.edits.as_slice().iter().any(|edit| edit.at <= offset && offset < edit.end)
    }
}

/// Every parameter of a Via value with the place it takes, its semicolon included.
fn param_spans(value: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let mut start = semicolon(value);
    std::iter::from_fn(move || {
        let at = start?;
        let rest = &value[at + 1..];
        let next = semicolon(rest).map(|length| at + 1 + length);
        start = next;
        let end = next.unwrap_or(value.len());
        let param = &value[at + 1..end];
        let name = trim(&param[..find([b'='], param).unwrap_or(param.len())]);
        Some((at, end, name))
    })
}

impl Text<'_> {
    fn put<B: BufMut>(&self, out: &mut B) {
        match *self {
            Text::Nothing => {}
            Text::Line(name, value) => header_line(out, name, value),
            Text::OtherLine(name, value) => other_line(out, name, value),
            Text::Value(value) => put_clean(out, value),
            Text::Uri(uri) => put_uri(out, uri),
            Text::Number(value) => number(out, value.into()),
            Text::MaxForwards(value) => {
                out.put_slice(b"Max-Forwards: ");
                number(out, value.into());
                out.put_slice(b"\r\n");
            }
            Text::Stamp(received, rport) => {
                if let Some(address) = received {
                    out.put_slice(b";received=");
                    put_address(out, address);
                }
                if let Some(port) = rport {
                    out.put_slice(b";rport=");
                    number(out, port.into());
                }
            }
            Text::Length(value) => {
                out.put_slice(b"Content-Length: ");
                number(out, value);
                out.put_slice(b"\r\n");
            }
        }
    }

    fn len_max(&self) -> usize {
        match *self {
            Text::Nothing => 0,
            Text::Line(name, value) => name.text().len() + value.len() + 4,
            Text::OtherLine(name, value) => name.len() + value.len() + 4,
            Text::Value(value) => value.len(),
            Text::Uri(uri) => uri.len() * 3,
            Text::Number(_) => 3,
            Text::MaxForwards(_) | Text::Length(_) => 28,
            Text::Stamp(..) => 64,
        }
    }
}

/// Edits in order of their place; on the stack up to `EDITS_INLINE`.
#[derive(Clone)]
struct Edits<'a> {
    inline: [Edit<'a>; EDITS_INLINE],
    count: usize,
    spilled: Vec<Edit<'a>>,
}

/// A balancer makes about eight changes.
const EDITS_INLINE: usize = 16;

impl<'a> Edits<'a> {
    #[inline]
    fn new() -> Edits<'a> {
        let none = Edit { at: 0, end: 0, inside: false, text: Text::Nothing };
        Edits { inline: [none; EDITS_INLINE], count: 0, spilled: Vec::new() }
    }

    fn as_slice(&self) -> &[Edit<'a>] {
        if self.spilled.is_empty() { &self.inline[..self.count] } else { &self.spilled }
    }

    fn insert(&mut self, edit: Edit<'a>) {
        let place = self.as_slice().partition_point(|other| other.at <= edit.at);
        self.insert_at(place, edit);
    }

    fn insert_front(&mut self, edit: Edit<'a>) {
        let place = self.as_slice().partition_point(|other| other.at < edit.at);
        self.insert_at(place, edit);
    }

    fn insert_at(&mut self, place: usize, edit: Edit<'a>) {
        if self.spilled.is_empty() && self.count < EDITS_INLINE {
            self.inline.copy_within(place..self.count, place + 1);
            self.inline[place] = edit;
            self.count += 1;
            return;
        }
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.inline);
        }
        self.spilled.insert(place, edit);
    }

    fn retain(&mut self, keep: impl Fn(&Edit<'a>) -> bool) {
        if self.as_slice().iter().all(&keep) {
            return;
        }
        if !self.spilled.is_empty() {
            self.spilled.retain(keep);
            if self.spilled.is_empty() {
                self.count = 0;
            }
            return;
        }
        let mut kept = 0;
        for at in 0..self.count {
            if keep(&self.inline[at]) {
                self.inline[kept] = self.inline[at];
                kept += 1;
            }
        }
        self.count = kept;
    }
}

#[cfg(test)]
mod tests;
