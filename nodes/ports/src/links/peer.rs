//! The task of one peer: gets connections, keeps the session over them, and is the only one that talks to the sink about
//! this peer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use fabric::{NodeId, Parcel, codec};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, sleep_until};
use tokio_rustls::TlsStream;
use tracing::{error, info, warn};

use super::commands::Ledger;
use super::dial::{self, Line, write_greeting};
use super::frame::{Hello, Lane, SessionId, VERSION, VERSION_MIN, Verdict, Welcome};
use super::lane::{Incoming, Outgoing, Refused};
use super::reader::{self, End};
use super::roles::Roles;
use super::shared::{Counters, Shared};
use super::{PeerSettings, PeerStatus};

/// A peer, as everybody who sends to it sees it.
pub(super) struct Peer {
    pub node: NodeId,
    pub chassis: u16,
    pub address: SocketAddr,
    /// This side opens the connections.
    dials: bool,
    desk: Mutex<Desk>,
    /// Something is to be written.
    pub wake: Notify,
    /// The session has ended from this side.
    pub kick: Notify,
    /// It is no peer any more.
    gone: watch::Sender<bool>,
    pub traffic: Traffic,
    commands: Mutex<Ledger>,
    state: Mutex<State>,
}

/// What reader and writer of the session share.
pub(super) struct Desk {
    pub out: Outgoing,
    pub incoming: Incoming,
    /// The numbers that the peer was last told.
    pub told: [u64; 2],
    pub pong: Option<u64>,
    /// Write everything, say goodbye and close.
    pub closing: bool,
}

#[derive(Default)]
pub(super) struct Traffic {
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    pub parcels_in: AtomicU64,
    pub parcels_out: AtomicU64,
    /// Of the last ping, microseconds; 0: none yet.
    pub round_trip_us: AtomicU64,
    pub connected: AtomicBool,
    /// Something has come since somebody asked.
    pub came: AtomicBool,
}

struct State {
    up_since: Option<Instant>,
    trouble: String,
}

/// A connection that the peer has opened: who it is has been checked, its greeting is not answered.
pub(super) struct Arrivals {
    pub stream: TlsStream<TcpStream>,
    pub buffer: BytesMut,
    pub hello: Hello,
    pub version: u16,
    pub roles: Roles,
}

impl Peer {
    pub fn new(settings: &PeerSettings, shared: &Shared) -> Peer {
        let limits = &shared.settings;
        Peer {
            node: NodeId(settings.node),
            chassis: settings.chassis,
            address: settings.address,
            dials: shared.identity.node.0 < settings.node,
            desk: Mutex::new(Desk {
                out: Outgoing::new(limits.window_bytes, limits.window_parcels),
                incoming: Incoming::default(),
                told: [0; 2],
                pong: None,
                closing: false,
            }),
            wake: Notify::new(),
            kick: Notify::new(),
            gone: watch::Sender::new(false),
            traffic: Traffic::default(),
            commands: Mutex::default(),
            state: Mutex::new(State { up_since: None, trouble: "not connected yet".to_owned() }),
        }
    }

    /// Puts a parcel into the window; `false` when there is no session, or none any more, or no frame holds it.
    pub fn push(&self, parcel: &Parcel, counters: &Counters) -> bool {
        let pushed = self.desk().out.push(parcel.is_urgent(), |bytes| codec::append_parcel(parcel, bytes));
        match pushed {
            Ok(is_idle) => {
                counters.parcels_out.one();
                self.traffic.parcels_out.fetch_add(1, Ordering::Relaxed);
                if is_idle {
                    self.wake.notify_one();
                }
                true
            }
            Err(Refused::Down) => false,
            Err(Refused::Full) => {
                counters.window_resets.one();
                self.kick.notify_one();
                false
            }
            Err(Refused::TooLarge(bytes)) => {
                counters.oversized.one();
                error!(node = self.node.0, bytes, "a parcel is too large for a link");
                false
            }
        }
    }

    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn commands(&self) -> MutexGuard<'_, Ledger> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether these settings are what it was made with.
    pub fn is(&self, settings: &PeerSettings) -> bool {
        (self.node.0, self.chassis, self.address) == (settings.node, settings.chassis, settings.address)
    }

    /// It is no peer any more: its task says goodbye and ends.
    pub fn dismiss(&self) {
        self.gone.send_replace(true);
    }

    /// Waits until it is no peer any more, or the links are stopped.
    pub async fn until_over(&self, shared: &Shared) {
        let mut gone = self.gone.subscribe();
        tokio::select! {
            () = shared.until_stopped() => {}
            // The sender lives as long as the peer.
            _ = gone.wait_for(|gone| *gone) => {}
        }
    }

    pub fn is_over(&self, shared: &Shared) -> bool {
        shared.is_stopped() || *self.gone.borrow()
    }

    pub fn is_connected(&self) -> bool {
        self.traffic.connected.load(Ordering::Relaxed)
    }

    /// Bytes and parcels in the window.
    pub fn waiting(&self) -> (usize, usize) {
        self.desk().out.waiting()
    }

