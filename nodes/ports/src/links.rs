//! Links: what nodes of a cluster say to each other, over streams that we open ourselves. Mutual TLS 1.3 with
//! certificates of the cluster's own authority; each pair of nodes has one connection with parcels and, beside them,
//! operator commands.
//!
//! The lower node number dials. A *session* is a pair of processes that have everything of each other without a gap: it
//! outlives a broken connection for `resume_ms`, in which what was not acknowledged is sent again and what came twice is
//! dropped; after that, and when the window is full, it ends and the office resynchronises over a fresh one. A peer from
//! which nothing comes for `silence_ms` is taken for gone. Nothing is ever queued beyond `window_bytes`.

mod accept;
pub mod certificate;
mod commands;
mod dial;
mod directory;
mod frame;
mod lane;
mod peer;
mod reader;
pub mod roles;
mod shared;
mod tls;
mod writer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fabric::{NodeId, Parcel};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use commands::{CommandError, Commands};

use crate::StartError;
use crate::counters::Snapshot;
use directory::Directory;
use roles::Roles;
use shared::Shared;
use tls::Keyring;

/// The section `[cluster.links]`; the node fills in what stands under `[cluster]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address of the internal network to listen on and to dial from; default none: the node is alone.
    pub listen: Option<SocketAddr>,
    /// PEM files of the node's certificate, its key and the cluster's authority (`tandem ctl certificate`).
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
    /// The other nodes of the cluster at the start.
    pub peers: Vec<PeerSettings>,
    /// Longest hand-shake, milliseconds; default 2000.
    pub handshake_ms: u32,
    /// Connections in hand-shake at a time, count; the oldest gives way. Default 256.
    pub handshakes_max: usize,
    /// The same from one address, count; default 32.
    pub handshakes_per_address_max: usize,
    /// Parcels that wait for a peer, sent or not, bytes; when there are more the session ends. Default 33554432.
    pub window_bytes: usize,
    /// The same, count; default 131072.
    pub window_parcels: usize,
    /// How long a session outlives its connection, milliseconds; default 2000, 0: not at all.
    pub resume_ms: u32,
    /// A connection over which nothing has come for this long is closed, milliseconds; default 1000.
    pub silence_ms: u32,
    /// Pings, milliseconds apart; default 200.
    pub ping_ms: u32,
    /// When nothing else was written for so long, something is, milliseconds; default 50: the peer counts on it to know that
    /// it hears this node.
    pub keep_alive_ms: u32,
    /// Wait before a peer is dialled again, milliseconds, doubling; default 50.
    pub redial_ms: u32,
    /// Longest of these waits, milliseconds; default 2000.
    pub redial_max_ms: u32,
}

/// Another node (`[[links.peers]]`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSettings {
    /// Number of the node.
    pub node: u16,
    /// Number of the chassis it stands on; its certificate has to say the same.
    pub chassis: u16,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: None,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            authority: PathBuf::new(),
            peers: Vec::new(),
            handshake_ms: 2_000,
            handshakes_max: 256,
            handshakes_per_address_max: 32,
            window_bytes: 32 << 20,
            window_parcels: 128 << 10,
            resume_ms: 2_000,
            silence_ms: 1_000,
            ping_ms: 200,
            keep_alive_ms: 50,
            redial_ms: 50,
            redial_max_ms: 2_000,
        }
    }
}

/// Who this node is.
#[derive(Clone, Debug)]
pub struct Identity {
    pub node: NodeId,
    pub name: String,
    pub chassis: u16,
    pub roles: Roles,
    /// Differs after each start of the process.
    pub boot: u64,
}

/// Where parcels arrive. Neither call may block; both come one after the other for one node.
pub trait Sink: Send + Sync {
    /// A parcel that this node may send by its roles, in order (but urgent ones), each once within a session.
    fn receive(&self, from: NodeId, parcel: Parcel);
    /// Parcels that came together, in order: what they ask for may be answered together.
    fn receive_all(&self, from: NodeId, parcels: &mut Vec<Parcel>) {
        parcels.drain(..).for_each(|parcel| self.receive(from, parcel));
    }
    /// A fresh session began, or the session ended; what it carried and did not arrive is lost.
    fn on_link(&self, node: NodeId, up: bool);
}

/// The running links; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    peers: Arc<Directory>,
    address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// A link, for people and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    pub node: NodeId,
    pub chassis: u16,
    pub address: SocketAddr,
    /// A session is up for so long.
    pub up: Option<Duration>,
    /// The session is up and has a connection at this moment.
    pub connected: bool,
    /// Of the last ping.
    pub round_trip: Option<Duration>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub parcels_in: u64,
    pub parcels_out: u64,
    /// What waits to be sent or acknowledged.
    pub window_bytes: usize,
    pub window_parcels: usize,
    /// Why there is no connection; empty when there is one.
    pub trouble: String,
}

/// Listens, and keeps a session with every configured peer. Errors: settings that contradict themselves, a certificate
/// that is not this node's, an address that cannot be bound.
pub async fn start(settings: Settings, identity: Identity, sink: Arc<dyn Sink>) -> Result<Handle, StartError> {
    check(&settings, &identity)?;
    let (stop, stopped) = watch::channel(false);
    let (listener, keyring) = match settings.listen {
        None => (None, None),
        Some(address) => {
            let keyring = Keyring::load(&settings, &identity)?;
            let listener = dial::listen(address);
            let listener = listener.map_err(|e| StartError::new(format!("cannot listen for nodes on {address}"), e))?;
            (Some(listener), Some(keyring))
        }
    };
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let shared = Arc::new(Shared::new(settings, identity, keyring, sink, stopped));
    let peers = Arc::new(Directory::default());
    peers.follow(&shared, &shared.settings.peers).await;
    let mut tasks = Vec::new();
    if let Some(listener) = listener {
        tasks.push(tokio::spawn(accept::run(Arc::clone(&shared), listener, Arc::clone(&peers))));
    }
    Ok(Handle { shared, peers, address, stop, tasks: Arc::new(Mutex::new(tasks)) })
}

