//! TCP: listeners, connections that peers open and that we open, and the limits that keep slow and greedy peers from
//! taking the switch away from the others (SECURITY S21 to S23). A connection is anything that reads and writes, so
//! that TLS has its place.

mod connection;
mod table;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fabric::letters::flow::{Flow, Transport};
use fabric::{Address, Clock, Envelope, FaultKind, Letter, Post};
use serde::Deserialize;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::StartError;
use crate::counters::{Counter, Snapshot};
use crate::flow::{Listen, Listener, Place, free_bind, returned};
use connection::Connection;
use table::Table;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Connections at a time, count; default 20000.
    pub connections_max: usize,
    /// Connections from one address at a time, count; default 200, 0 means no such limit.
    pub connections_per_address_max: usize,
    /// Time for the first byte of a connection, milliseconds; default 5000.
    pub first_byte_ms: u32,
    /// Time for the rest of a message once its first byte is there, milliseconds; default 10000.
    pub message_ms: u32,
    /// Silence after which a connection is closed over which we have not yet said yes to anything, milliseconds; default 30000.
    pub unverified_idle_ms: u32,
    /// Silence after which any other connection is closed, seconds; default 7200.
    pub idle_s: u32,
    /// Time to open a connection, milliseconds; default 4000.
    pub connect_ms: u32,
    /// Time for the peer to take what we write, milliseconds; default 10000.
    pub write_ms: u32,
    /// Bytes that wait to be written on one connection; default 1 MiB, beyond it messages are refused.
    pub queue_bytes_max: usize,
    /// Largest message, bytes; default 262144.
    pub message_bytes_max: usize,
    /// Connections that wait to be accepted, count; default 1024.
    pub backlog: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            connections_max: 20_000,
            connections_per_address_max: 200,
            first_byte_ms: 5_000,
            message_ms: 10_000,
            unverified_idle_ms: 30_000,
            idle_s: 7_200,
            connect_ms: 4_000,
            write_ms: 10_000,
            queue_bytes_max: 1 << 20,
            message_bytes_max: 256 << 10,
            backlog: 1024,
        }
    }
}

/// What a connection is made of: a TCP stream, or TLS over one.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// The running transport.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    tasks: Arc<Vec<JoinHandle<()>>>,
}

pub(crate) struct Shared {
    settings: Settings,
    post: Arc<dyn Post>,
    place: Place,
    listeners: Vec<Listener>,
    table: Table,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    accepted: Counter,
    opened: Counter,
    refused: Counter,
    timeouts: Counter,
    bad_frames: Counter,
    messages_in: Counter,
    bytes_in: Counter,
    messages_out: Counter,
    bytes_out: Counter,
    keepalives: Counter,
    drops: Counter,
    errors: Counter,
}

/// Binds the listeners and starts to accept.
pub(crate) async fn start(
    settings: Settings,
    listeners: Vec<(u16, Listen)>,
    post: Arc<dyn Post>,
    place: Place,
    clock: Arc<dyn Clock>,
) -> Result<Handle, StartError> {
    let mut open = Vec::new();
    let mut sockets = Vec::new();
    for (number, listen) in listeners {
        let (bound, socket) = bind(&settings, listen.address, listen.floating)
            .and_then(|socket| Ok((socket.local_addr()?, socket)))
            .map_err(|e| StartError::new(format!("cannot listen on tcp {}", listen.address), e))?;
        let local = listen.advertise.unwrap_or(bound);
        open.push(Listener { number, transport: Transport::Tcp, local, bound });
        sockets.push(socket);
    }
    // Tokens outlive the process: a number of an earlier run must never name a connection of this one.
    let first = clock.now().unix_ms << 20;
    let table = Table::new(first, settings.connections_max, settings.connections_per_address_max);
    let shared = Arc::new(Shared { settings, post, place, listeners: open, table, counters: Counters::default() });
    let tasks = sockets
        .into_iter()
        .zip(shared.listeners.clone())
        .map(|(socket, listener)| tokio::spawn(accept(Arc::clone(&shared), socket, listener)))
        .collect();
    Ok(Handle { shared, tasks: Arc::new(tasks) })
}

impl Handle {
    pub(crate) fn listeners(&self) -> Vec<Listener> {
        self.shared.listeners.clone()
    }

    pub(crate) fn counters(&self) -> Snapshot {
        let counters = &self.shared.counters;
        vec![
            ("tcp_connections", self.shared.table.len() as u64),
            ("tcp_accepted", counters.accepted.get()),
            ("tcp_opened", counters.opened.get()),
            ("tcp_refused", counters.refused.get()),
            ("tcp_timeouts", counters.timeouts.get()),
            ("tcp_bad_frames", counters.bad_frames.get()),
            ("tcp_messages_in", counters.messages_in.get()),
            ("tcp_bytes_in", counters.bytes_in.get()),
            ("tcp_messages_out", counters.messages_out.get()),
            ("tcp_bytes_out", counters.bytes_out.get()),
            ("tcp_keepalives", counters.keepalives.get()),
            ("tcp_drops", counters.drops.get()),
            ("tcp_errors", counters.errors.get()),
        ]
    }

