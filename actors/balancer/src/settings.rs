//! What an operator may set of the perimeter.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use fabric::NodeId;
use fabric::letters::flow::Transport;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Settings of all balancers of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Our sockets, as peers are told them; the node fills them in from its listeners. Default none.
    #[serde(skip)]
    pub listeners: Vec<ListenerInfo>,
    /// Balancers of this node, count; bans made by one are told to the others. The node fills it in. Default 1.
    #[serde(skip)]
    pub siblings: u16,
    /// Balancer sites of the cluster, which are told of bans; the node fills it in. Default none.
    #[serde(skip)]
    pub peers: Vec<NodeId>,
    /// Post every message to the tracer; the node fills it in. Default false.
    #[serde(skip)]
    pub trace: bool,
    /// Slots that calls and registrations are kept in; the node fills it in. Default all.
    #[serde(skip)]
    pub zone: fabric::Zone,
    /// Proxies of others that this node stands in front of as a stateless load balancer, by address and UDP port; not empty,
    /// no call or registration is handled here. Default none.
    pub forward: Vec<SocketAddr>,
    /// Further names and addresses of this switch, as Route fields may name it. Default none.
    pub hosts: Vec<String>,
    /// Addresses or networks (`192.0.2.1`, `2001:db8::/32`) that are neither limited nor banned and may send private
    /// header fields. Default none.
    pub trusted: Vec<Net>,
    /// Messages of an address, a second, in the long run. Default 200; zero switches the flood limit off.
    pub flood_messages_per_s: u32,
    /// Messages of an address at once, count. Default 1000; zero counts as one.
    pub flood_burst: u32,
    /// Messages dropped by the flood limit that ban their address, count. Default 1000; zero never bans.
    pub flood_drops_to_ban: u32,
    /// Length of a ban for flooding, seconds. Default 300; zero never bans.
    pub flood_ban_s: u32,
    /// Most bans, count; the one that ends first gives way. Default 10000; zero keeps none.
    pub bans_max: u32,
    /// Most addresses whose rate is known, count. Default 200000; zero counts as two.
    pub addresses_max: u32,
    /// Most flows that are known to have answered a challenge, count. Default 500000; zero counts as two.
    pub verified_max: u32,
    /// How long such a flow is known after its last registration, seconds at least, twice as much at most. Default 7200; zero
    /// forgets at once.
    pub verified_s: u32,
    /// Requests whose User-Agent contains one of these texts (in any case) are dropped. Default none.
    pub drop_user_agents: Vec<String>,
    /// Shortest Retry-After while draining, seconds. Default 2; zero asks to retry at once.
    pub retry_after_min_s: u32,
    /// Longest Retry-After while draining, seconds. Default 10; less than the shortest counts as the shortest.
    pub retry_after_max_s: u32,
    /// Largest message, bytes. Default 65535; zero refuses everything.
    pub message_bytes_max: u32,
    /// Most header lines of a message, count. Default 256; zero refuses everything.
    pub headers_max: u32,
    /// Longest line of a message, bytes. Default 8192; zero refuses everything.
    pub line_bytes_max: u32,
}

/// One of our sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerInfo {
    pub transport: Transport,
    /// As peers are told it.
    pub local: SocketAddr,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listeners: Vec::new(),
            siblings: 1,
            peers: Vec::new(),
            trace: false,
            zone: fabric::Zone::default(),
            forward: Vec::new(),
            hosts: Vec::new(),
            trusted: Vec::new(),
            flood_messages_per_s: 200,
            flood_burst: 1_000,
            flood_drops_to_ban: 1_000,
            flood_ban_s: 300,
            bans_max: 10_000,
            addresses_max: 200_000,
            verified_max: 500_000,
            verified_s: 7_200,
            drop_user_agents: Vec::new(),
            retry_after_min_s: 2,
            retry_after_max_s: 10,
            message_bytes_max: 65_535,
            headers_max: 256,
            line_bytes_max: 8_192,
        }
    }
}

impl Settings {
    /// Whether this address needs no protection against.
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(address))
    }

    pub fn limits(&self) -> sip::Limits {
        sip::Limits {
            message_bytes_max: self.message_bytes_max as usize,
            headers_max: self.headers_max as usize,
            line_bytes_max: self.line_bytes_max as usize,
        }
    }
}

/// An address or a network: `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    prefix: u8,
}

impl Net {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(host)) => same(net.to_bits().into(), host.to_bits().into(), 32 - self.prefix),
            (IpAddr::V6(net), IpAddr::V6(host)) => same(net.to_bits(), host.to_bits(), 128 - self.prefix),
            _ => false,
        }
    }
}

/// Whether two addresses are the same without their last `host_bits` bits.
fn same(one: u128, other: u128, host_bits: u8) -> bool {
    (one ^ other).checked_shr(host_bits.into()).unwrap_or(0) == 0
}

impl FromStr for Net {
    type Err = String;
    fn from_str(text: &str) -> Result<Net, String> {
        let wrong = || format!("{text:?} is no address or network");
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| wrong())?;
        if prefix > bits { Err(wrong()) } else { Ok(Net { address, prefix }) }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Net {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Net {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Net, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
