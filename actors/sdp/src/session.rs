//! A session description and its media: reading, editing, printing.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;

use crate::fields::{Connection, Direction, Host, Origin};

/// A session description. Lines keep their order; what is not touched is printed as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session<'a> {
    /// Lines before the first m-line.
    pub lines: Vec<Line<'a>>,
    pub media: Vec<Media<'a>>,
}

/// One line, `x=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub kind: u8,
    pub value: Cow<'a, [u8]>,
}

/// An m-line and the lines below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// `audio`, `video`, `image` ...
    pub kind: Cow<'a, str>,
    /// 0: refused, or not wanted any more.
    pub port: u16,
    /// Number of port pairs, 1 where none is given.
    pub ports: u16,
    /// `RTP/AVP`, `udptl` ...
    pub protocol: Cow<'a, str>,
    pub formats: Vec<Cow<'a, str>>,
    pub lines: Vec<Line<'a>>,
}

impl<'a> Session<'a> {
    /// The origin; `None` only in a session built by hand.
    pub fn origin(&self) -> Option<Origin<'_>> {
        self.lines.iter().find(|line| line.kind == b'o').and_then(|line| Origin::parse(&line.value))
    }

    /// The session's own connection.
    pub fn connection(&self) -> Option<Connection<'_>> {
        connection(&self.lines)
    }

    /// Where media number `place` is to be sent: its own connection, else the session's.
    pub fn connection_of(&self, place: usize) -> Option<Connection<'_>> {
        self.media.get(place).and_then(Media::connection).or_else(|| self.connection())
    }

    /// Direction of media number `place`: its own attribute, else the session's, else both ways (RFC 8866 6.7).
    pub fn direction_of(&self, place: usize) -> Direction {
        let own = self.media.get(place).and_then(|media| direction(&media.lines));
        own.or_else(|| direction(&self.lines)).unwrap_or_default()
    }

    /// Value of a session attribute; empty for a flag.
    pub fn attribute(&self, name: &str) -> Option<&[u8]> {
        attributes(&self.lines, name).next()
    }

    /// Whether the sender wants to hear nothing: no stream in use receives (RFC 3264 8.4), the old `0.0.0.0` included.
    pub fn is_hold(&self) -> bool {
        let mut used = self.media.iter().enumerate().filter(|(_, media)| !media.is_refused()).peekable();
        used.peek().is_some()
            && used.all(|(place, _)| {
                !self.direction_of(place).receives()
                    || self.connection_of(place).is_some_and(|connection| connection.is_unspecified())
            })
    }

    /// Sets the direction of every stream in use.
    pub fn set_direction(&mut self, direction: Direction) {
        remove_attributes(&mut self.lines, is_direction);
        for media in &mut self.media {
            remove_attributes(&mut media.lines, is_direction);
            if !media.is_refused() {
                media.add_attribute(direction.text(), "");
            }
        }
    }

    /// Sets every connection, and where there is none the session's.
    pub fn set_address(&mut self, address: IpAddr) {
        let text = format!("IN {}", Host::Ip(address));
        let mut found = false;
        for line in self.lines.iter_mut().chain(self.media.iter_mut().flat_map(|media| media.lines.iter_mut())) {
            if line.kind == b'c' {
                line.value = Cow::Owned(text.clone().into_bytes());
                found = true;
            }
        }
        if !found {
            let place = self.lines.iter().position(|line| matches!(line.kind, b'b' | b't' | b'r' | b'z' | b'k' | b'a'));
            self.lines.insert(place.unwrap_or(self.lines.len()), Line::new(b'c', text));
        }
    }

    /// Sets the origin line.
    pub fn set_origin(&mut self, username: &str, session_id: u64, version: u64, address: IpAddr) {
        let text = format!("{username} {session_id} {version} IN {}", Host::Ip(address));
        match self.lines.iter_mut().find(|line| line.kind == b'o') {
            Some(line) => line.value = Cow::Owned(text.into_bytes()),
            None => self.lines.insert(self.lines.len().min(1), Line::new(b'o', text)),
        }
    }

    /// Removes the ICE attributes (RFC 8839 5): the stream is then one address and port.
    pub fn strip_ice(&mut self) -> bool {
        let mut removed = remove_attributes(&mut self.lines, is_ice);
        for media in &mut self.media {
            removed |= remove_attributes(&mut media.lines, is_ice);
        }
        removed
    }

    /// Prints with CRLF line ends.
    pub fn print(&self, out: &mut Vec<u8>) {
        print_lines(&self.lines, out);
        for media in &self.media {
            media.print(out);
        }
    }

    /// Printed into a new vector.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        self.print(&mut out);
        out
    }

    /// The same without borrowing.
    pub fn into_owned(self) -> Session<'static> {
        Session {
            lines: self.lines.into_iter().map(Line::into_owned).collect(),
            media: self.media.into_iter().map(Media::into_owned).collect(),
        }
    }
}

