//! UDP: every socket has a task that reads in batches and posts what it reads to its balancer. Sending is done where
//! `Transmit` is posted; only what the kernel does not take at once is queued and sent in batches by a second task.

mod batch;
mod stun;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fabric::letters::flow::{Flow, Received, Transport};
use fabric::{Address, Envelope, FaultKind, Letter, Post};
use nix::errno::Errno;
use serde::Deserialize;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::StartError;
use crate::counters::{Counter, Snapshot};
use crate::flow::{Listen, Listener, Place, free_bind, returned};
use batch::{BATCH, Inbox, send_batch};

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Kernel's receive buffer of a socket, bytes; default 4 MiB, 0 leaves the system's; the system may grant less.
    pub receive_buffer_bytes: usize,
    /// Kernel's send buffer of a socket, bytes; default 1 MiB, 0 leaves the system's.
    pub send_buffer_bytes: usize,
    /// Datagrams of a socket that wait because the kernel took no more, count; default 10000, beyond it they are dropped.
    pub queue_max: usize,
    /// Queues every datagram and lets the second task send them in batches; default false: measured dearer.
    pub send_batched: bool,
    /// Answers STUN binding requests (RFC 5626 3.5.2); default true.
    pub stun: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            receive_buffer_bytes: 4 << 20,
            send_buffer_bytes: 1 << 20,
            queue_max: 10_000,
            send_batched: false,
            stun: true,
        }
    }
}

/// The running transport.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    tasks: Arc<Vec<JoinHandle<()>>>,
}

struct Shared {
    settings: Settings,
    post: Arc<dyn Post>,
    me: Address,
    /// Sockets by listener number; empty where the number belongs to another transport.
    sockets: Vec<Vec<Arc<Socket>>>,
}

struct Socket {
    io: UdpSocket,
    listener: u16,
    local: SocketAddr,
    bound: SocketAddr,
    /// The address moves between machines, and may not be here yet.
    floating: bool,
    balancer: Address,
    /// What the kernel did not take at once, oldest first.
    queue: Mutex<VecDeque<(SocketAddr, Bytes)>>,
    /// Whether the queue holds anything: later datagrams must not overtake it.
    queued: AtomicBool,
    wake: Notify,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    packets_in: Counter,
    bytes_in: Counter,
    packets_out: Counter,
    bytes_out: Counter,
    batches_in: Counter,
    keepalives: Counter,
    queued: Counter,
    drops: Counter,
    errors: Counter,
}

/// Binds the listeners and starts two tasks for each socket.
pub(crate) async fn start(
    settings: Settings,
    listeners: Vec<(u16, Listen)>,
    post: Arc<dyn Post>,
    place: Place,
) -> Result<Handle, StartError> {
    let highest = listeners.iter().map(|(number, _)| usize::from(*number) + 1).max().unwrap_or(0);
    let mut sockets: Vec<Vec<Arc<Socket>>> = (0..highest).map(|_| Vec::new()).collect();
    for (number, listen) in listeners {
        let count = match listen.sockets {
            0 => std::thread::available_parallelism().map_or(1, |count| count.get() as u16),
            count => count,
        };
        // Port 0 is chosen by the first socket; its siblings share it.
        let mut address = listen.address;
        for shard in 0..count {
            let opened = open(&settings, address, count > 1, listen.floating)
                .and_then(|io| Ok((io.local_addr()?, UdpSocket::from_std(io)?)))
                .map_err(|e| StartError::new(format!("cannot listen on udp {address}"), e))?;
            let (bound, io) = opened;
            // A fresh socket does not know yet that it can send, and `try_send_to` believes it.
            io.writable().await.map_err(|e| StartError::new(format!("cannot listen on udp {bound}"), e))?;
            address = bound;
            sockets[usize::from(number)].push(Arc::new(Socket {
                io,
                listener: number,
                local: listen.advertise.unwrap_or(bound),
                bound,
                floating: listen.floating,
                balancer: place.balancer(u64::from(shard)),
                queue: Mutex::default(),
                queued: AtomicBool::new(false),
                wake: Notify::new(),
                counters: Counters::default(),
            }));
        }
    }
    let shared = Arc::new(Shared { settings, post, me: place.home.flow(), sockets });
    let mut tasks = Vec::new();
    for socket in shared.sockets.iter().flatten() {
        tasks.push(tokio::spawn(receive(Arc::clone(&shared), Arc::clone(socket))));
        tasks.push(tokio::spawn(flush(Arc::clone(socket))));
    }
    Ok(Handle { shared, tasks: Arc::new(tasks) })
}

