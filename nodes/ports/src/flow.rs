//! Flow port: all SIP sockets of the node behind one address. A `Transmit` goes to the transport of its flow.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use fabric::letters::flow::Transport;
use fabric::{Address, Clock, Envelope, Fault, FaultKind, Home, Letter, Post, Thread};
use serde::{Deserialize, Deserializer};
use socket2::SockRef;

use crate::counters::Snapshot;
use crate::{StartError, tcp, udp};

/// One listener of the configuration; its place in the list is its number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// `udp` or `tcp`.
    #[serde(deserialize_with = "transport")]
    pub transport: Transport,
    /// Address and port to bind; port 0 takes a free one.
    pub address: SocketAddr,
    /// Address that peers are told, where another one leads here; default the bound one.
    #[serde(default)]
    pub advertise: Option<SocketAddr>,
    /// UDP sockets that share the address (`SO_REUSEPORT`), count; default 1, 0 means one a processor.
    #[serde(default = "one")]
    pub sockets: u16,
    /// Allows an unspecified address (0.0.0.0, `[::]`); default false: other servers share hosts with a switch.
    #[serde(default)]
    pub wildcard: bool,
    /// Binds the address although the machine may not have it now (`IP_FREEBIND`); default false.
    #[serde(default)]
    pub floating: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub listen: Vec<Listen>,
    /// Balancer actors of the node that sockets and connections are spread over, count; default 0, which means one.
    pub balancers: u16,
    pub udp: udp::Settings,
    pub tcp: tcp::Settings,
}

/// A listener that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub number: u16,
    pub transport: Transport,
    /// What peers are told.
    pub local: SocketAddr,
    pub bound: SocketAddr,
}

/// The running port.
#[derive(Clone)]
pub struct Handle {
    udp: udp::Handle,
    tcp: tcp::Handle,
    listeners: Arc<Vec<Listener>>,
    post: Arc<dyn Post>,
}

/// What the transports know of the node.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub home: Home,
    pub balancers: u16,
}

impl Place {
    /// The balancer actor for socket or connection `number`.
    pub fn balancer(&self, number: u64) -> Address {
        Address::Balancer(self.home.node, (number % u64::from(self.balancers.max(1))) as u16)
    }
}

/// Binds all listeners. Received messages go to `Balancer(node, 0 .. balancers)` from the first moment on.
pub async fn start(
    settings: Settings,
    post: Arc<dyn Post>,
    home: &Home,
    clock: Arc<dyn Clock>,
) -> Result<Handle, StartError> {
    let place = Place { home: *home, balancers: settings.balancers };
    let (mut datagram, mut stream) = (Vec::new(), Vec::new());
    for (number, listen) in settings.listen.into_iter().enumerate() {
        let what = || format!("cannot listen on {} {}", listen.transport.param(), listen.address);
        if listen.address.ip().is_unspecified() && !listen.wildcard {
            return Err(StartError::new(what(), "an unspecified address needs `wildcard = true`"));
        }
        match listen.transport {
            Transport::Udp => datagram.push((number as u16, listen)),
            Transport::Tcp => stream.push((number as u16, listen)),
            _ => return Err(StartError::new(what(), "the transport must be udp or tcp")),
        }
    }
    let udp = udp::start(settings.udp, datagram, Arc::clone(&post), place).await?;
    let tcp = match tcp::start(settings.tcp, stream, Arc::clone(&post), place, clock).await {
        Ok(tcp) => tcp,
        Err(error) => {
            udp.stop().await;
            return Err(error);
        }
    };
    let mut listeners: Vec<Listener> = udp.listeners().into_iter().chain(tcp.listeners()).collect();
    listeners.sort_by_key(|listener| listener.number);
    Ok(Handle { udp, tcp, listeners: Arc::new(listeners), post })
}

impl Handle {
    /// The open listeners by number, with their real ports.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Counters of UDP and TCP, the names prefixed with `udp_` and `tcp_`.
    pub fn counters(&self) -> Snapshot {
        let mut counters = self.udp.counters();
        counters.extend(self.tcp.counters());
        counters
    }

    /// Sends what waits, closes connections and sockets.
    pub async fn stop(&self) {
        self.tcp.stop().await;
        self.udp.stop().await;
    }
}

impl Post for Handle {
    fn post(&self, envelope: Envelope) {
        let Letter::Transmit(transmit) = &envelope.letter else { return };
        match transmit.flow.transport {
            Transport::Udp => self.udp.post(envelope),
            Transport::Tcp => self.tcp.post(envelope),
            _ => returned(&*self.post, &envelope, FaultKind::Unavailable, "no such transport"),
        }
    }
}

/// Lets a socket be bound to an address that is not there yet.
pub(crate) fn free_bind(socket: &impl AsFd, address: SocketAddr) -> std::io::Result<()> {
    let socket = SockRef::from(socket);
    match address.is_ipv4() {
        true => socket.set_freebind_v4(true),
        false => socket.set_freebind_v6(true),
    }
}

/// Hands an asked letter back; one that was not asked is gone.
pub(crate) fn returned(post: &dyn Post, envelope: &Envelope, kind: FaultKind, what: &'static str) {
    if envelope.thread != Thread::NONE {
        let fault = Fault::new(kind, what).retry(kind == FaultKind::Overload);
        post.post(envelope.answer(Letter::Returned(fault)));
    }
}

fn transport<'de, D: Deserializer<'de>>(from: D) -> Result<Transport, D::Error> {
    let text = String::deserialize(from)?;
    Transport::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a transport: udp, tcp")))
}

fn one() -> u16 {
    1
}

#[cfg(test)]
mod tests;
