//! Relay port: NG datagrams to and from rtpengine, one connected UDP socket per instance.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use fabric::{Address, Envelope, Fault, FaultKind, Home, Letter, Post, Thread};
use serde::Deserialize;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tracing::debug;

use crate::StartError;
use crate::counters::{Counter, Snapshot};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// NG addresses in the order of the configuration; the place is the relay's number. Default none.
    pub relays: Vec<SocketAddr>,
    /// Address to send from; default the system's choice (loopback for a loopback relay).
    pub local: Option<IpAddr>,
}

/// The running port.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    tasks: Arc<Vec<JoinHandle<()>>>,
}

struct Shared {
    sockets: Vec<UdpSocket>,
    anchor: Address,
    me: Address,
    post: Arc<dyn Post>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    sent: Counter,
    received: Counter,
    errors: Counter,
}

/// Opens a socket per relay and starts to listen on it.
pub async fn start(settings: Settings, post: Arc<dyn Post>, home: &Home) -> Result<Handle, StartError> {
    let mut sockets = Vec::with_capacity(settings.relays.len());
    for relay in &settings.relays {
        let local = settings.local.unwrap_or(any(relay));
        let opened = async {
            let socket = UdpSocket::bind(SocketAddr::new(local, 0)).await?;
            socket.connect(relay).await?;
            // A fresh socket does not know yet that it can send, and `try_send` believes it.
            socket.writable().await?;
            Ok::<_, std::io::Error>(socket)
        };
        sockets.push(opened.await.map_err(|e| StartError::new(format!("cannot reach relay {relay} from {local}"), e))?);
    }
    let shared =
        Arc::new(Shared { sockets, anchor: home.anchor(), me: home.relay(), post, counters: Counters::default() });
    let tasks = (0..settings.relays.len()).map(|number| tokio::spawn(receive(Arc::clone(&shared), number))).collect();
    Ok(Handle { shared, tasks: Arc::new(tasks) })
}

impl Handle {
    pub fn counters(&self) -> Snapshot {
        let counters = &self.shared.counters;
        vec![
            ("datagrams_sent", counters.sent.get()),
            ("datagrams_received", counters.received.get()),
            ("errors", counters.errors.get()),
        ]
    }

    pub async fn stop(&self) {
        for task in self.tasks.iter() {
            task.abort();
        }
    }
}

impl Post for Handle {
    fn post(&self, envelope: Envelope) {
        let Letter::RelaySend(number, bytes) = &envelope.letter else { return };
        let sent = match self.shared.sockets.get(usize::from(*number)) {
            Some(socket) => socket.try_send(bytes).map_err(|_| FaultKind::FlowGone),
            None => Err(FaultKind::Unavailable),
        };
        match sent {
            Ok(_) => self.shared.counters.sent.one(),
            Err(kind) => {
                self.shared.counters.errors.one();
                if envelope.thread != Thread::NONE {
                    let fault = Fault::new(kind, "rtpengine socket").retry(true);
                    self.shared.post.post(envelope.answer(Letter::Returned(fault)));
                }
            }
        }
    }
}

/// Posts every datagram of one relay to the anchor. A refused port (rtpengine is not there) shows as an error here
/// and as a missing answer there.
async fn receive(shared: Arc<Shared>, number: usize) {
    let mut buffer = vec![0u8; DATAGRAM_BYTES_MAX];
    loop {
        match shared.sockets[number].recv(&mut buffer).await {
            Ok(length) => {
                shared.counters.received.one();
                let letter = Letter::RelayReceived(number as u16, Bytes::copy_from_slice(&buffer[..length]));
                shared.post.post(Envelope::new(shared.me, shared.anchor, letter));
            }
            Err(error) => {
                shared.counters.errors.one();
                debug!(relay = number, %error, "relay socket");
            }
        }
    }
}

fn any(peer: &SocketAddr) -> IpAddr {
    match (peer.is_ipv4(), peer.ip().is_loopback()) {
        (true, true) => Ipv4Addr::LOCALHOST.into(),
        (true, false) => Ipv4Addr::UNSPECIFIED.into(),
        (false, true) => Ipv6Addr::LOCALHOST.into(),
        (false, false) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Largest UDP payload, bytes.
const DATAGRAM_BYTES_MAX: usize = 65_535;

#[cfg(test)]
mod tests;
