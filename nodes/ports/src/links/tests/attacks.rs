//! SECURITY, the channel between nodes: nobody gets in who should not, and nothing that they try costs memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, BytesMut};
use fabric::NodeId;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::rig::{Authority, Ear, Heard, Rig, Wire, count, identity, number, receipt, sink, until};
use crate::links::certificate::Pair;
use crate::links::dial::{read_greeting, write_greeting};
use crate::links::frame::{self, Hello, Lane, SessionId, VERSION, VERSION_MIN, Verdict, Welcome};
use crate::links::roles::{Role, Roles};
use crate::links::{Handle, Identity, PeerSettings, Settings, start, tls};
use crate::testing::{Directory, PATIENCE};

/// Node 5 on chassis 5, which expects nodes 1 and 2 on chassis of the same numbers, and node 8.
struct Target {
    node: Handle,
    heard: Ear,
    authority: Authority,
    directory: Directory,
}

impl Target {
    async fn new(name: &str) -> Target {
        let directory = Directory::new(name);
        let authority = Authority::new();
        let me = identity(5, 5, Roles::all());
        let peer = |node| PeerSettings { node, chassis: node, address: "127.0.0.1:9".parse().expect("an address") };
        let peers = vec![peer(1), peer(2), peer(8)];
        let settings = Settings { peers, ..authority.issue(&me, 30).settings(&directory, "target") };
        let (sink, heard) = sink();
        let node = start(settings, me, sink).await.expect("the node starts");
        Target { node, heard, authority, directory }
    }

    fn address(&self) -> SocketAddr {
        self.node.address().expect("an address")
    }

    /// A good node that joins.
    async fn joins(&self, number: u16) -> Handle {
        let me = identity(number, number, Roles::all());
        let peers = vec![PeerSettings { node: 5, chassis: 5, address: self.address() }];
        let settings =
            Settings { peers, ..self.authority.issue(&me, 30).settings(&self.directory, &format!("n{number}")) };
        start(settings, me, sink().0).await.expect("a good node starts")
    }

    /// Opens TLS with the certificate of somebody.
    async fn tls(&self, shown: Option<&Pair>) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.address(), &self.authority.0, shown).await
    }

    /// The same, and greets as it pleases.
    async fn greet(&self, shown: &Pair, hello: &Hello) -> std::io::Result<(TlsStream<TcpStream>, BytesMut, Welcome)> {
        let mut stream = self.tls(Some(shown)).await?;
        write_greeting(&mut stream, &hello.encode()).await?;
        let mut buffer = BytesMut::new();
        let (kind, body) =
            tokio::time::timeout(PATIENCE, read_greeting(&mut stream, &mut buffer)).await.expect("an end")?;
        Ok((stream, buffer, Welcome::decode(kind, body).expect("a welcome")))
    }

    fn certificate(&self, identity: &Identity) -> Pair {
        self.authority.issue(identity, 30).pair
    }

    /// Nobody got in.
    async fn is_untouched(mut self) {
        assert_eq!(count(&self.node, "links_sessions"), 0);
        assert_eq!(count(&self.node, "links_up"), 0);
        assert_eq!(count(&self.node, "links_buffered_bytes"), 0);
        assert!(self.heard.is_silent(), "the office hears nothing of it");
        let good = self.joins(2).await;
        assert_eq!(self.heard.next().await, Heard::Link(NodeId(2), true), "a good node still joins");
        good.stop().await;
        self.node.stop().await;
    }
}

async fn connect(to: SocketAddr, authority: &Pair, shown: Option<&Pair>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).expect("PEM")).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
            config.with_client_auth_cert(chain, key).expect("a pair")
        }
    };
    let stream = TcpStream::connect(to).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(tls::server_name(NodeId(5)), stream).await?;
    Ok(TlsStream::from(stream))
}

fn hello(node: u16) -> Hello {
    Hello {
        version_min: VERSION_MIN,
        version_max: VERSION,
        node: NodeId(node),
        chassis: node,
        lane: Lane::Data,
        boot: 9,
        session: SessionId::default(),
        received: [0; 2],
    }
}

/// The other side closes, sooner or later, and says nothing that TLS does not say.
async fn is_closed(mut stream: impl tokio::io::AsyncRead + Unpin) {
    let mut buffer = [0u8; 1024];
    let reading = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    tokio::time::timeout(PATIENCE, reading).await.expect("the connection is closed");
}