impl<'a> Line<'a> {
    pub fn new(kind: u8, value: impl Into<String>) -> Line<'a> {
        Line { kind, value: Cow::Owned(value.into().into_bytes()) }
    }

    /// Name and value of an attribute line; the value is empty for a flag.
    pub fn attribute(&self) -> Option<(&[u8], &[u8])> {
        if self.kind != b'a' {
            return None;
        }
        Some(match self.value.iter().position(|byte| *byte == b':') {
            Some(colon) => (&self.value[..colon], &self.value[colon + 1..]),
            None => (self.value.trim_ascii_end(), b""),
        })
    }

    fn into_owned(self) -> Line<'static> {
        Line { kind: self.kind, value: Cow::Owned(self.value.into_owned()) }
    }
}

impl<'a> Media<'a> {
    /// Port 0: refused or ended (RFC 3264 6, 8.2).
    pub fn is_refused(&self) -> bool {
        self.port == 0
    }

    /// Whether it is carried by RTP or SRTP.
    pub fn is_rtp(&self) -> bool {
        let bytes = self.protocol.as_bytes();
        bytes.windows(4).any(|part| part.eq_ignore_ascii_case(b"RTP/"))
    }

    /// The media's own connection.
    pub fn connection(&self) -> Option<Connection<'_>> {
        connection(&self.lines)
    }

    /// The media's own direction.
    pub fn direction(&self) -> Option<Direction> {
        direction(&self.lines)
    }

    /// Value of the first attribute of this name; empty for a flag.
    pub fn attribute(&self, name: &str) -> Option<&[u8]> {
        attributes(&self.lines, name).next()
    }

    /// Values of all attributes of this name.
    pub fn attributes<'b, 'n>(&'b self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        attributes(&self.lines, name)
    }

    /// Adds `a=name` or, with a value, `a=name:value`.
    pub fn add_attribute(&mut self, name: &str, value: &str) {
        let colon = if value.is_empty() { "" } else { ":" };
        self.lines.push(Line::new(b'a', format!("{name}{colon}{value}")));
    }

    /// Removes the attributes that `gone` (name, value) picks; says whether there were any.
    pub fn remove_attributes(&mut self, gone: impl FnMut(&[u8], &[u8]) -> bool) -> bool {
        remove_attributes(&mut self.lines, gone)
    }

    /// Refuses the stream: port 0 and nothing below; the formats stay, an m-line needs one (RFC 3264 6).
    pub fn refuse(&mut self) {
        self.port = 0;
        self.ports = 1;
        self.lines.clear();
    }

    fn print(&self, out: &mut Vec<u8>) {
        let mut text = format!("m={} {}", self.kind, self.port);
        if self.ports > 1 {
            let _ = write!(text, "/{}", self.ports);
        }
        let _ = write!(text, " {}", self.protocol);
        for format in &self.formats {
            let _ = write!(text, " {format}");
        }
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
        print_lines(&self.lines, out);
    }

    fn into_owned(self) -> Media<'static> {
        Media {
            kind: Cow::Owned(self.kind.into_owned()),
            port: self.port,
            ports: self.ports,
            protocol: Cow::Owned(self.protocol.into_owned()),
            formats: self.formats.into_iter().map(|format| Cow::Owned(format.into_owned())).collect(),
            lines: self.lines.into_iter().map(Line::into_owned).collect(),
        }
    }
}

fn connection<'b>(lines: &'b [Line<'_>]) -> Option<Connection<'b>> {
    lines.iter().find(|line| line.kind == b'c').and_then(|line| Connection::parse(&line.value))
}

fn direction(lines: &[Line<'_>]) -> Option<Direction> {
    lines.iter().filter_map(Line::attribute).find_map(|(name, _)| Direction::parse(name))
}

fn attributes<'b, 'n>(lines: &'b [Line<'_>], name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
    attribute_pairs(lines).filter(move |(own, _)| *own == name.as_bytes()).map(|(_, value)| value)
}

fn attribute_pairs<'b>(lines: &'b [Line<'_>]) -> impl Iterator<Item = (&'b [u8], &'b [u8])> + use<'b> {
    lines.iter().filter_map(Line::attribute)
}

fn remove_attributes(lines: &mut Vec<Line<'_>>, mut gone: impl FnMut(&[u8], &[u8]) -> bool) -> bool {
    let before = lines.len();
    lines.retain(|line| !line.attribute().is_some_and(|(name, value)| gone(name, value)));
    lines.len() != before
}

fn is_direction(name: &[u8], _: &[u8]) -> bool {
    Direction::parse(name).is_some()
}

fn is_ice(name: &[u8], _: &[u8]) -> bool {
    name.starts_with(b"ice-") || matches!(name, b"candidate" | b"remote-candidates" | b"end-of-candidates")
}

fn print_lines(lines: &[Line<'_>], out: &mut Vec<u8>) {
    for line in lines {
        out.extend_from_slice(&[line.kind, b'=']);
        // A value cannot hold a line end after parsing; one that was set by hand must not make a line either.
        out.extend(line.value.iter().map(|byte| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { *byte }));
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
