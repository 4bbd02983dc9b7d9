//! What the tests of links stand on: an authority, two nodes, and a wire.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fabric::{NodeId, Parcel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::links::certificate::{self, Order, Pair};
use crate::links::roles::{Role, Roles};
use crate::links::{Handle, Identity, PeerSettings, Settings, Sink, start};
use crate::testing::{Directory, PATIENCE};

/// What a sink was told.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    Link(NodeId, bool),
    Parcel(NodeId, Parcel),
}

struct Recorder(mpsc::UnboundedSender<Heard>);

impl Sink for Recorder {
    fn receive(&self, from: NodeId, parcel: Parcel) {
        let _ = self.0.send(Heard::Parcel(from, parcel));
    }

    fn on_link(&self, node: NodeId, up: bool) {
        let _ = self.0.send(Heard::Link(node, up));
    }
}

pub(super) struct Ear(mpsc::UnboundedReceiver<Heard>);

pub(super) fn sink() -> (Arc<dyn Sink>, Ear) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Arc::new(Recorder(sender)), Ear(receiver))
}

impl Ear {
    pub async fn next(&mut self) -> Heard {
        tokio::time::timeout(PATIENCE, self.0.recv()).await.expect("something in time").expect("a sink")
    }

    /// The next parcel; panics when the link changes first.
    pub async fn parcel(&mut self) -> Parcel {
        match self.next().await {
            Heard::Parcel(_, parcel) => parcel,
            Heard::Link(node, up) => panic!("link to {node:?} is up: {up}"),
        }
    }

    pub fn is_silent(&self) -> bool {
        self.0.is_empty()
    }
}

/// A cluster's authority.
pub(super) struct Authority(pub Pair);

/// A node's certificate, and who has signed it.
pub(super) struct Issued {
    pub pair: Pair,
    authority: String,
}

impl Authority {
    pub fn new() -> Authority {
        Authority(certificate::authority("test", 30, SystemTime::now()).expect("an authority"))
    }

    pub fn issue(&self, identity: &Identity, days: u32) -> Issued {
        self.issue_at(identity, days, SystemTime::now())
    }

    pub fn issue_at(&self, identity: &Identity, days: u32, now: SystemTime) -> Issued {
        let Identity { node, name, chassis, roles, .. } = identity.clone();
        let pair = certificate::node(&self.0, &Order { node, name, chassis, roles, days }, now);
        Issued { pair: pair.expect("a certificate"), authority: self.0.certificate.clone() }
    }
}

impl Issued {
    /// Writes the files and names them.
    pub fn settings(&self, directory: &Directory, name: &str) -> Settings {
        let (certificate, key) = self.pair.write(directory.path(), name).expect("files");
        let authority = directory.path().join(format!("{name}-authority.pem"));
        std::fs::write(&authority, &self.authority).expect("a file");
        Settings { listen: "127.0.0.1:0".parse().ok(), certificate, key, authority, ..Settings::default() }
    }

    /// Writes over the files of these settings.
    pub fn replace(&self, settings: &Settings) {
        std::fs::write(&settings.certificate, &self.pair.certificate).expect("a file");
        std::fs::write(&settings.key, &self.pair.key).expect("a file");
    }
}

pub(super) fn identity(node: u16, chassis: u16, roles: Roles) -> Identity {
    Identity { node: NodeId(node), name: format!("n{node}"), chassis, roles, boot: u64::from(node) << 32 | 1 }
}

/// Node 1 on chassis 1 dials node 2 on chassis 2 through a wire; both are up.
pub(super) struct Rig {
    pub one: Handle,
    pub two: Handle,
    pub heard_by_one: Ear,
    pub heard_by_two: Ear,
    pub wire: Wire,
    pub authority: Authority,
    pub one_settings: Settings,
    pub two_settings: Settings,
    pub one_identity: Identity,
    pub two_identity: Identity,
    _directory: Directory,
}

impl Rig {
    pub async fn new(name: &str, edit: impl Fn(&mut Settings)) -> Rig {
        Rig::with_roles(name, Roles::all(), edit).await
    }

