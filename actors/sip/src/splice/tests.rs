use crate::{Limits, Name, Splices, View};

#[test]
fn smoke_of_a_balancer() {
    let bytes = b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nRoute: <sip:lb;lr>, <sip:next;lr>\r\nf: <sip:a@b>;tag=1\r\nt: <sip:bob@example.com>\r\ni: x\r\nCSeq: 1 INVITE\r\nl: 3\r\n\r\nabcd";
    let view = View::parse(bytes, &Limits::default()).unwrap();
    view.check().unwrap();
    let mut splices = Splices::new(&view);
    splices.push_front(Name::Via, b"SIP/2.0/UDP lb;branch=z9hG4bK2");
    splices.stamp_via(Some("192.0.2.1".parse().unwrap()), Some(4711));
    splices.decrement_max_forwards();
    splices.remove_first_value(Name::Route);
    splices.set_uri(b"sip:bob@192.0.2.7");
    let out = splices.into_bytes();
    assert_eq!(
        std::str::from_utf8(&out).unwrap(),
        "INVITE sip:bob@192.0.2.7 SIP/2.0\r\nVia: SIP/2.0/UDP lb;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;received=192.0.2.1;rport=4711\r\nMax-Forwards: 69\r\nRoute: <sip:next;lr>\r\nf: <sip:a@b>;tag=1\r\nt: <sip:bob@example.com>\r\ni: x\r\nCSeq: 1 INVITE\r\nl: 3\r\n\r\nabc"
    );
}
