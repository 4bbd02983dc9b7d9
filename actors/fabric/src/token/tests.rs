use super::*;
use crate::NodeId;
use crate::letters::flow::Transport;

fn flow() -> Flow {
    Flow {
        balancer: Address::Balancer(NodeId(1), 0),
        transport: Transport::Tcp,
        listener: 2,
        local: "192.0.2.1:5060".parse().expect("address"),
        remote: "198.51.100.7:40001".parse().expect("address"),
        connection: 77,
    }
}

#[test]
fn a_leg_token_opens_also_with_a_tail_and_not_when_touched() {
    let tokens = Tokens::new([7; 16]);
    let leg = LegToken { to: Address::Call(Key(0x1234_5678_9abc)), leg: 3 };
    let mut text = tokens.seal_leg(leg).into_bytes();
    assert_eq!(text.len(), 36);
    text.extend_from_slice(b".17");
    assert_eq!(tokens.open_leg(&text), Some(leg));
    assert_eq!(Tokens::new([8; 16]).open_leg(&text), None);
    for place in 0..36 {
        let mut forged = text.clone();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        assert_eq!(tokens.open_leg(&forged), None, "byte {place}");
    }
    assert_eq!(tokens.open_leg(b"short"), None);
}

#[test]
fn a_flow_token_opens_only_whole() {
    let tokens = Tokens::new([7; 16]);
    let text = tokens.seal_flow(&flow());
    assert_eq!(tokens.open_flow(text.as_bytes()), Some(flow()));
    assert_eq!(tokens.open_flow(&text.as_bytes()[1..]), None);
    assert_eq!(Tokens::new([9; 16]).open_flow(text.as_bytes()), None);
    assert_eq!(tokens.open_flow(&[b'A'; 500]), None);
}