    /// `roles` are those of node 1.
    pub async fn with_roles(name: &str, roles: Roles, edit: impl Fn(&mut Settings)) -> Rig {
        let directory = Directory::new(name);
        let authority = Authority::new();
        let one_identity = identity(1, 1, roles);
        let two_identity = identity(2, 2, [Role::Proxy, Role::Director].into_iter().collect());
        let mut one_settings = authority.issue(&one_identity, 30).settings(&directory, "one");
        let mut two_settings = authority.issue(&two_identity, 30).settings(&directory, "two");
        edit(&mut one_settings);
        edit(&mut two_settings);
        two_settings.peers =
            vec![PeerSettings { node: 1, chassis: 1, address: "127.0.0.1:9".parse().expect("an address") }];
        let (sink, heard_by_two) = sink();
        let two = start(two_settings.clone(), two_identity.clone(), sink).await.expect("node 2 starts");
        let wire = Wire::to(two.address().expect("an address")).await;
        one_settings.peers = vec![PeerSettings { node: 2, chassis: 2, address: wire.address }];
        let (sink, heard_by_one) = self::sink();
        let one = start(one_settings.clone(), one_identity.clone(), sink).await.expect("node 1 starts");
        let mut rig = Rig {
            one,
            two,
            heard_by_one,
            heard_by_two,
            wire,
            authority,
            one_settings,
            two_settings,
            one_identity,
            two_identity,
            _directory: directory,
        };
        rig.until_up().await;
        rig
    }

    /// Both have heard that the link is up.
    pub async fn until_up(&mut self) {
        assert_eq!(self.heard_by_one.next().await, Heard::Link(NodeId(2), true));
        assert_eq!(self.heard_by_two.next().await, Heard::Link(NodeId(1), true));
    }

    /// Waits until something is so.
    pub async fn until(&self, is: impl Fn(&Rig) -> bool, what: &str) {
        until(|| is(self), what).await;
    }

    pub async fn stop(self) {
        self.one.stop().await;
        self.two.stop().await;
    }
}

/// Waits until something is so; panics when it never is.
pub(super) async fn until(is: impl Fn() -> bool, what: &str) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(super) fn count(handle: &Handle, name: &str) -> u64 {
    handle.counters().into_iter().find(|(other, _)| *other == name).expect("a counter").1
}

/// A small parcel that anybody may send, with a number.
pub(super) fn receipt(number: u64) -> Parcel {
    Parcel::Receipt(vec![number])
}

pub(super) fn number(parcel: &Parcel) -> u64 {
    match parcel {
        Parcel::Receipt(numbers) => numbers[0],
        other => panic!("no receipt: {other:?}"),
    }
}

/// A relay of bytes between the nodes.
pub(super) struct Wire {
    pub address: SocketAddr,
    /// What has gone towards the listening node, over all connections.
    pub recorded: Arc<Mutex<Vec<u8>>>,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Connections of an older generation are broken.
    generation: u64,
    /// Nothing is let through.
    frozen: bool,
    /// New connections are closed at once.
    closed: bool,
}

impl Wire {
    pub async fn to(target: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let (state, states) = watch::channel(State::default());
        let record = Arc::clone(&recorded);
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((near, _)) = listener.accept().await else { return };
                if states.borrow().closed {
                    continue;
                }
                let Ok(far) = TcpStream::connect(target).await else { continue };
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                tokio::spawn(pump(near_read, far_write, states.clone(), Some(Arc::clone(&record))));
                tokio::spawn(pump(far_read, near_write, states.clone(), None));
            }
        });
        Wire { address, recorded, state, accepting }
    }

    /// Breaks all connections; new ones are good.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Breaks all connections and refuses new ones.
    pub fn close(&self) {
        self.state.send_modify(|state| (state.generation, state.closed) = (state.generation + 1, true));
    }

    /// Refuses new connections, and lets nothing through the old ones.
    pub fn close_and_freeze(&self) {
        self.state.send_modify(|state| (state.closed, state.frozen) = (true, true));
    }

    pub fn open(&self) {
        self.state.send_modify(|state| state.closed = false);
    }

    pub fn freeze(&self) {
        self.state.send_modify(|state| state.frozen = true);
    }

    pub fn thaw(&self) {
        self.state.send_modify(|state| state.frozen = false);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut states: watch::Receiver<State>,
    record: Option<Arc<Mutex<Vec<u8>>>>,
) {
    let generation = states.borrow().generation;
    let mut buffer = vec![0u8; 16 * 1024];
    loop {
        let state = *states.borrow_and_update();
        if state.generation != generation {
            return;
        }
        tokio::select! {
            changed = states.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer), if !state.frozen => {
                let Ok(bytes @ 1..) = read else { return };
                if let Some(record) = &record {
                    record.lock().expect("a record").extend_from_slice(&buffer[..bytes]);
                }
                let written = tokio::select! {
                    written = to.write_all(&buffer[..bytes]) => written.is_ok(),
                    _ = states.wait_for(|state| state.generation != generation) => false,
                };
                if !written {
                    return;
                }
            }
        }
    }
}
