//! Where media may be sent. A description from outside must not make us send packets into our own networks, to
//! everybody, or to a service that is not media.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::fields::Host;
use crate::session::Session;

/// What the sender of a description may name as its address.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules<'a> {
    /// Internal networks that may be named all the same (media gateways on private addresses).
    pub believed: &'a [Network],
    /// Where the sender's signalling comes from; the same address is fine for media.
    pub source: Option<IpAddr>,
}

/// What a description asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every address may be sent to.
    Safe,
    /// This internal address must not be sent to; the address the signalling comes from may stand in for it.
    Internal(IpAddr),
    /// Refuse: no stand-in makes it right.
    Forbidden(Danger),
}

/// Why a description is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    Multicast(IpAddr),
    /// Limited broadcast, or a reserved address.
    Broadcast(IpAddr),
    /// A host name: nobody is to resolve names for a stranger.
    Name,
    /// A port that belongs to services, 1 to 1023.
    Port(u16),
    /// A stream in use without a connection.
    NoAddress,
}

/// An address range, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Judges connections, RTCP attributes and ports of every stream in use; ICE candidates are `strip_candidates`' matter.
pub fn judge(session: &Session<'_>, rules: &Rules<'_>) -> Verdict {
    let mut verdict = Verdict::Safe;
    for (place, media) in session.media.iter().enumerate().filter(|(_, media)| !media.is_refused()) {
        // Port 9 stands for "see the candidates" in ICE (RFC 8839 4.3.1) and for "I connect" in TCP (RFC 4145 4.1).
        if media.port < 1024 && media.port != 9 {
            return Verdict::Forbidden(Danger::Port(media.port));
        }
        let Some(connection) = session.connection_of(place) else { return Verdict::Forbidden(Danger::NoAddress) };
        let rtcp = media.attribute("rtcp").and_then(rtcp_host);
        if let Some((port, _)) = rtcp
            && (1..1024).contains(&port)
            && port != 9
        {
            return Verdict::Forbidden(Danger::Port(port));
        }
        for host in [Some(connection.host), rtcp.and_then(|(_, host)| host)].into_iter().flatten() {
            match judge_host(host, rules) {
                Verdict::Safe => {}
                Verdict::Internal(address) => verdict = Verdict::Internal(address),
                forbidden => return forbidden,
            }
        }
    }
    verdict
}

fn judge_host(host: Host<'_>, rules: &Rules<'_>) -> Verdict {
    let Host::Ip(address) = host else { return Verdict::Forbidden(Danger::Name) };
    match class(address) {
        // The old hold: nothing is sent there.
        Class::Unspecified => Verdict::Safe,
        Class::Multicast => Verdict::Forbidden(Danger::Multicast(address)),
        Class::Reserved => Verdict::Forbidden(Danger::Broadcast(address)),
        Class::Internal if !rules.believes(address) => Verdict::Internal(address),
        Class::Internal | Class::Public => Verdict::Safe,
    }
}

impl Rules<'_> {
    fn believes(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.source.is_some_and(|source| source.to_canonical() == address)
            || self.believed.iter().any(|network| network.contains(address))
    }
}

/// Removes ICE candidates that are not to be probed: names, and addresses that are not safe. Says whether there were any.
pub fn strip_candidates(session: &mut Session<'_>, rules: &Rules<'_>) -> bool {
    let mut removed = false;
    for media in &mut session.media {
        removed |= media.remove_attributes(|name, value| {
            name == b"candidate"
                && candidate(value).is_none_or(|address| {
                    class(address) == Class::Unspecified || judge_host(Host::Ip(address), rules) != Verdict::Safe
                })
        });
    }
    removed
}

/// Address of `foundation component transport priority address port typ ...` (RFC 8839 5.1).
fn candidate(value: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(value).ok()?.split_ascii_whitespace().nth(4)?.parse().ok()
}

/// Port and host of `a=rtcp:53020 IN IP4 126.16.64.4` (RFC 3605 2.1).
fn rtcp_host(value: &[u8]) -> Option<(u16, Option<Host<'_>>)> {
    let mut words = std::str::from_utf8(value).ok()?.split_ascii_whitespace();
    let port = words.next()?.parse().ok()?;
    let host = words.nth(2).map(|text| text.parse().map_or(Host::Name(text), Host::Ip));
    Some((port, host))
}

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Public,
    /// Private, loopback, link-local, shared (RFC 6598), unique local.
    Internal,
    Unspecified,
    Multicast,
    /// `0.0.0.0/8` but for the first, class E with the limited broadcast.
    Reserved,
}

/// Class of an address; an IPv4 address inside an IPv6 one (mapped, NAT64, 6to4) counts as itself.
pub fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    let [first, second, ..] = address.octets();
    match (first, second) {
        _ if address.is_unspecified() => Class::Unspecified,
        (0, _) | (240..=255, _) => Class::Reserved,
        (224..=239, _) => Class::Multicast,
        (10 | 127, _) | (172, 16..=31) | (192, 168) | (169, 254) | (100, 64..=127) => Class::Internal,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    let parts = address.segments();
    let inner = |high: u16, low: u16| class_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match parts {
        _ if address.is_unspecified() => Class::Unspecified,
        _ if address.is_loopback() => Class::Internal,
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0x2002, high, low, ..] => inner(high, low),
        [0, 0, 0, 0, 0, 0, ..] => Class::Reserved,
        [first, ..] if first >> 8 == 0xff => Class::Multicast,
        [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || first & 0xffc0 == 0xfec0 => {
            Class::Internal
        }
        _ => Class::Public,
    }
}

impl Network {
    /// The range of `bits` leading bits of `address`; `None` when it has not that many.
    pub fn new(address: IpAddr, bits: u8) -> Option<Network> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Network { address, bits })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = u32::from(own) ^ u32::from(other);
                differs.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = u128::from(own) ^ u128::from(other);
                differs.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    /// `10.0.0.0/8`, or an address alone.
    fn from_str(text: &str) -> Result<Network, String> {
        let wrong = || format!("`{text}` is not a network like 10.0.0.0/8");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        Network::new(address, bits.unwrap_or(most)).ok_or_else(wrong)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Danger::Multicast(address) => write!(f, "multicast address {address}"),
            Danger::Broadcast(address) => write!(f, "broadcast or reserved address {address}"),
            Danger::Name => write!(f, "host name for an address"),
            Danger::Port(port) => write!(f, "service port {port}"),
            Danger::NoAddress => write!(f, "stream without an address"),
        }
    }
}

#[cfg(test)]
mod tests;
