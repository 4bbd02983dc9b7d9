use std::net::SocketAddr;

use bytes::Bytes;
use fabric::letters::flow::{Flow, Transport};
use fabric::{Address, NodeId, Thread};

use super::*;
use crate::testing::exchange;

fn traced(key: u128, length: usize) -> Envelope {
    let address = SocketAddr::from(([127, 0, 0, 1], 5060));
    let flow = Flow {
        balancer: Address::Balancer(NodeId(1), 0),
        transport: Transport::Udp,
        listener: 0,
        local: address,
        remote: address,
        connection: 0,
    };
    let traced = Traced { key: Key(key), unix_ms: 1, inbound: true, flow, bytes: Bytes::from(vec![b'x'; length]) };
    Envelope::new(flow.balancer, Address::Tracer(NodeId(1)), Letter::Traced(Box::new(traced)))
}

fn keys(handle: &Handle) -> Vec<u128> {
    handle.recent(None, 100).iter().map(|traced| traced.key.0).collect()
}

#[tokio::test]
async fn answers_with_one_call_or_the_most_recent_messages() {
    let (post, mut inbox) = exchange();
    let tracer = start(Settings::default(), post);
    for key in [1, 2, 1, 3] {
        tracer.post(traced(key, 10));
    }
    let ask = |key, messages_max| {
        let letter = Letter::Control(Box::new(Control::Trace { key, messages_max }));
        Envelope::ask(Address::Control(NodeId(1)), Address::Tracer(NodeId(1)), Thread(7), letter)
    };
    for (key, messages_max, expected) in
        [(Some(Key(1)), 10, vec![1, 1]), (None, 2, vec![1, 3]), (Some(Key(9)), 10, vec![]), (None, 0, vec![])]
    {
        tracer.post(ask(key, messages_max));
        let answer = inbox.next().await;
        assert_eq!((answer.to, answer.thread), (Address::Control(NodeId(1)), Thread(7)));
        let Letter::ControlAnswer(answer) = answer.letter else { panic!("{answer:?}") };
        let ControlAnswer::Trace(messages) = *answer else { panic!("{answer:?}") };
        assert_eq!(messages.iter().map(|traced| traced.key.0).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn forgets_the_oldest_beyond_messages_and_bytes() {
    let (post, _inbox) = exchange();
    let tracer = start(Settings { messages_max: 3, bytes_max: 100 }, post);
    for key in 1..=5 {
        tracer.post(traced(key, 10));
    }
    assert_eq!(keys(&tracer), [3, 4, 5]);
    tracer.post(traced(6, 95));
    assert_eq!(keys(&tracer), [6]);
    tracer.post(traced(7, 101));
    assert_eq!(keys(&tracer), [0u128; 0], "a message larger than the ring is not kept");
    assert_eq!(tracer.counters(), [("messages_traced", 7), ("messages_held", 0), ("bytes_held", 0)]);
}

#[test]
fn keeps_nothing_when_off() {
    let (post, _inbox) = exchange();
    let tracer = start(Settings { messages_max: 0, bytes_max: 1000 }, post);
    tracer.post(traced(1, 10));
    assert!(keys(&tracer).is_empty());
}
