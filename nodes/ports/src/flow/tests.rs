use fabric::NodeId;
use fabric::letters::flow::{Flow, Transmit};

use super::*;
use crate::testing::{StillClock, exchange, home};

fn listen(transport: Transport, address: &str) -> Listen {
    Listen {
        transport,
        address: address.parse().unwrap(),
        advertise: None,
        sockets: 1,
        wildcard: false,
        floating: false,
    }
}

async fn open(listen: Vec<Listen>) -> Result<Handle, StartError> {
    let (post, _) = exchange();
    start(Settings { listen, ..Settings::default() }, post, &home(), StillClock::at(1)).await
}

#[tokio::test]
async fn numbers_listeners_as_the_configuration_does() {
    let listen = vec![
        listen(Transport::Tcp, "127.0.0.1:0"),
        listen(Transport::Udp, "127.0.0.1:0"),
        listen(Transport::Udp, "127.0.0.2:0"),
    ];
    let port = open(listen).await.unwrap();
    let found: Vec<_> = port.listeners().iter().map(|l| (l.number, l.transport, l.bound.ip().to_string())).collect();
    let expected = [
        (0, Transport::Tcp, "127.0.0.1".to_owned()),
        (1, Transport::Udp, "127.0.0.1".to_owned()),
        (2, Transport::Udp, "127.0.0.2".to_owned()),
    ];
    assert_eq!(found, expected);
    port.stop().await;
}

#[tokio::test]
async fn binds_no_wildcard_unless_told() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let error = open(vec![listen(transport, address)]).await.err().expect("a refusal");
            assert!(error.to_string().contains("wildcard = true"), "{error}");
        }
    }
}

#[tokio::test]
async fn refuses_transports_that_it_does_not_speak() {
    assert!(open(vec![listen(Transport::Wss, "127.0.0.1:0")]).await.is_err());
    let (post, mut mail) = exchange();
    let port = start(Settings::default(), post, &home(), StillClock::at(1)).await.unwrap();
    let address = "127.0.0.1:5061".parse().unwrap();
    let balancer = Address::Balancer(NodeId(1), 0);
    let flow =
        Flow { balancer, transport: Transport::Tls, listener: 0, local: address, remote: address, connection: 0 };
    let letter = Letter::Transmit(Transmit { flow, bytes: bytes::Bytes::from_static(b"x") });
    port.post(Envelope::ask(balancer, Address::Flow(NodeId(1)), Thread(1), letter));
    assert!(matches!(mail.next().await.letter, Letter::Returned(fault) if fault.kind == FaultKind::Unavailable));
}

#[test]
fn reads_listeners_and_refuses_unknown_keys() {
    let listen: Listen = serde_json::from_str(r#"{"transport": "udp", "address": "127.0.0.1:5060"}"#).unwrap();
    assert_eq!((listen.transport, listen.sockets, listen.wildcard), (Transport::Udp, 1, false));
    for bad in [
        r#"{"transport": "sctp", "address": "127.0.0.1:5060"}"#,
        r#"{"transport": "udp", "address": "127.0.0.1"}"#,
        r#"{"transport": "udp", "address": "127.0.0.1:5060", "adress": "x"}"#,
    ] {
        assert!(serde_json::from_str::<Listen>(bad).is_err(), "{bad}");
    }
}
