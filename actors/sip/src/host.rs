//! Hosts and ports of URIs and Via: RFC 3261 25.1 with the IPv6 form of RFC 5118 4.

use crate::text::{decimal, find, is_host, trim};
use memchr::memrchr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host as it stands in a URI or a Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// Reads a host without a port; an IPv6 address needs its brackets. `None` when it is no host.
    pub fn parse(text: &'a [u8]) -> Option<Host<'a>> {
        if let [b'[', inner @ .., b']'] = text {
            return std::str::from_utf8(inner).ok()?.parse().ok().map(Host::V6);
        }
        if let Some(address) = v4(text) {
            return Some(Host::V4(address));
        }
        if text.is_empty() || !text.iter().all(|&byte| is_host(byte)) {
            return None;
        }
        std::str::from_utf8(text).ok().map(Host::Name)
    }

    /// The address, when the host is one; an IPv4-mapped IPv6 address counts as IPv4.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(*address)),
            Host::V6(address) => Some(IpAddr::V6(*address).to_canonical()),
        }
    }

    /// Whether two hosts are the same; names compare without case.
    pub fn equals(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => {
                let (a, b) = (a.strip_suffix('.').unwrap_or(a), b.strip_suffix('.').unwrap_or(b));
                a.eq_ignore_ascii_case(b)
            }
            (Host::V4(a), Host::V4(b)) => a == b,
            (Host::V6(a), Host::V6(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(address) => address.fmt(f),
            Host::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Splits `host[:port]`; white space around either is allowed, as Via allows it.
pub(crate) fn host_port(text: &[u8]) -> Option<(Host<'_>, Option<u16>)> {
    let colon = match text.first()? {
        b'[' => {
            let close = find([b']'], text)?;
            let rest = &text[close + 1..];
            find([b':'], rest).map(|at| close + 1 + at)
        }
        _ => memrchr(b':', text),
    };
    match colon {
        None => Some((Host::parse(trim(text))?, None)),
        Some(at) => {
            let port = u16::try_from(decimal(trim(&text[at + 1..]))?).ok()?;
            Some((Host::parse(trim(&text[..at]))?, Some(port)))
        }
    }
}

/// Four numbers up to 255 without leading zeros, as `Ipv4Addr` reads them, but from bytes.
fn v4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut rest = text;
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let (number, after) = rest.split_at(digits);
        if digits == 0 || digits > 3 || (digits > 1 && number[0] == b'0') {
            return None;
        }
        *octet = number.iter().try_fold(0u8, |sum, &digit| sum.checked_mul(10)?.checked_add(digit - b'0'))?;
        rest = after;
    }
    rest.is_empty().then(|| Ipv4Addr::from(octets))
}

#[cfg(test)]
mod tests;
