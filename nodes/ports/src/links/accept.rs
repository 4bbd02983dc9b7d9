//! Who comes in: hand-shakes in tasks of their own with a deadline, a limit per address and over all, of which the oldest
//! gives way, so that silent connections never keep a node out.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsStream;
use tracing::{debug, warn};

use super::dial::{prepare, read_greeting, write_greeting};
use super::directory::Directory;
use super::frame::{Hello, SessionId, VERSION, VERSION_MIN, Verdict, Welcome};
use super::peer::Arrivals;
use super::shared::Shared;
use super::tls;

/// Hand-shakes that are going on.
#[derive(Default)]
struct Waiting {
    next: u64,
    open: VecDeque<(u64, IpAddr, AbortHandle)>,
}

/// Accepts until the links are stopped.
pub(super) async fn run(shared: Arc<Shared>, listener: TcpListener, peers: Arc<Directory>) {
    let waiting = Arc::new(Mutex::new(Waiting::default()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.until_stopped() => break,
        };
        match accepted {
            Ok((stream, remote)) => admit(&shared, &waiting, &peers, stream, remote),
            Err(error) => {
                debug!(%error, "accepting a link");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    lock(&waiting).open.iter().for_each(|(_, _, task)| task.abort());
}

fn admit(
    shared: &Arc<Shared>,
    waiting: &Arc<Mutex<Waiting>>,
    peers: &Arc<Directory>,
    stream: TcpStream,
    remote: SocketAddr,
) {
    let mut table = lock(waiting);
    let same = table.open.iter().filter(|(_, address, _)| *address == remote.ip()).count();
    let oldest = if same >= shared.settings.handshakes_per_address_max {
        table.open.iter().position(|(_, address, _)| *address == remote.ip())
    } else if table.open.len() >= shared.settings.handshakes_max {
        Some(0)
    } else {
        None
    };
    if let Some((_, _, task)) = oldest.and_then(|place| table.open.remove(place)) {
        task.abort();
        shared.counters.handshake_evictions.one();
    }
    table.next += 1;
    let number = table.next;
    let (shared_, waiting_, peers) = (Arc::clone(shared), Arc::clone(waiting), Arc::clone(peers));
    let task = tokio::spawn(async move {
        let deadline = shared_.handshake();
        match tokio::time::timeout(deadline, greet(&shared_, stream, remote, &peers)).await {
            Ok(()) => {}
            Err(_) => shared_.counters.handshake_timeouts.one(),
        }
        let mut table = lock(&waiting_);
        table.open.retain(|(other, ..)| *other != number);
        shared_.counters.handshaking.set(table.open.len() as u64);
    });
    table.open.push_back((number, remote.ip(), task.abort_handle()));
    shared.counters.handshaking.set(table.open.len() as u64);
}

/// TLS, then who it is, then what it wants; whoever passes goes to the task of its peer.
async fn greet(shared: &Shared, stream: TcpStream, remote: SocketAddr, peers: &Directory) {
    let Some(keyring) = &shared.keyring else { return };
    prepare(&stream);
    let stream = match keyring.keys().acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            shared.counters.refused_tls.one();
            debug!(%remote, %error, "link refused");
            return;
        }
    };
    let facts = match tls::facts(stream.get_ref().1.peer_certificates()) {
        Ok(facts) => facts,
        Err(error) => return refuse(shared, remote, &error),
    };
    let Some((configured, sender)) = peers.door(facts.node) else {
        return refuse(shared, remote, &format!("node {} is no peer of this node", facts.node.0));
    };
    if configured.chassis != facts.chassis {
        let error = format!(
            "node {} shows a certificate for chassis {}, expected {}",
            facts.node.0, facts.chassis, configured.chassis
        );
        return refuse(shared, remote, &error);
    }
    if facts.node >= shared.identity.node {
        // The lower number dials; both dialling each other would make two sessions of one.
        return refuse(shared, remote, &format!("node {} does not dial this node", facts.node.0));
    }
    let mut stream = TlsStream::from(stream);
    let mut buffer = BytesMut::new();
    let hello = match read_greeting(&mut stream, &mut buffer).await.and_then(|(kind, body)| {
        Hello::decode(kind, body)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string()))
    }) {
        Ok(hello) => hello,
        Err(error) => {
            shared.counters.refused_greeting.one();
            warn!(node = facts.node.0, %remote, %error, "link refused: no greeting");
            return;
        }
    };
    if hello.node != facts.node || hello.chassis != facts.chassis {
        let error = format!("node {} says that it is node {} on chassis {}", facts.node.0, hello.node.0, hello.chassis);
        return refuse(shared, remote, &error);
    }
    let Some(version) = hello.version() else {
        shared.counters.refused_version.one();
        warn!(
            node = facts.node.0,
            %remote,
            "link refused: the peer speaks versions {} to {}, this build {VERSION_MIN} to {VERSION}",
            hello.version_min,
            hello.version_max
        );
        let _ = write_greeting(&mut stream, &refusal(shared, Verdict::Version).encode()).await;
        return;
    };
    let arrival = Arrivals { stream, buffer, hello, version, roles: facts.roles };
    if sender.try_send(arrival).is_ok() {
        shared.counters.accepted.one();
    }
}

/// The answer to a peer that is turned away with a reason.
fn refusal(shared: &Shared, verdict: Verdict) -> Welcome {
    Welcome {
        verdict,
        version: VERSION,
        node: shared.identity.node,
        boot: shared.identity.boot,
        session: SessionId::default(),
        received: [0; 2],
    }
}

fn refuse(shared: &Shared, remote: SocketAddr, error: &str) {
    shared.counters.refused_identity.one();
    warn!(%remote, error, "link refused");
}

fn lock(waiting: &Mutex<Waiting>) -> std::sync::MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pause after the system refused to accept (no more descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
