//! Between sockets, balancer and the minds that speak SIP.

use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip::Message;

use crate::{Address, Key, LegToken};

/// Transport protocol of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl Transport {
    /// As a Via header writes it: `UDP`, `TCP` ...
    pub fn via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// As a URI's `transport` parameter writes it.
    pub fn param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// Whether the transport delivers or breaks: no SIP retransmissions on it (RFC 3261 17).
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// Reads `udp`, `UDP`, `tcp` ...
    pub fn parse(text: &str) -> Option<Transport> {
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss]
            .into_iter()
            .find(|transport| transport.param().eq_ignore_ascii_case(text))
    }
}

/// A way to a peer through one of our sockets (RFC 5626): the listener, both addresses and the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// The balancer that owns the socket.
    pub balancer: Address,
    pub transport: Transport,
    /// Number of the listener in the node's configuration.
    pub listener: u16,
    /// Our address as peers are told it (Via, Contact, Path); may differ from the bound one behind a NAT of our own.
    pub local: SocketAddr,
    /// The peer's address as packets come from it.
    pub remote: SocketAddr,
    /// Number of the connection; 0 for UDP, and 0 on a stream means "open one".
    pub connection: u64,
}

/// One SIP message as it came from a socket (UDP datagram, framed stream message).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Received {
    pub flow: Flow,
    pub bytes: Bytes,
}

/// Bytes for a socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transmit {
    pub flow: Flow,
    pub bytes: Bytes,
}

/// A checked SIP message on its way to an actor. The top Via carries `received` and `rport` already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SipIn {
    pub message: Message,
    /// Where it came from; answers go back the same way.
    pub source: Flow,
    /// Our token that led it here (branch of a response, Request-URI user or Route of an in-dialog request).
    pub token: Option<LegTokenWire>,
    /// The sender's Contact or Via address is not the one packets come from: it sits behind a NAT.
    pub nat: bool,
    /// REGISTER only: the Path value (RFC 3327) with flow token that leads back to this flow.
    pub path: Option<Box<str>>,
}

/// A SIP message that a mind sends. For a request the top Via is ours, written by the mind from `flow.local`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SipOut {
    pub message: Message,
    pub flow: Flow,
    /// The call or registration that it belongs to, for the tracer.
    pub key: Key,
}

/// A `LegToken` as letters carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegTokenWire {
    pub to: Address,
    pub leg: u16,
}

impl From<LegToken> for LegTokenWire {
    fn from(token: LegToken) -> Self {
        LegTokenWire { to: token.to, leg: token.leg }
    }
}

/// A message seen at the perimeter, for the ladder of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traced {
    pub key: Key,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    pub inbound: bool,
    pub flow: Flow,
    pub bytes: Bytes,
}