#[tokio::test]
async fn wrong_certificates_are_refused() {
    let target = Target::new("certificates").await;
    let one = identity(1, 1, Roles::all());
    let year_ago = SystemTime::now() - Duration::from_secs(365 * 86_400);
    let year_ahead = SystemTime::now() + Duration::from_secs(365 * 86_400);
    let by_tls = [
        ("none", None),
        ("of another authority", Some(Authority::new().issue(&one, 30).pair)),
        ("expired", Some(target.authority.issue_at(&one, 30, year_ago).pair)),
        ("not yet good", Some(target.authority.issue_at(&one, 30, year_ahead).pair)),
        ("self-signed authority", Some(Authority::new().0)),
    ];
    let tried = by_tls.len() as u64;
    for (what, pair) in by_tls {
        // TLS 1.3 lets the client finish first: the refusal shows when it reads.
        if let Ok(mut stream) = target.tls(pair.as_ref()).await {
            let _ = write_greeting(&mut stream, &hello(1).encode()).await;
            is_closed(stream).await;
        }
        assert_eq!(count(&target.node, "links_sessions"), 0, "certificate {what}");
    }
    until(|| count(&target.node, "links_refused_tls") == tried, "every one is counted").await;

    let by_identity = [
        ("wrong chassis", identity(1, 2, Roles::all()), hello(1)),
        ("unknown node", identity(77, 1, Roles::all()), hello(77)),
        ("the target's own number", identity(5, 5, Roles::all()), hello(5)),
        ("a node that is to be dialled", identity(8, 8, Roles::all()), hello(8)),
        ("right certificate, greets as another", identity(1, 1, Roles::all()), hello(2)),
        (
            "right certificate, greets from another chassis",
            identity(1, 1, Roles::all()),
            Hello { chassis: 3, ..hello(1) },
        ),
    ];
    let tried = by_identity.len() as u64;
    for (what, identity, hello) in by_identity {
        let greeted = target.greet(&target.certificate(&identity), &hello).await;
        assert!(greeted.is_err(), "{what}: {:?}", greeted.map(|(.., welcome)| welcome));
    }
    assert_eq!(count(&target.node, "links_refused_identity"), tried);
    target.is_untouched().await;
}

#[tokio::test]
async fn a_node_does_not_believe_a_peer_with_a_wrong_certificate() {
    // Node 1 dials what it believes to be node 5 on chassis 5.
    let directory = Directory::new("dialler");
    let authority = Authority::new();
    let one = identity(1, 1, Roles::all());
    let impostors = [
        ("another node", authority.issue(&identity(6, 5, Roles::all()), 30), identity(6, 5, Roles::all())),
        ("another chassis", authority.issue(&identity(5, 6, Roles::all()), 30), identity(5, 6, Roles::all())),
        ("another authority", Authority::new().issue(&identity(5, 5, Roles::all()), 30), identity(5, 5, Roles::all())),
    ];
    for (place, (what, issued, impostor)) in impostors.into_iter().enumerate() {
        let peer = PeerSettings { node: 1, chassis: 1, address: "127.0.0.1:9".parse().expect("an address") };
        let settings = Settings { peers: vec![peer], ..issued.settings(&directory, &format!("impostor{place}")) };
        let impostor = start(settings, impostor, sink().0).await.expect("the impostor starts");
        let peers = vec![PeerSettings { node: 5, chassis: 5, address: impostor.address().expect("an address") }];
        let settings = Settings { peers, ..authority.issue(&one, 30).settings(&directory, &format!("one{place}")) };
        let (sink, heard) = sink();
        let node = start(settings, one.clone(), sink).await.expect("node 1 starts");
        until(|| count(&node, "links_dial_failures") >= 2, what).await;
        assert!(heard.is_silent(), "{what}");
        assert_eq!(count(&node, "links_sessions") + count(&impostor, "links_sessions"), 0, "{what}");
        assert!(!node.peers()[0].trouble.is_empty(), "{what}");
        node.stop().await;
        impostor.stop().await;
    }
}