    pub fn is_up(&self) -> bool {
        self.desk().out.session().is_some()
    }

    /// The greeting of this moment.
    pub fn hello(&self, shared: &Shared) -> Hello {
        let desk = self.desk();
        Hello {
            version_min: VERSION_MIN,
            version_max: VERSION,
            node: shared.identity.node,
            chassis: shared.identity.chassis,
            lane: Lane::Data,
            boot: shared.identity.boot,
            session: desk.out.session().unwrap_or_default(),
            received: desk.incoming.received,
        }
    }

    pub fn status(&self) -> PeerStatus {
        let (window_bytes, window_parcels) = self.waiting();
        let traffic = &self.traffic;
        let round_trip_us = traffic.round_trip_us.load(Ordering::Relaxed);
        let connected = self.is_connected();
        let state = self.state();
        PeerStatus {
            node: self.node,
            chassis: self.chassis,
            address: self.address,
            up: state.up_since.map(|since| since.elapsed()),
            connected,
            round_trip: (round_trip_us > 0).then(|| Duration::from_micros(round_trip_us)),
            bytes_in: traffic.bytes_in.load(Ordering::Relaxed),
            bytes_out: traffic.bytes_out.load(Ordering::Relaxed),
            parcels_in: traffic.parcels_in.load(Ordering::Relaxed),
            parcels_out: traffic.parcels_out.load(Ordering::Relaxed),
            window_bytes,
            window_parcels,
            trouble: if connected { String::new() } else { state.trouble.clone() },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the session with a peer until the links are stopped.
pub(super) async fn run(peer: Arc<Peer>, shared: Arc<Shared>, arrivals: mpsc::Receiver<Arrivals>) {
    let redial = Redial::new(&shared, peer.node);
    Keeper { peer, shared, arrivals, redial, next: None, is_up: false }.run().await;
}

struct Keeper {
    peer: Arc<Peer>,
    shared: Arc<Shared>,
    arrivals: mpsc::Receiver<Arrivals>,
    redial: Redial,
    /// A connection that came while another was open.
    next: Option<Arrivals>,
    /// What the sink was told last.
    is_up: bool,
}

impl Keeper {
    async fn run(mut self) {
        while let Some((line, roles)) = self.connection().await {
            let (stream, buffer) = line;
            self.peer.traffic.connected.store(true, Ordering::Relaxed);
            let end = reader::serve(&self.peer, &self.shared, roles, stream, buffer, &mut self.arrivals).await;
            self.peer.traffic.connected.store(false, Ordering::Relaxed);
            self.peer.commands().lose();
            match end {
                End::Replaced(arrival) => self.next = Some(*arrival),
                End::Over(why) => {
                    self.trouble(why.clone());
                    self.down(&why);
                }
                End::Broken(why) => {
                    self.trouble(why);
                    if self.shared.settings.resume_ms == 0 {
                        self.down("the connection broke");
                    }
                }
            }
        }
        self.down("stopped");
    }

    /// The next greeted connection, with its session begun or resumed; `None` when the links are stopped.
    async fn connection(&mut self) -> Option<((TlsStream<TcpStream>, BytesMut), Roles)> {
        let resume = Duration::from_millis(u64::from(self.shared.settings.resume_ms));
        let until = tokio::time::Instant::now() + resume;
        loop {
            match self.event(until).await? {
                Event::Came(arrival) => {
                    if let Some(ready) = self.welcome(*arrival).await {
                        return Some(ready);
                    }
                }
                Event::Dialled(Ok(line)) => {
                    self.shared.counters.dialled.one();
                    if let Some(ready) = self.welcomed(*line) {
                        return Some(ready);
                    }
                }
                Event::Dialled(Err(why)) => {
                    self.shared.counters.dial_failures.one();
                    if self.redial.is_worth_saying() {
                        warn!(node = self.peer.node.0, address = %self.peer.address, why, "no link");
                    }
                    self.trouble(why);
                }
            }
        }
    }

    /// A connection that was made, or failed to; while it is being made the session may end for other reasons.
    async fn event(&mut self, until: tokio::time::Instant) -> Option<Event> {
        if self.peer.is_over(&self.shared) {
            return None;
        }
        let Keeper { peer, shared, arrivals, redial, next, is_up } = self;
        let dialled = async {
            match peer.dials {
                true => {
                    sleep(redial.pause()).await;
                    dial::dial(shared, peer).await
                }
                false => std::future::pending().await,
            }
        };
        let came = async {
            match next.take() {
                Some(arrival) => Some(arrival),
                None => arrivals.recv().await,
            }
        };
        tokio::pin!(dialled, came);
        loop {
            tokio::select! {
                biased;
                () = peer.until_over(shared) => return None,
                arrival = &mut came => return arrival.map(|arrival| Event::Came(Box::new(arrival))),
                result = &mut dialled => return Some(Event::Dialled(result.map(Box::new))),
                () = peer.kick.notified() => {
                    if !peer.is_up() {
                        down(peer, shared, is_up, "its window was full");
                    }
                }
                () = sleep_until(until), if *is_up => down(peer, shared, is_up, "it did not come back in time"),
            }
        }
    }

    /// Answers a connection of the peer: the session goes on when both still have it.
    async fn welcome(&mut self, arrival: Arrivals) -> Option<((TlsStream<TcpStream>, BytesMut), Roles)> {
        let Arrivals { mut stream, buffer, hello, version, roles } = arrival;
        let (session, received) = {
            let mut desk = self.peer.desk();
            let same = hello.session != SessionId::default() && desk.out.session() == Some(hello.session);
            let resumed = same && desk.resume(hello.received);
            (resumed.then_some(hello.session), desk.incoming.received)
        };
        let fresh = SessionId(u128::from(self.shared.identity.boot) << 64 | u128::from(self.shared.next_session()));
        let welcome = Welcome {
            verdict: if session.is_some() { Verdict::Resumed } else { Verdict::Fresh },
            version,
            node: self.shared.identity.node,
            boot: self.shared.identity.boot,
            session: session.unwrap_or(fresh),
            received: if session.is_some() { received } else { [0; 2] },
        };
        if session.is_none() {
            self.down("the peer begins anew");
        }
        let bytes = welcome.encode();
        let written = tokio::time::timeout(self.shared.handshake(), write_greeting(&mut stream, &bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            return None;
        }
        match session {
            Some(_) => self.shared.counters.resumes.one(),
            None => self.up(fresh),
        }
        Some(((stream, buffer), roles))
    }

    /// The peer has answered a connection of ours.
    fn welcomed(&mut self, line: Line) -> Option<((TlsStream<TcpStream>, BytesMut), Roles)> {
        let Line { stream, buffer, welcome, roles } = line;
        match welcome.verdict {
            Verdict::Resumed => {
                let mut desk = self.peer.desk();
                // The session may have ended here while the connection was being made: the next greeting says so.
                if desk.out.session() != Some(welcome.session) || !desk.resume(welcome.received) {
                    return None;
                }
                drop(desk);
                self.shared.counters.resumes.one();
            }
            _ => {
                self.down("the peer begins anew");
                self.up(welcome.session);
            }
        }
        self.redial.reset();
        Some(((stream, buffer), roles))
    }

    fn up(&mut self, session: SessionId) {
        {
            let mut desk = self.peer.desk();
            desk.out.begin(session);
            desk.incoming = Incoming::default();
            (desk.told, desk.pong) = ([0; 2], None);
        }
        self.peer.state().up_since = Some(Instant::now());
        self.shared.counters.sessions.one();
        self.is_up = true;
        info!(node = self.peer.node.0, "link up");
        self.shared.sink.on_link(self.peer.node, true);
    }

    fn down(&mut self, why: &str) {
        down(&self.peer, &self.shared, &mut self.is_up, why);
    }

    fn trouble(&mut self, why: String) {
        self.peer.state().trouble = why;
    }
}

enum Event {
    Came(Box<Arrivals>),
    Dialled(Result<Box<Line>, String>),
}

impl Desk {
    /// Goes on with the session over another connection; `false` when the peer claims what it cannot have.
    fn resume(&mut self, received: [u64; 2]) -> bool {
        if !self.out.acknowledge(received) {
            return false;
        }
        self.out.rewind();
        // The peer heard these numbers in the greeting.
        (self.told, self.pong) = (self.incoming.received, None);
        true
    }
}

/// Ends the session, once.
fn down(peer: &Peer, shared: &Shared, is_up: &mut bool, why: &str) {
    peer.desk().out.end();
    peer.state().up_since = None;
    if std::mem::take(is_up) {
        info!(node = peer.node.0, why, "link down");
        shared.sink.on_link(peer.node, false);
    }
}

/// When to dial again: at once the first time, then doubling, each with a little chance in it.
struct Redial {
    first_ms: u64,
    longest_ms: u64,
    pause_ms: u64,
    seed: u64,
    said: Option<Instant>,
}

impl Redial {
    fn new(shared: &Shared, node: NodeId) -> Redial {
        let settings = &shared.settings;
        Redial {
            first_ms: u64::from(settings.redial_ms.max(1)),
            longest_ms: u64::from(settings.redial_max_ms.max(settings.redial_ms).max(1)),
            pause_ms: 0,
            seed: shared.identity.boot ^ u64::from(node.0) << 32 | 1,
            said: None,
        }
    }

    /// The next wait: between half of it and all of it.
    fn pause(&mut self) -> Duration {
        let pause_ms = self.pause_ms;
        self.pause_ms = (pause_ms * 2).clamp(self.first_ms, self.longest_ms);
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        Duration::from_millis(pause_ms - (pause_ms / 2) * (self.seed % 1024) / 1024)
    }

    fn reset(&mut self) {
        (self.pause_ms, self.said) = (self.first_ms, None);
    }

    /// The same trouble is told once in a while only.
    fn is_worth_saying(&mut self) -> bool {
        if self.said.is_some_and(|said| said.elapsed() < SAY_AGAIN) {
            return false;
        }
        self.said = Some(Instant::now());
        true
    }
}

/// How often an unreachable peer is mentioned in the log.
const SAY_AGAIN: Duration = Duration::from_secs(30);