    /// Stops to accept, writes what waits and closes every connection.
    pub(crate) async fn stop(&self) {
        for task in self.tasks.iter() {
            task.abort();
        }
        self.shared.table.close_all();
        // A peer that takes nothing any more is not waited for.
        let _ = tokio::time::timeout(STOP_WAIT, self.shared.table.emptied()).await;
    }

    /// Queues a `Transmit` on its connection, opening one where the flow names none; a failure hands an asked one back.
    pub(crate) fn post(&self, envelope: Envelope) {
        let Letter::Transmit(transmit) = &envelope.letter else { return };
        let flow = transmit.flow;
        let found = match flow.connection {
            0 => self.shared.table.by_remote(flow.listener, flow.remote),
            number => self.shared.table.by_number(number).filter(|connection| connection.flow.remote == flow.remote),
        };
        match found {
            Some(connection) => connection.send(&self.shared, envelope),
            None if flow.connection == 0 => self.open(&flow, envelope),
            None => returned(&*self.shared.post, &envelope, FaultKind::FlowGone, "connection is closed"),
        }
    }

    fn open(&self, flow: &Flow, envelope: Envelope) {
        let Some(listener) = self.shared.listeners.iter().find(|listener| listener.number == flow.listener) else {
            return returned(&*self.shared.post, &envelope, FaultKind::FlowGone, "no such listener");
        };
        match self.shared.admit(listener, flow.remote, true) {
            Some((connection, fresh)) => {
                connection.send(&self.shared, envelope);
                if fresh {
                    let bound = listener.bound;
                    tokio::spawn(connect(Arc::clone(&self.shared), connection, bound));
                }
            }
            None => {
                self.shared.counters.refused.one();
                returned(&*self.shared.post, &envelope, FaultKind::Overload, "too many connections");
            }
        }
    }
}

impl Shared {
    /// Puts a new connection into the table, unless a limit forbids it; of two that open one to the same peer at once
    /// the second gets the first's (`false`).
    fn admit(&self, listener: &Listener, remote: SocketAddr, ours: bool) -> Option<(Arc<Connection>, bool)> {
        self.table.admit(listener.number, remote, ours, |number| {
            let flow = Flow {
                balancer: self.place.balancer(number),
                transport: Transport::Tcp,
                listener: listener.number,
                local: listener.local,
                remote,
                connection: number,
            };
            Connection::new(flow, ours)
        })
    }

    fn me(&self) -> Address {
        self.place.home.flow()
    }
}

async fn accept(shared: Arc<Shared>, socket: TcpListener, listener: Listener) {
    loop {
        match socket.accept().await {
            Ok((stream, remote)) => match shared.admit(&listener, remote, false) {
                Some((connection, _)) => {
                    shared.counters.accepted.one();
                    tune(&stream);
                    tokio::spawn(connection::run(Arc::clone(&shared), connection, stream));
                }
                None => {
                    shared.counters.refused.one();
                    debug!(%remote, "connection refused by a limit");
                }
            },
            Err(error) => {
                // Out of file descriptors, say: wait for some to come back.
                shared.counters.errors.one();
                warn!(local = %listener.bound, %error, "accept");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

/// Opens a connection from the listener's address and runs it; what waits on it goes back when that fails.
async fn connect(shared: Arc<Shared>, connection: Arc<Connection>, bound: SocketAddr) {
    let wait = Duration::from_millis(shared.settings.connect_ms.into());
    let opening = tokio::time::timeout(wait, dial(bound, connection.flow.remote)).await;
    match opening.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => {
            shared.counters.opened.one();
            tune(&stream);
            connection::run(shared, connection, stream).await;
        }
        Err(error) => {
            shared.counters.errors.one();
            debug!(remote = %connection.flow.remote, %error, "connect");
            connection::end(&shared, &connection);
        }
    }
}

async fn dial(bound: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !bound.ip().is_unspecified() && bound.is_ipv4() == remote.is_ipv4() {
        socket.bind(SocketAddr::new(bound.ip(), 0))?;
    }
    socket.connect(remote).await
}

fn bind(settings: &Settings, address: SocketAddr, floating: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of an earlier run that still linger must not keep the port.
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        SockRef::from(&socket).set_only_v6(true)?;
    }
    if floating {
        free_bind(&socket, address)?;
    }
    socket.bind(address)?;
    socket.listen(settings.backlog)
}

/// Small messages at once, and dead peers noticed within minutes.
fn tune(stream: &TcpStream) {
    let keepalive =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    // A socket that refuses an option works without it.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Longest wait for connections to write what they hold at the end.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// Pause after an error of the listening socket itself.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
