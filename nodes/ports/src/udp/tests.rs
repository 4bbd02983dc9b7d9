use std::collections::BTreeSet;

use fabric::letters::flow::Transmit;
use fabric::{NodeId, Thread};

use super::*;
use crate::testing::{Inbox as Mail, PATIENCE, exchange, home};

fn listen(address: &str, sockets: u16) -> Listen {
    let address = address.parse().unwrap();
    Listen { transport: Transport::Udp, address, advertise: None, sockets, wildcard: false, floating: false }
}

async fn open_with(settings: Settings, listen: Listen, balancers: u16) -> (Handle, Mail, SocketAddr) {
    let (post, mail) = exchange();
    let place = Place { home: home(), balancers };
    let port = start(settings, vec![(0, listen)], post, place).await.unwrap();
    let address = port.listeners()[0].bound;
    (port, mail, address)
}

async fn open() -> (Handle, Mail, SocketAddr) {
    open_with(Settings::default(), listen("127.0.0.1:0", 1), 1).await
}

fn transmit(flow: Flow, text: impl Into<Bytes>) -> Envelope {
    let letter = Letter::Transmit(Transmit { flow, bytes: text.into() });
    Envelope::ask(flow.balancer, Address::Flow(NodeId(1)), Thread(9), letter)
}

fn flow(local: SocketAddr, remote: SocketAddr) -> Flow {
    let balancer = Address::Balancer(NodeId(1), 0);
    Flow { balancer, transport: Transport::Udp, listener: 0, local, remote, connection: 0 }
}

async fn received(mail: &mut Mail) -> (Address, Received) {
    let envelope = mail.next().await;
    match envelope.letter {
        Letter::Received(received) => (envelope.to, received),
        other => panic!("{other:?}"),
    }
}

