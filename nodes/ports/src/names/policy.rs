//! Where the switch may be led by a name: not to itself, not into its own networks, not to ports of other services.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Settings;

pub(super) struct Policy {
    allow_loopback: bool,
    allow_private: bool,
    port_min: u16,
}

impl Policy {
    pub fn new(settings: &Settings) -> Policy {
        Policy {
            allow_loopback: settings.allow_loopback,
            allow_private: settings.allow_private,
            port_min: settings.port_min,
        }
    }

    pub fn allows(&self, target: SocketAddr) -> bool {
        target.port() >= self.port_min.max(1) && self.allows_address(target.ip())
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) => match embedded_v4(v6) {
                Some(v4) => self.allows_v4(v4),
                None => self.allows_v6(v6),
            },
        }
    }

    fn allows_v4(&self, v4: Ipv4Addr) -> bool {
        let [first, second, ..] = v4.octets();
        let shared = first == 100 && second & 0xc0 == 64;
        let never = first == 0 || first >= 240 || v4.is_multicast() || v4.is_link_local();
        match () {
            () if never => false,
            () if v4.is_loopback() => self.allow_loopback,
            // RFC 1918, and RFC 6598 for carriers' inner networks.
            () if v4.is_private() || shared => self.allow_private,
            () => true,
        }
    }

    fn allows_v6(&self, v6: Ipv6Addr) -> bool {
        match () {
            () if v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local() => false,
            () if v6.is_loopback() => self.allow_loopback,
            () if v6.is_unique_local() => self.allow_private,
            () => true,
        }
    }
}

/// The IPv4 address that such an IPv6 address leads to: mapped and compatible (RFC 4291 2.5.5), NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(v4(g, h)),
        (0, 0, 0, 0, 0, 0) if g != 0 => Some(v4(g, h)),
        (0x2002, high, low, ..) => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