impl Handle {
    /// Queues a parcel and never waits. `false`: the session is down or has just ended because its window was full;
    /// `on_link(false)` and, over a fresh one, `on_link(true)` follow. Also `false`, counted as `oversized` and without a
    /// new session: a parcel that no frame holds (1 MiB).
    pub fn send(&self, to: NodeId, parcel: &Parcel) -> bool {
        self.peers.get(to).is_some_and(|peer| peer.push(parcel, &self.shared.counters))
    }

    /// Whether anything has come from a node since this was asked last.
    pub fn has_come(&self, from: NodeId) -> bool {
        self.peers.get(from).is_some_and(|peer| peer.traffic.came.swap(false, Ordering::Relaxed))
    }

    /// From now on runs what other nodes ask (`command`); said once, at boot.
    pub fn serve(&self, commands: Arc<dyn Commands>) {
        // There is one boot: a second call changes nothing.
        let _ = self.shared.commands.set(commands);
    }

    /// Asks another node, or this one, to run an operator's command and waits for the answer. At most once: an error
    /// says whether it can have been run.
    pub async fn command(&self, to: NodeId, command: Bytes, timeout: Duration) -> Result<Bytes, CommandError> {
        let identity = &self.shared.identity;
        if to == identity.node {
            let commands = self.shared.commands.get().ok_or(CommandError::NotServed)?;
            let answer = commands.run(to, identity.roles, command);
            return tokio::time::timeout(timeout, answer).await.map_err(|_| CommandError::Timeout);
        }
        let peer = self.peers.get(to).ok_or(CommandError::Unknown)?;
        commands::ask(&peer, &command, timeout).await
    }

    /// Where the node listens; differs from the settings when they name port 0.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub fn counters(&self) -> Snapshot {
        let peers = self.peers.all();
        let waiting = peers.iter().map(|peer| peer.waiting());
        let (bytes, parcels) = waiting.fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
        let up = peers.iter().filter(|peer| peer.is_up()).count();
        self.shared.counters.snapshot(up, bytes, parcels)
    }

    /// All configured peers, by number.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers.all().iter().map(|peer| peer.status()).collect()
    }

    /// From now on these are the peers: new ones are dialled or let in, the session with one that is not among them ends,
    /// and nobody else notices. Errors: peers that contradict themselves; nothing has changed then.
    pub async fn follow(&self, peers: Vec<PeerSettings>) -> Result<(), StartError> {
        let settings = Settings { peers, ..self.shared.settings.clone() };
        check(&settings, &self.shared.identity)?;
        self.peers.follow(&self.shared, &settings.peers).await;
        Ok(())
    }

    /// When the node's own certificate ends, seconds since 1970; `None` when the node is alone.
    pub fn certificate_end_s(&self) -> Option<i64> {
        self.shared.keyring.as_ref().map(|keyring| keyring.keys().not_after_s)
    }

    /// Sends what waits, says goodbye to every peer and closes; no longer than a second.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        let mut tasks = match self.tasks.lock() {
            Ok(mut tasks) => std::mem::take(&mut *tasks),
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        };
        tasks.extend(self.peers.drain());
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(STOP_WAIT, all).await.is_err() {
            aborts.iter().for_each(|abort| abort.abort());
        }
    }
}

fn check(settings: &Settings, identity: &Identity) -> Result<(), StartError> {
    let wrong = |cause: String| Err(StartError::new("[cluster.links]", cause));
    match settings.listen {
        None if !settings.peers.is_empty() => return wrong("peers need `listen`".to_owned()),
        Some(address) if address.ip().is_unspecified() => {
            return wrong(format!("{address} is every network; name the address of the internal one"));
        }
        _ => {}
    }
    let mut seen = BTreeMap::new();
    for peer in &settings.peers {
        if peer.node == identity.node.0 {
            return wrong(format!("peer {} is this node", peer.node));
        }
        if seen.insert(peer.node, ()).is_some() {
            return wrong(format!("peer {} stands there twice", peer.node));
        }
    }
    if settings.window_bytes < WINDOW_BYTES_MIN || settings.window_parcels == 0 {
        return wrong(format!(
            "a window of less than {WINDOW_BYTES_MIN} bytes or without parcels lets nothing through"
        ));
    }
    if settings.ping_ms == 0 || settings.silence_ms <= settings.ping_ms {
        return wrong("silence_ms must be more than ping_ms, and ping_ms more than 0".to_owned());
    }
    if settings.keep_alive_ms == 0 {
        return wrong("keep_alive_ms must not be 0".to_owned());
    }
    if settings.handshakes_max == 0 || settings.handshakes_per_address_max == 0 || settings.handshake_ms == 0 {
        return wrong("without hand-shakes nobody gets in".to_owned());
    }
    Ok(())
}

/// Longest graceful stop.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// Smallest window, bytes: two frames.
const WINDOW_BYTES_MIN: usize = 2 << 20;

#[cfg(test)]
mod tests;