async fn text_at(socket: &UdpSocket) -> String {
    let mut buffer = vec![0; 65_535];
    let length = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("a datagram").unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn posts_every_datagram_with_its_flow() {
    let (port, mut mail, address) = open().await;
    let phone = UdpSocket::bind("127.0.0.3:0").await.unwrap();
    for number in 0..100 {
        phone.send_to(format!("OPTIONS {number}").as_bytes(), address).await.unwrap();
    }
    for number in 0..100 {
        let (to, received) = received(&mut mail).await;
        assert_eq!(to, Address::Balancer(NodeId(1), 0));
        assert_eq!(received.bytes, format!("OPTIONS {number}"));
        assert_eq!(received.flow, flow(address, phone.local_addr().unwrap()));
    }
    let counters = port.counters();
    assert!(counters.contains(&("udp_packets_in", 100)), "{counters:?}");
    port.stop().await;
}

#[tokio::test]
async fn takes_the_largest_and_the_smallest_datagram() {
    let (port, mut mail, address) = open().await;
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let large = vec![b'x'; 65_507];
    phone.send_to(&large, address).await.unwrap();
    phone.send_to(b"y", address).await.unwrap();
    assert_eq!(received(&mut mail).await.1.bytes, large);
    assert_eq!(received(&mut mail).await.1.bytes, "y");
    port.stop().await;
}

#[tokio::test]
async fn keeps_keepalives_to_itself_and_answers_stun() {
    let (port, mut mail, address) = open().await;
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for keepalive in [&b"\r\n\r\n"[..], b"\r\n", b"\0\0\0\0", b""] {
        phone.send_to(keepalive, address).await.unwrap();
    }
    let request = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    phone.send_to(&request, address).await.unwrap();
    let mut buffer = [0; 100];
    let length = tokio::time::timeout(PATIENCE, phone.recv(&mut buffer)).await.expect("an answer").unwrap();
    assert_eq!((length, &buffer[..2]), (32, &[1, 1][..]));
    phone.send_to(b"\x01\x02 no stun", address).await.unwrap();
    assert_eq!(received(&mut mail).await.1.bytes, "\x01\x02 no stun", "what is no STUN is the balancer's to judge");
    assert!(port.counters().contains(&("udp_keepalives", 5)));
    port.stop().await;
}

#[tokio::test]
async fn sends_at_once_and_in_batches_in_order() {
    for send_batched in [false, true] {
        let settings = Settings { send_batched, ..Settings::default() };
        let (port, mut mail, address) = open_with(settings, listen("127.0.0.1:0", 1), 1).await;
        let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for number in 0..100 {
            port.post(transmit(flow(address, phone.local_addr().unwrap()), format!("SIP/2.0 {number}")));
        }
        for number in 0..100 {
            assert_eq!(text_at(&phone).await, format!("SIP/2.0 {number}"), "batched: {send_batched}");
        }
        assert!(mail.is_silent(), "a success wants no answer");
        port.stop().await;
        assert!(port.counters().contains(&("udp_packets_out", 100)));
    }
}

#[tokio::test]
async fn hands_back_what_cannot_be_sent() {
    let (port, mut mail, address) = open().await;
    let phone: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let cases = [
        ("port 0", flow(address, "127.0.0.1:0".parse().unwrap()), Bytes::from_static(b"x")),
        ("other family", flow(address, "[::1]:5060".parse().unwrap()), Bytes::from_static(b"x")),
        ("too large", flow(address, phone), Bytes::from(vec![b'x'; 65_508])),
        ("no such listener", Flow { listener: 7, ..flow(address, phone) }, Bytes::from_static(b"x")),
    ];
    for (name, flow, bytes) in cases {
        port.post(transmit(flow, bytes.clone()));
        let back = mail.next().await;
        assert_eq!((back.to, back.thread), (Address::Balancer(NodeId(1), 0), Thread(9)), "{name}");
        assert!(matches!(back.letter, Letter::Returned(fault) if fault.kind == FaultKind::FlowGone), "{name}");
        let mut unasked = transmit(flow, bytes);
        unasked.thread = Thread::NONE;
        port.post(unasked);
        assert!(mail.is_silent(), "{name}: nobody asked");
    }
    port.stop().await;
}

#[tokio::test]
async fn drops_beyond_the_queue_and_counts() {
    let settings = Settings { send_batched: true, queue_max: 2, ..Settings::default() };
    let (port, mut mail, address) = open_with(settings, listen("127.0.0.1:0", 1), 1).await;
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // One thread: the sending task cannot run in between.
    for text in ["1", "2", "3"] {
        port.post(transmit(flow(address, phone.local_addr().unwrap()), text));
    }
    let back = mail.next().await.letter;
    assert!(matches!(back, Letter::Returned(fault) if fault.kind == FaultKind::Overload && fault.retry));
    assert_eq!((text_at(&phone).await, text_at(&phone).await), ("1".to_owned(), "2".to_owned()));
    assert!(port.counters().contains(&("udp_drops", 1)));
    port.stop().await;
}

#[tokio::test]
async fn a_bad_datagram_in_a_batch_stops_no_other() {
    let settings = Settings { send_batched: true, ..Settings::default() };
    let (port, _mail, address) = open_with(settings, listen("127.0.0.1:0", 1), 1).await;
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let good = flow(address, phone.local_addr().unwrap());
    port.post(transmit(good, "1"));
    port.post(transmit(flow(address, "127.0.0.1:0".parse().unwrap()), "nowhere"));
    port.post(transmit(good, "2"));
    assert_eq!((text_at(&phone).await, text_at(&phone).await), ("1".to_owned(), "2".to_owned()));
    port.stop().await;
}

#[tokio::test]
async fn shares_an_address_among_sockets_and_balancers() {
    let (port, mut mail, address) = open_with(Settings::default(), listen("127.0.0.1:0", 2), 2).await;
    let mut seen = BTreeSet::new();
    // The kernel spreads by the sender's port; enough senders reach both sockets.
    for _ in 0..64 {
        let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        phone.send_to(b"hello", address).await.unwrap();
        let (to, received) = received(&mut mail).await;
        assert_eq!(to, received.flow.balancer);
        seen.insert(to);
        port.post(transmit(received.flow, "back"));
        assert_eq!(text_at(&phone).await, "back");
    }
    assert_eq!(seen.len(), 2);
    port.stop().await;
}

#[tokio::test]
async fn speaks_ipv6_and_tells_the_advertised_address() {
    let advertise = "[2001:db8::1]:5060".parse().unwrap();
    let listen = Listen { advertise: Some(advertise), ..listen("[::1]:0", 1) };
    let (port, mut mail, address) = open_with(Settings::default(), listen, 1).await;
    let phone = UdpSocket::bind("[::1]:0").await.unwrap();
    phone.send_to(b"OPTIONS", address).await.unwrap();
    let (_, received) = received(&mut mail).await;
    assert_eq!(received.flow.local, advertise);
    port.post(transmit(received.flow, "SIP/2.0"));
    assert_eq!(text_at(&phone).await, "SIP/2.0");
    port.stop().await;
}

#[tokio::test]
async fn waits_for_an_address_that_is_on_its_way() {
    // 192.0.2.0/24 is nobody's (RFC 5737).
    let listen = Listen { floating: true, ..listen("192.0.2.1:0", 1) };
    let (port, mut mail, address) = open_with(Settings::default(), listen, 1).await;
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    port.post(transmit(flow(address, phone.local_addr().unwrap()), "SIP/2.0"));
    let count = |name| port.counters().into_iter().find(|(known, _)| *known == name).expect(name).1;
    assert_eq!((count("udp_queued"), count("udp_errors")), (1, 0));
    assert!(mail.is_silent(), "the sender is not told that its phone is gone");
    port.stop().await;
}

#[tokio::test]
async fn says_what_is_in_the_way() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (post, _mail) = exchange();
    let listen = listen(&taken.local_addr().unwrap().to_string(), 1);
    let place = Place { home: home(), balancers: 1 };
    let error = start(Settings::default(), vec![(0, listen)], post, place).await.err().expect("a taken port");
    assert!(error.to_string().starts_with("cannot listen on udp 127.0.0.1:"), "{error}");
}