#[tokio::test]
async fn a_thousand_silent_connections_keep_nobody_out() {
    let mut target = Target::new("silent").await;
    // What a join costs on this machine at this moment.
    let begun = std::time::Instant::now();
    let quiet = target.joins(2).await;
    assert_eq!(target.heard.next().await, Heard::Link(NodeId(2), true));
    let usual = begun.elapsed();
    let mut silent = Vec::new();
    for _ in 0..1_000 {
        // Some end in the backlog: a caller does not wait for them either.
        if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, TcpStream::connect(target.address())).await {
            silent.push(stream);
        }
    }
    let begun = std::time::Instant::now();
    let good = target.joins(1).await;
    assert_eq!(target.heard.next().await, Heard::Link(NodeId(1), true));
    // 2 s by the requirement; it takes some milliseconds where nothing else runs.
    let limit = Duration::from_secs(2).max(usual * 20);
    assert!(begun.elapsed() < limit, "joined after {:?}, without them after {usual:?}", begun.elapsed());
    assert!(count(&target.node, "links_handshaking") <= 256);
    assert!(count(&target.node, "links_handshake_evictions") > 0, "the oldest give way");
    assert_eq!(count(&quiet, "links_sessions"), 1, "and who is in stays in");
    drop(silent);
    good.stop().await;
    quiet.stop().await;
    target.node.stop().await;
}

#[tokio::test]
async fn a_recorded_session_says_nothing_to_the_next() {
    let target = Target::new("replay").await;
    let wire = Wire::to(target.address()).await;
    let me = identity(1, 1, Roles::all());
    let peers = vec![PeerSettings { node: 5, chassis: 5, address: wire.address }];
    let settings = Settings { peers, ..target.authority.issue(&me, 30).settings(&target.directory, "one") };
    let mut target = target;
    let good = start(settings, me, sink().0).await.expect("node 1 starts");
    assert_eq!(target.heard.next().await, Heard::Link(NodeId(1), true));
    until(|| good.send(NodeId(5), &receipt(42)), "its side is up too").await;
    assert_eq!(number(&target.heard.parcel().await), 42);
    good.stop().await;
    assert_eq!(target.heard.next().await, Heard::Link(NodeId(1), false));
    let recorded = wire.recorded.lock().expect("a record").clone();
    assert!(recorded.len() > 1_000, "hand-shake, greeting and parcels");
    for _ in 0..20 {
        let mut stream = TcpStream::connect(target.address()).await.expect("a connection");
        let _ = stream.write_all(&recorded).await;
        is_closed(stream).await;
    }
    until(|| count(&target.node, "links_refused_tls") == 20, "every replay is refused").await;
    assert_eq!(count(&target.node, "links_sessions"), 1);
    assert!(target.heard.is_silent());
    target.node.stop().await;
}

#[tokio::test]
async fn lengths_are_held_against_the_limit_before_anything_is_allocated() {
    let target = Target::new("lengths").await;
    // Without TLS: 2^63, then 100 times 16 MiB.
    let mut bytes = vec![0x80, 0, 0, 0, 0, 0, 0, 0];
    for _ in 0..101 {
        let mut stream = TcpStream::connect(target.address()).await.expect("a connection");
        let _ = stream.write_all(&bytes).await;
        is_closed(stream).await;
        bytes = vec![0xff; 16 << 20];
    }
    until(|| count(&target.node, "links_handshaking") == 0, "they are gone").await;
    // Behind TLS, with a good certificate, instead of a greeting.
    let pair = target.certificate(&identity(1, 1, Roles::all()));
    for length in [u32::MAX, 1 << 31, 1 << 20, 513] {
        let mut stream = target.tls(Some(&pair)).await.expect("TLS");
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend([1; 64]);
        let _ = write_greeting(&mut stream, &frame).await;
        is_closed(stream).await;
    }
    until(|| count(&target.node, "links_refused_greeting") == 4, "no greetings").await;
    target.is_untouched().await;
}

#[tokio::test]
async fn an_old_version_is_told_and_turned_away() {
    let target = Target::new("version").await;
    let pair = target.certificate(&identity(1, 1, Roles::all()));
    for (version_min, version_max) in [(0, 0), (VERSION + 1, VERSION + 9), (3, 2)] {
        let old = Hello { version_min, version_max, ..hello(1) };
        let (stream, _, welcome) = target.greet(&pair, &old).await.expect("an answer");
        assert_eq!((welcome.verdict, welcome.version), (Verdict::Version, VERSION));
        is_closed(stream).await;
    }
    assert_eq!(count(&target.node, "links_refused_version"), 3);
    target.is_untouched().await;
}

