//! Origin, connection and direction: the fields with a grammar of their own. RFC 8866 5.2, 5.7, 6.7.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a host is: an address, or a name that somebody would have to resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    Ip(IpAddr),
    Name(&'a str),
}

/// `o=`: who made the session and which version this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    pub username: &'a str,
    /// Number in the RFC, kept as text: some phones write more digits than 64 bits hold.
    pub session_id: &'a str,
    pub version: &'a str,
    pub host: Host<'a>,
}

/// `c=`: where media is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    pub host: Host<'a>,
    /// Multicast time-to-live and count, as they stand behind the slash; empty for unicast.
    pub suffix: &'a str,
}

/// Which way media flows, seen by the sender of the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl<'a> Host<'a> {
    fn parse(family: &str, text: &'a str) -> Option<Host<'a>> {
        let host = match family {
            "IP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4).ok(),
            "IP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
            _ => return None,
        };
        match host {
            Some(address) => Some(Host::Ip(address)),
            None if is_name(text) => Some(Host::Name(text)),
            None => None,
        }
    }

    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Ip(address) => Some(*address),
            Host::Name(_) => None,
        }
    }
}

/// A host name: letters, digits, dots and hyphens, with at least one letter (else it is a broken address).
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(IpAddr::V4(address)) => write!(f, "IP4 {address}"),
            Host::Ip(IpAddr::V6(address)) => write!(f, "IP6 {address}"),
            Host::Name(name) => write!(f, "IP4 {name}"),
        }
    }
}

impl<'a> Origin<'a> {
    pub(crate) fn parse(value: &'a [u8]) -> Option<Origin<'a>> {
        let mut words = std::str::from_utf8(value).ok()?.split_ascii_whitespace();
        let (username, session_id, version) = (words.next()?, words.next()?, words.next()?);
        let (net, family, address) = (words.next()?, words.next()?, words.next()?);
        if net != "IN" || words.next().is_some() || !is_number(session_id) || !is_number(version) {
            return None;
        }
        // The origin names a session, nothing is sent there: an address no parser takes is no reason to refuse a call.
        let host = Host::parse(family, address).unwrap_or(Host::Name(address));
        Some(Origin { username, session_id, version, host })
    }
}

fn is_number(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl<'a> Connection<'a> {
    pub(crate) fn parse(value: &'a [u8]) -> Option<Connection<'a>> {
        let mut words = std::str::from_utf8(value).ok()?.split_ascii_whitespace();
        let (net, family, address) = (words.next()?, words.next()?, words.next()?);
        if net != "IN" || words.next().is_some() {
            return None;
        }
        let (address, suffix) = address.split_once('/').unwrap_or((address, ""));
        if !suffix.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/') {
            return None;
        }
        Some(Connection { host: Host::parse(family, address)?, suffix })
    }

    /// The old way to say hold: `0.0.0.0` (RFC 3264 8.4), and `::` after it.
    pub fn is_unspecified(&self) -> bool {
        self.host.ip().is_some_and(|address| address.is_unspecified())
    }
}

impl Direction {
    pub fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// The attribute name.
    pub fn text(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    pub(crate) fn parse(attribute: &[u8]) -> Option<Direction> {
        match attribute {
            b"sendrecv" => Some(Direction::SendRecv),
            b"sendonly" => Some(Direction::SendOnly),
            b"recvonly" => Some(Direction::RecvOnly),
            b"inactive" => Some(Direction::Inactive),
            _ => None,
        }
    }

    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same seen from the other end.
    pub fn reversed(self) -> Direction {
        Direction::of(self.receives(), self.sends())
    }

    /// The most that both allow, where `other` is seen from the other end.
    pub fn meet(self, other: Direction) -> Direction {
        let other = other.reversed();
        Direction::of(self.sends() && other.sends(), self.receives() && other.receives())
    }
}

#[cfg(test)]
mod tests;
