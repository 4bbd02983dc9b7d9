use fabric::NodeId;

use super::*;
use crate::testing::{exchange, home};

fn send(number: u16, text: &'static str) -> Envelope {
    let letter = Letter::RelaySend(number, Bytes::from_static(text.as_bytes()));
    Envelope::ask(Address::Anchor(NodeId(1), 0), Address::Relay(NodeId(1)), Thread(5), letter)
}

#[tokio::test]
async fn carries_datagrams_both_ways_by_number() {
    let (post, mut inbox) = exchange();
    let relays = [UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.2:0").await.unwrap()];
    let settings = Settings { relays: relays.iter().map(|relay| relay.local_addr().unwrap()).collect(), local: None };
    let port = start(settings, post, &home()).await.unwrap();
    for (number, relay) in relays.iter().enumerate() {
        port.post(send(number as u16, "d7:command4:pinge"));
        let mut buffer = [0; 100];
        let (length, from) = relay.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"d7:command4:pinge");
        relay.send_to(b"pong", from).await.unwrap();
        let got = inbox.next().await;
        assert_eq!(got.to, Address::Anchor(NodeId(1), 0));
        assert_eq!(got.letter, Letter::RelayReceived(number as u16, Bytes::from_static(b"pong")));
    }
    port.stop().await;
}

#[tokio::test]
async fn hands_back_what_has_no_relay_and_ignores_strangers() {
    let (post, mut inbox) = exchange();
    let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings { relays: vec![relay.local_addr().unwrap()], local: None };
    let port = start(settings, post, &home()).await.unwrap();
    port.post(send(1, "x"));
    let Letter::Returned(fault) = inbox.next().await.letter else { panic!("not returned") };
    assert_eq!(fault.kind, FaultKind::Unavailable);

    port.post(send(0, "where are you"));
    let (_, from) = relay.recv_from(&mut [0; 100]).await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(b"forged", from).await.unwrap();
    relay.send_to(b"real", from).await.unwrap();
    assert_eq!(inbox.next().await.letter, Letter::RelayReceived(0, Bytes::from_static(b"real")));
    port.stop().await;
}