impl Handle {
    pub(crate) fn listeners(&self) -> Vec<Listener> {
        let first = self.shared.sockets.iter().filter_map(|sockets| sockets.first());
        first
            .map(|socket| Listener {
                number: socket.listener,
                transport: Transport::Udp,
                local: socket.local,
                bound: socket.bound,
            })
            .collect()
    }

    pub(crate) fn counters(&self) -> Snapshot {
        let sum = |pick: fn(&Counters) -> &Counter| {
            self.shared.sockets.iter().flatten().map(|socket| pick(&socket.counters).get()).sum()
        };
        vec![
            ("udp_packets_in", sum(|c| &c.packets_in)),
            ("udp_bytes_in", sum(|c| &c.bytes_in)),
            ("udp_batches_in", sum(|c| &c.batches_in)),
            ("udp_packets_out", sum(|c| &c.packets_out)),
            ("udp_bytes_out", sum(|c| &c.bytes_out)),
            ("udp_keepalives", sum(|c| &c.keepalives)),
            ("udp_queued", sum(|c| &c.queued)),
            ("udp_drops", sum(|c| &c.drops)),
            ("udp_errors", sum(|c| &c.errors)),
        ]
    }

    /// Sends what is queued and closes the sockets.
    pub(crate) async fn stop(&self) {
        for socket in self.shared.sockets.iter().flatten() {
            // A kernel that takes nothing any more is not waited for.
            let _ = tokio::time::timeout(STOP_WAIT, socket.drain()).await;
        }
        for task in self.tasks.iter() {
            task.abort();
        }
    }

    /// Sends a `Transmit` now or queues it; a failure hands an asked one back.
    pub(crate) fn post(&self, envelope: Envelope) {
        let Letter::Transmit(transmit) = &envelope.letter else { return };
        let failure = match self.socket(&transmit.flow) {
            Some(socket) => socket.send(&self.shared.settings, transmit.flow.remote, &transmit.bytes).err(),
            None => Some(FaultKind::FlowGone),
        };
        if let Some(kind) = failure {
            returned(&*self.shared.post, &envelope, kind, "udp send");
        }
    }

    /// The listener's socket that belongs to the flow's balancer.
    fn socket(&self, flow: &Flow) -> Option<&Arc<Socket>> {
        let sockets = self.shared.sockets.get(usize::from(flow.listener))?;
        let Address::Balancer(_, shard) = flow.balancer else { return sockets.first() };
        sockets.get(usize::from(shard)).or_else(|| sockets.first())
    }
}

