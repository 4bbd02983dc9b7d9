//! Dialling a peer, and the greeting that both sides begin with.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsStream;

use super::frame::{self, GREETING_BYTES_MAX, Hello, VERSION, VERSION_MIN, Verdict, Welcome};
use super::peer::Peer;
use super::roles::Roles;
use super::shared::Shared;
use super::tls;

/// A greeted connection.
pub(super) struct Line {
    pub stream: TlsStream<TcpStream>,
    /// Bytes that came behind the greeting.
    pub buffer: BytesMut,
    pub welcome: Welcome,
    pub roles: Roles,
}

/// Connects and greets, within the hand-shake's deadline. Errors say what went wrong, for people.
pub(super) async fn dial(shared: &Shared, peer: &Peer) -> std::result::Result<Line, String> {
    match tokio::time::timeout(shared.handshake(), attempt(shared, peer)).await {
        Ok(result) => result,
        Err(_) => {
            shared.counters.handshake_timeouts.one();
            Err("no answer in time".to_owned())
        }
    }
}

async fn attempt(shared: &Shared, peer: &Peer) -> std::result::Result<Line, String> {
    let Some(keyring) = &shared.keyring else { return Err("the node is alone".to_owned()) };
    let stream = connect(shared.settings.listen, peer.address).await.map_err(|e| format!("cannot connect: {e}"))?;
    prepare(&stream);
    let connector = keyring.keys().connector;
    let stream = connector.connect(tls::server_name(peer.node), stream).await.map_err(|error| {
        shared.counters.refused_tls.one();
        format!("TLS: {error}")
    })?;
    let facts =
        tls::facts(stream.get_ref().1.peer_certificates()).inspect_err(|_| shared.counters.refused_identity.one())?;
    if facts.node != peer.node || facts.chassis != peer.chassis {
        shared.counters.refused_identity.one();
        return Err(format!(
            "the certificate is of node {} on chassis {}, expected node {} on chassis {}",
            facts.node.0, facts.chassis, peer.node.0, peer.chassis
        ));
    }
    let mut stream = TlsStream::from(stream);
    let hello = peer.hello(shared);
    write_greeting(&mut stream, &hello.encode()).await.map_err(|e| format!("greeting: {e}"))?;
    let mut buffer = BytesMut::new();
    let (kind, body) = read_greeting(&mut stream, &mut buffer).await.map_err(|e| format!("greeting: {e}"))?;
    let welcome = Welcome::decode(kind, body).map_err(|e| {
        shared.counters.refused_greeting.one();
        format!("greeting: {e}")
    })?;
    check(shared, &hello, &welcome)?;
    Ok(Line { stream, buffer, welcome, roles: facts.roles })
}

fn check(shared: &Shared, hello: &Hello, welcome: &Welcome) -> std::result::Result<(), String> {
    let spoken = (hello.version_min..=hello.version_max).contains(&welcome.version);
    match welcome.verdict {
        Verdict::Fresh | Verdict::Resumed if spoken => Ok(()),
        Verdict::Refused => Err("the peer does not want to now".to_owned()),
        _ => {
            shared.counters.refused_version.one();
            let theirs = welcome.version;
            Err(format!(
                "the peer speaks version {theirs}, this build {VERSION_MIN} to {VERSION}: upgrade the older one"
            ))
        }
    }
}

/// From the own address of the internal network, so that the peer sees who it is.
async fn connect(from: Option<SocketAddr>, to: SocketAddr) -> Result<TcpStream> {
    let socket = socket(&to)?;
    if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
        socket.bind(SocketAddr::new(from.ip(), 0))?;
    }
    socket.connect(to).await
}

/// Listens on the own address.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = socket(&address)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What the system buffers is what an urgent parcel waits behind: a standby that is being filled must still hear beats.
fn socket(address: &SocketAddr) -> Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    Ok(socket)
}

/// Options of a connection, dialled or accepted.
pub(super) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    // A hint to the system: without it urgent parcels wait longer, nothing else.
    let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES);
}

/// Writes the first frame of a side.
pub(super) async fn write_greeting(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Reads the first frame of the other side; what follows it stays in the buffer.
pub(super) async fn read_greeting(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> Result<(u8, Bytes)> {
    loop {
        let cut = frame::cut(buffer, GREETING_BYTES_MAX);
        if let Some(frame) = cut.map_err(|error| Error::new(ErrorKind::InvalidData, error.to_string()))? {
            return Ok(frame);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Room for what has come and is not read, bytes.
const RECEIVE_BUFFER_BYTES: u32 = 1 << 20;

/// What is written and not yet sent, bytes.
const UNSENT_BYTES: u32 = 128 * 1024;

/// Connections that wait to be accepted, count.
const BACKLOG: u32 = 1024;
