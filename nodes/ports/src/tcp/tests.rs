use fabric::letters::flow::{Received, Transmit};
use fabric::{NodeId, Thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testing::{Inbox, PATIENCE, StillClock, exchange, home};

const MESSAGE: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                       To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 4\r\n\r\nbody";

const YES: &str = "SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n";

async fn open_with(settings: Settings) -> (Handle, Inbox, SocketAddr) {
    let (post, mail) = exchange();
    let place = Place { home: home(), balancers: 1 };
    let address = "127.0.0.1:0".parse().unwrap();
    let listen =
        Listen { transport: Transport::Tcp, address, advertise: None, sockets: 1, wildcard: false, floating: false };
    let port = start(settings, vec![(3, listen)], post, place, StillClock::at(1_000)).await.unwrap();
    let address = port.listeners()[0].bound;
    (port, mail, address)
}

async fn open() -> (Handle, Inbox, SocketAddr) {
    open_with(Settings::default()).await
}

async fn received(mail: &mut Inbox) -> Received {
    match mail.next_message().await.letter {
        Letter::Received(received) => received,
        other => panic!("{other:?}"),
    }
}

fn transmit(flow: Flow, text: &str) -> Envelope {
    let letter = Letter::Transmit(Transmit { flow, bytes: bytes::Bytes::copy_from_slice(text.as_bytes()) });
    Envelope::ask(flow.balancer, Address::Flow(NodeId(1)), Thread(9), letter)
}

fn outgoing(local: SocketAddr, remote: SocketAddr) -> Flow {
    let balancer = Address::Balancer(NodeId(1), 0);
    Flow { balancer, transport: Transport::Tcp, listener: 3, local, remote, connection: 0 }
}

async fn text_at(stream: &mut TcpStream, length: usize) -> String {
    let mut buffer = vec![0; length];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut buffer)).await.expect("bytes in time").unwrap();
    String::from_utf8(buffer).unwrap()
}

/// All that comes until the switch closes the connection.
async fn rest_of(stream: &mut TcpStream) -> String {
    let mut buffer = Vec::new();
    // A reset is an end as well.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut buffer)).await.expect("an end in time");
    String::from_utf8(buffer).unwrap()
}