impl Socket {
    fn send(&self, settings: &Settings, to: SocketAddr, bytes: &Bytes) -> Result<(), FaultKind> {
        if !settings.send_batched && !self.queued.load(Ordering::Acquire) {
            match self.io.try_send_to(bytes, to) {
                Ok(_) => {
                    self.counters.packets_out.one();
                    self.counters.bytes_out.add(bytes.len() as u64);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock || self.is_early(&error) => {}
                Err(error) => {
                    self.counters.errors.one();
                    debug!(%to, %error, "udp send");
                    return Err(FaultKind::FlowGone);
                }
            }
        }
        let mut queue = self.queue();
        if queue.len() >= settings.queue_max {
            self.counters.drops.one();
            return Err(FaultKind::Overload);
        }
        queue.push_back((to, bytes.clone()));
        self.queued.store(true, Ordering::Release);
        drop(queue);
        self.counters.queued.one();
        self.wake.notify_one();
        Ok(())
    }

    /// The machine stands in for another one already, but the address is still on its way here.
    fn is_early(&self, error: &io::Error) -> bool {
        // Linux says either, by its version, of a source address that it does not have.
        let early = [Errno::ENETUNREACH, Errno::EINVAL, Errno::EADDRNOTAVAIL].map(|code| code as i32);
        self.floating && error.raw_os_error().is_some_and(|code| early.contains(&code))
    }

    /// Sends everything queued, in batches.
    async fn drain(&self) {
        let mut early = None;
        while self.queued.load(Ordering::Acquire) {
            if self.io.writable().await.is_err() {
                return;
            }
            let waited = early.map_or(Duration::ZERO, |since: Instant| since.elapsed());
            if self.send_queued(waited < ADDRESS_WAIT) {
                early = None;
                continue;
            }
            early.get_or_insert_with(Instant::now);
            tokio::time::sleep(ADDRESS_LOOK).await;
        }
    }

    /// Sends a batch. `false`: the address is not here yet, and that is to be waited for.
    fn send_queued(&self, may_wait: bool) -> bool {
        // The queue stays locked while the batch is sent: nothing overtakes, and posters are only here when the
        // kernel is full anyway.
        let mut queue = self.queue();
        match self.io.try_io(Interest::WRITABLE, || send_batch(self.io.as_raw_fd(), queue.make_contiguous())) {
            Ok(sent) => {
                self.counters.packets_out.add(sent as u64);
                let bytes: usize = queue.drain(..sent).map(|(_, bytes)| bytes.len()).sum();
                self.counters.bytes_out.add(bytes as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(error) if may_wait && self.is_early(&error) => return false,
            Err(error) => {
                // The first of the batch is at fault; the rest gets its turn.
                self.counters.errors.one();
                debug!(%error, "udp send");
                queue.pop_front();
            }
        }
        self.queued.store(!queue.is_empty(), Ordering::Release);
        true
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<(SocketAddr, Bytes)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flow(&self, remote: SocketAddr) -> Flow {
        Flow {
            balancer: self.balancer,
            transport: Transport::Udp,
            listener: self.listener,
            local: self.local,
            remote,
            connection: 0,
        }
    }
}

/// Reads batch after batch and posts them.
async fn receive(shared: Arc<Shared>, socket: Arc<Socket>) {
    let mut inbox = Inbox::new();
    loop {
        if let Err(error) = socket.io.readable().await {
            warn!(local = %socket.bound, %error, "udp socket");
            return;
        }
        let mut count = 0;
        let read = socket.io.try_io(Interest::READABLE, || {
            count = inbox.receive(socket.io.as_raw_fd())?;
            // Less than a batch means that nothing is left: the next datagram announces itself, no call has to find out.
            if count < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if count > 0 {
            socket.counters.batches_in.one();
            socket.counters.packets_in.add(count as u64);
            for (from, bytes) in inbox.datagrams() {
                socket.counters.bytes_in.add(bytes.len() as u64);
                take(&shared, &socket, from, bytes);
            }
        }
        match read {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                // Out of memory, say: give the system a moment instead of spinning.
                socket.counters.errors.one();
                debug!(local = %socket.bound, %error, "udp receive");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

/// One datagram: a keep-alive ends here, a STUN request is answered, everything else is the balancer's.
fn take(shared: &Shared, socket: &Socket, from: SocketAddr, bytes: &[u8]) {
    if bytes.iter().all(|c| matches!(c, b'\r' | b'\n' | b' ' | 0)) {
        socket.counters.keepalives.one();
        return;
    }
    // Letters begin above 3, STUN below: RFC 5626 8.
    let stun = bytes[0] < 4 && shared.settings.stun;
    if let Some(answer) = stun.then(|| stun::answer(bytes, from)).flatten() {
        socket.counters.keepalives.one();
        let _ = socket.send(&shared.settings, from, &answer);
        return;
    }
    let received = Received { flow: socket.flow(from), bytes: Bytes::copy_from_slice(bytes) };
    shared.post.post(Envelope::new(shared.me, socket.balancer, Letter::Received(received)));
}

/// Sends what is queued whenever something is.
async fn flush(socket: Arc<Socket>) {
    loop {
        socket.wake.notified().await;
        socket.drain().await;
    }
}

fn open(
    settings: &Settings,
    address: SocketAddr,
    shared_port: bool,
    floating: bool,
) -> io::Result<std::net::UdpSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if shared_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if floating {
        free_bind(&socket, address)?;
    }
    if settings.receive_buffer_bytes > 0 {
        socket.set_recv_buffer_size(settings.receive_buffer_bytes)?;
    }
    if settings.send_buffer_bytes > 0 {
        socket.set_send_buffer_size(settings.send_buffer_bytes)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Longest wait for a full kernel at the end.
const STOP_WAIT: Duration = Duration::from_millis(500);

/// How long datagrams wait for a floating address that is on its way here: as long as mail waits for a new owner.
const ADDRESS_WAIT: Duration = Duration::from_secs(2);

/// Pause between two looks whether it has come.
const ADDRESS_LOOK: Duration = Duration::from_millis(5);

/// Pause after an error of the socket itself.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