#[tokio::test]
async fn a_node_that_was_broken_into_cannot_break_the_link_of_others_or_fill_memory() {
    let mut target = Target::new("insider").await;
    let good = target.joins(2).await;
    assert_eq!(target.heard.next().await, Heard::Link(NodeId(2), true));
    let pair = target.certificate(&identity(1, 1, [Role::Balancer].into_iter().collect()));
    let batch = |first: u64, parcels: &[&[u8]]| {
        let mut frame = vec![0; frame::BATCH_HEAD_BYTES];
        for parcel in parcels {
            frame.put_u32(parcel.len() as u32);
            frame.put_slice(parcel);
        }
        frame::seal_batch(&mut frame, 1, first, parcels.len() as u32);
        frame
    };
    let receipt = fabric::codec::encode_parcel(&receipt(1));

    // Parcels and letters that nobody knows: counted, passed over, the next good one arrives.
    let (mut stream, _, _) = target.greet(&pair, &hello(1)).await.expect("a greeting");
    assert_eq!(target.heard.next().await, Heard::Link(NodeId(1), true));
    let unknown: [&[u8]; 5] =
        [&[], &[1, 99], &[9, 0], &[1, 0, 0, 255, 255, 255, 255, 255], &[1, 1, 255, 255, 255, 255, 15]];
    write_greeting(&mut stream, &batch(1, &unknown)).await.expect("written");
    write_greeting(&mut stream, &batch(6, &[&receipt])).await.expect("written");
    assert_eq!(number(&target.heard.parcel().await), 1);
    assert_eq!(count(&target.node, "links_malformed"), 5);

    // What breaks the rules of the link ends its session, and only its.
    let number = |kind: u8, number: u64| {
        let mut frame = vec![0, 0, 0, 17, kind];
        frame.put_u64(number);
        frame.put_u64(number);
        frame
    };
    let mut cut_short = batch(1, &[&receipt]);
    cut_short[17] = 9;
    let rude = [
        ("a frame of 2^31", vec![0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("a frame of nothing", vec![0, 0, 0, 0]),
        ("an unknown frame", vec![0, 0, 0, 1, 200]),
        ("an acknowledgement of what was never sent", number(4, 5)),
        ("a batch with a hole before it", batch(9, &[&receipt])),
        ("a batch with number 0", batch(0, &[&receipt])),
        ("more parcels promised than there are", cut_short),
        ("a short command", vec![0, 0, 0, 2, 8, 1]),
    ];
    let mut stream = stream;
    for (what, frame) in rude {
        write_greeting(&mut stream, &frame).await.expect(what);
        // Parcels before the nonsense were good.
        let mut heard = target.heard.next().await;
        while let Heard::Parcel(..) = heard {
            heard = target.heard.next().await;
        }
        assert_eq!(heard, Heard::Link(NodeId(1), false), "{what}");
        is_closed(stream).await;
        stream = target.greet(&pair, &hello(1)).await.expect("another greeting").0;
        assert_eq!(target.heard.next().await, Heard::Link(NodeId(1), true), "{what}");
    }
    // Commands that nobody serves, and never an answer read: a bounded number of refusals waits.
    for _ in 0..10_000 {
        write_greeting(&mut stream, &number(8, 1)).await.expect("written");
    }
    assert_eq!(count(&target.node, "links_commands"), 0);
    // Somebody who takes nothing: what waits for him stays within the window.
    let large = fabric::Parcel::Receipt(vec![u64::MAX; 10_000]);
    while target.node.send(NodeId(1), &large) {
        assert!(count(&target.node, "links_buffered_bytes") <= 32 << 20);
    }
    assert_eq!(target.heard.next().await, Heard::Link(NodeId(1), false));
    assert_eq!(count(&target.node, "links_buffered_bytes"), 0);
    // All the while node 2 was well.
    assert!(target.node.send(NodeId(2), &large));
    assert_eq!(count(&good, "links_sessions"), 1);
    good.stop().await;
    target.node.stop().await;
}

#[tokio::test]
async fn an_invented_session_is_not_resumed() {
    let mut rig = Rig::new("invented", |_| ()).await;
    let pair = rig.authority.issue(&rig.one_identity, 30).pair;
    let two = rig.two.address().expect("an address");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(rig.authority.0.certificate.as_bytes()).expect("PEM")).expect("a root");
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .expect("a pair");
    let stream = TcpStream::connect(two).await.expect("a connection");
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(tls::server_name(NodeId(2)), stream).await.expect("TLS");
    let invented = Hello { session: SessionId(u128::MAX), received: [u64::MAX; 2], ..hello(1) };
    write_greeting(&mut stream, &invented.encode()).await.expect("written");
    let (kind, body) = read_greeting(&mut stream, &mut BytesMut::new()).await.expect("an answer");
    assert_eq!(Welcome::decode(kind, body).expect("a welcome").verdict, Verdict::Fresh);
    assert_eq!(rig.heard_by_two.next().await, Heard::Link(NodeId(1), false));
    rig.stop().await;
}