async fn returned_kind(mail: &mut Inbox) -> FaultKind {
    match mail.next_message().await {
        Envelope { letter: Letter::Returned(fault), thread: Thread(9), .. } => fault.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn posts_messages_however_they_are_cut() {
    let (port, mut mail, address) = open().await;
    let mut phone = TcpStream::connect(address).await.unwrap();
    phone.set_nodelay(true).unwrap();
    for byte in MESSAGE.as_bytes() {
        phone.write_all(std::slice::from_ref(byte)).await.unwrap();
        tokio::task::yield_now().await;
    }
    phone.write_all(format!("{MESSAGE}{MESSAGE}").as_bytes()).await.unwrap();
    for _ in 0..3 {
        let received = received(&mut mail).await;
        assert_eq!(received.bytes, MESSAGE);
        assert_eq!((received.flow.listener, received.flow.local), (3, address));
        assert_eq!(received.flow.remote, phone.local_addr().unwrap());
        assert!(received.flow.connection > 1_000 << 19, "numbers of another run must not come again");
    }
    port.stop().await;
}

#[tokio::test]
async fn answers_over_the_connection_and_tells_its_end() {
    let (port, mut mail, address) = open().await;
    let mut phone = TcpStream::connect(address).await.unwrap();
    phone.write_all(MESSAGE.as_bytes()).await.unwrap();
    let flow = received(&mut mail).await.flow;
    port.post(transmit(flow, YES));
    assert_eq!(text_at(&mut phone, YES.len()).await, YES);
    drop(phone);
    assert_eq!(mail.next().await.letter, Letter::FlowClosed(flow));
    port.post(transmit(flow, YES));
    assert_eq!(returned_kind(&mut mail).await, FaultKind::FlowGone);
    let counters = port.counters();
    assert!(counters.contains(&("tcp_connections", 0)) && counters.contains(&("tcp_messages_out", 1)), "{counters:?}");
    port.stop().await;
}

#[tokio::test]
async fn writes_only_to_the_peer_that_the_flow_names() {
    let (port, mut mail, address) = open().await;
    let mut phone = TcpStream::connect(address).await.unwrap();
    phone.write_all(MESSAGE.as_bytes()).await.unwrap();
    let flow = received(&mut mail).await.flow;
    let other = Flow { remote: "127.0.0.9:1".parse().unwrap(), ..flow };
    for wrong in [other, Flow { connection: flow.connection + 1, ..flow }, Flow { connection: 7, ..flow }] {
        port.post(transmit(wrong, YES));
        assert_eq!(returned_kind(&mut mail).await, FaultKind::FlowGone);
    }
    port.stop().await;
}

#[tokio::test]
async fn answers_pings() {
    let (port, mut mail, address) = open().await;
    let mut phone = TcpStream::connect(address).await.unwrap();
    phone.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(text_at(&mut phone, 2).await, "\r\n");
    assert!(mail.is_silent());
    port.stop().await;
}

#[tokio::test]
async fn opens_one_connection_and_reuses_it() {
    let (port, mut mail, address) = open().await;
    let peer = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let flow = outgoing(address, peer.local_addr().unwrap());
    port.post(transmit(flow, "one"));
    port.post(transmit(flow, "two"));
    let (mut stream, from) = peer.accept().await.unwrap();
    assert_eq!(from.ip(), address.ip(), "calls come from the listener's address");
    assert_eq!(text_at(&mut stream, 6).await, "onetwo");
    stream.write_all(MESSAGE.as_bytes()).await.unwrap();
    let back = received(&mut mail).await.flow;
    assert_eq!((back.remote, back.listener), (flow.remote, 3));
    assert_ne!(back.connection, 0);
    port.post(transmit(flow, "three"));
    port.post(transmit(back, "four"));
    assert_eq!(text_at(&mut stream, 9).await, "threefour");
    assert!(port.counters().contains(&("tcp_opened", 1)));
    port.stop().await;
}

#[tokio::test]
async fn hands_back_what_waits_for_a_connection_that_cannot_be() {
    let (port, mut mail, address) = open().await;
    let gone = TcpListener::bind("127.0.0.2:0").await.unwrap().local_addr().unwrap();
    port.post(transmit(outgoing(address, gone), "one"));
    port.post(transmit(outgoing(address, gone), "two"));
    for _ in 0..2 {
        assert_eq!(returned_kind(&mut mail).await, FaultKind::FlowGone);
    }
    port.post(transmit(Flow { listener: 0, ..outgoing(address, gone) }, "no such listener"));
    assert_eq!(returned_kind(&mut mail).await, FaultKind::FlowGone);
    port.stop().await;
}

#[tokio::test]
async fn refuses_more_bytes_than_a_connection_may_hold() {
    let (port, mut mail, address) = open_with(Settings { queue_bytes_max: 5, ..Settings::default() }).await;
    let peer = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let flow = outgoing(address, peer.local_addr().unwrap());
    port.post(transmit(flow, "four"));
    port.post(transmit(flow, "2nd"));
    assert_eq!(returned_kind(&mut mail).await, FaultKind::Overload);
    assert!(port.counters().contains(&("tcp_drops", 1)));
    port.stop().await;
}

#[tokio::test]
async fn answers_a_bad_frame_and_closes_without_reading_its_body() {
    let (port, mut mail, address) = open().await;
    for bad in ["Content-Length: -1", "Content-Length: 4294967300", "Content-Length: 4\r\nContent-Length: 5", "X: y"] {
        let mut phone = TcpStream::connect(address).await.unwrap();
        let smuggled = MESSAGE.replace("Content-Length: 4", bad).replace("body", MESSAGE);
        phone.write_all(smuggled.as_bytes()).await.unwrap();
        let answer = rest_of(&mut phone).await;
        assert!(answer.starts_with("SIP/2.0 4"), "{bad}: {answer}");
        assert!(answer.contains("Call-ID: 1\r\n"), "{bad}: {answer}");
        assert_eq!(answer.matches("SIP/2.0 4").count(), 1);
    }
    while !mail.is_silent() {
        assert!(matches!(mail.next().await.letter, Letter::FlowClosed(_)), "no byte of a body becomes a message");
    }
    port.stop().await;
}

#[tokio::test]
async fn closes_on_noise_and_on_what_is_too_large() {
    let settings = Settings { message_bytes_max: 2_000, ..Settings::default() };
    let (port, mut mail, address) = open_with(settings).await;
    let large = format!("OPTIONS sip:a@b SIP/2.0\r\n{}", "X: 0123456789\r\n".repeat(200));
    for noise in ["GET / HTTP/1.1\r\n\r\n".to_owned(), "\x16\x03\x01".repeat(3_000), large] {
        let mut phone = TcpStream::connect(address).await.unwrap();
        // The switch may close before it has read everything.
        let _ = phone.write_all(noise.as_bytes()).await;
        assert_eq!(rest_of(&mut phone).await, "");
    }
    assert!(mail.is_silent());
    port.stop().await;
}

#[tokio::test]
async fn cuts_off_slow_and_silent_peers() {
    let settings =
        Settings { first_byte_ms: 60, message_ms: 80, unverified_idle_ms: 70, idle_s: 3_600, ..Settings::default() };
    let (port, mut mail, address) = open_with(settings).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(&MESSAGE.as_bytes()[..40]).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(MESSAGE.as_bytes()).await.unwrap();
    let unverified = received(&mut mail).await.flow;
    port.post(transmit(unverified, "SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"));
    let mut phone = TcpStream::connect(address).await.unwrap();
    phone.write_all(MESSAGE.as_bytes()).await.unwrap();
    let verified = received(&mut mail).await.flow;
    port.post(transmit(verified, YES));
    assert_eq!(rest_of(&mut silent).await, "");
    assert_eq!(rest_of(&mut half).await, "");
    assert!(rest_of(&mut idle).await.contains("OPTIONS"), "an answered OPTIONS verifies nobody");
    // The verified one is older than all their limits by now.
    phone.write_all(MESSAGE.as_bytes()).await.unwrap();
    assert_eq!(received(&mut mail).await.flow, verified);
    let counters = port.counters();
    assert!(counters.contains(&("tcp_timeouts", 3)) && counters.contains(&("tcp_connections", 1)), "{counters:?}");
    port.stop().await;
}

#[tokio::test]
async fn a_message_may_not_trickle_in_for_ever() {
    let settings = Settings { first_byte_ms: 5_000, message_ms: 150, ..Settings::default() };
    let (port, mut mail, address) = open_with(settings).await;
    let phone = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = phone.into_split();
    let trickle = tokio::spawn(async move {
        for byte in MESSAGE.bytes() {
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut rest)).await.expect("an end");
    trickle.abort();
    assert!(mail.is_silent(), "every byte was in time, the message was not");
    assert!(port.counters().contains(&("tcp_timeouts", 1)));
    port.stop().await;
}

#[tokio::test]
async fn limits_connections_in_all_and_of_an_address() {
    let settings = Settings { connections_max: 3, connections_per_address_max: 2, ..Settings::default() };
    let (port, mut mail, address) = open_with(settings).await;
    let dial = |from: &'static str| async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap()
    };
    let mut kept = Vec::new();
    for from in ["127.0.0.5", "127.0.0.5"] {
        let mut phone = dial(from).await;
        phone.write_all(MESSAGE.as_bytes()).await.unwrap();
        received(&mut mail).await;
        kept.push(phone);
    }
    assert_eq!(rest_of(&mut dial("127.0.0.5").await).await, "", "the third of an address");
    let mut other = dial("127.0.0.6").await;
    other.write_all(MESSAGE.as_bytes()).await.unwrap();
    received(&mut mail).await;
    assert_eq!(rest_of(&mut dial("127.0.0.7").await).await, "", "the fourth of all");
    let full = outgoing(address, "127.0.0.8:1".parse().unwrap());
    port.post(transmit(full, "x"));
    assert_eq!(returned_kind(&mut mail).await, FaultKind::Overload);
    drop(kept.pop());
    assert!(matches!(mail.next().await.letter, Letter::FlowClosed(_)));
    let mut again = dial("127.0.0.5").await;
    again.write_all(MESSAGE.as_bytes()).await.unwrap();
    received(&mut mail).await;
    assert!(port.counters().contains(&("tcp_refused", 3)));
    port.stop().await;
}

#[tokio::test]
async fn stopping_writes_what_waits_and_closes() {
    let (port, mut mail, address) = open().await;
    let mut phone = TcpStream::connect(address).await.unwrap();
    phone.write_all(MESSAGE.as_bytes()).await.unwrap();
    let flow = received(&mut mail).await.flow;
    port.post(transmit(flow, YES));
    port.stop().await;
    assert_eq!(rest_of(&mut phone).await, YES);
    port.post(transmit(outgoing(address, flow.remote), "late"));
    assert!(matches!(mail.next_message().await.letter, Letter::Returned(_)));
}
