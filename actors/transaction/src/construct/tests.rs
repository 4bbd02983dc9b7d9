use super::*;
use crate::testing::{message, request, response};

const INVITE: &str = "INVITE sip:bob@b.example;transport=udp SIP/2.0\n\
    v: SIP/2.0/UDP a.example;branch=z9hG4bK1, SIP/2.0/UDP b.example;branch=z9hG4bK2\n\
    Via: SIP/2.0/TCP c.example;branch=z9hG4bK3\n\
    Route: <sip:p1.example;lr>, <sip:p2.example;lr>\n\
    Route: <sip:p3.example;lr>\n\
    Max-Forwards: 5\n\
    f: \"A, B\" <sip:alice@a.example>\n ;tag=one\n\
    t: <sip:bob@b.example>\n\
    i: call@a.example\n\
    CSeq:  0007   INVITE\n\
    Require: 100rel\n\
    Proxy-Require: sec-agree\n\
    Timestamp: 54.21\n\
    Contact: <sip:alice@a.example>\n\
    Content-Type: text/plain\n\
    Content-Length: 2\n\nhi";

fn text(message: &Message) -> String {
    String::from_utf8(message.bytes().to_vec()).unwrap().replace("\r\n", "\n")
}

#[test]
fn the_ack_for_a_refusal_follows_the_invite() {
    let invite = message(INVITE);
    let ack = ack_failure(&invite.view(), &response(&invite, 486).view());
    assert_eq!(
        text(&ack),
        "ACK sip:bob@b.example;transport=udp SIP/2.0\n\
         Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\n\
         Max-Forwards: 70\n\
         Route: <sip:p1.example;lr>, <sip:p2.example;lr>\n\
         Route: <sip:p3.example;lr>\n\
         From: \"A, B\" <sip:alice@a.example>   ;tag=one\n\
         Call-ID: call@a.example\n\
         CSeq: 7 ACK\n\
         To: <sip:bob@b.example>;tag=a6c85cf\n\
         Content-Length: 0\n\n"
    );
}

#[test]
fn the_cancel_follows_the_invite() {
    let invite = message(INVITE);
    let cancel = cancel(&invite.view(), Some(b"SIP;cause=200"));
    assert_eq!(
        text(&cancel),
        "CANCEL sip:bob@b.example;transport=udp SIP/2.0\n\
         Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\n\
         Max-Forwards: 70\n\
         Route: <sip:p1.example;lr>, <sip:p2.example;lr>\n\
         Route: <sip:p3.example;lr>\n\
         From: \"A, B\" <sip:alice@a.example>   ;tag=one\n\
         Call-ID: call@a.example\n\
         CSeq: 7 CANCEL\n\
         To: <sip:bob@b.example>\n\
         Reason: SIP;cause=200\n\
         Content-Length: 0\n\n"
    );
    assert!(super::cancel(&invite.view(), None).view().header(Name::Reason).is_none());
}

#[test]
fn trying_has_no_tag_and_returns_the_timestamp() {
    let trying = trying(&message(INVITE).view());
    assert_eq!(trying.status(), Some(Status::TRYING));
    assert_eq!(trying.view().to().unwrap().tag(), None);
    assert_eq!(trying.view().header(Name::Timestamp), Some(&b"54.21"[..]));
    assert_eq!(trying.view().vias().count(), 3);
}

#[test]
fn an_ack_finds_its_invite_and_a_cancel_its_own_transaction() {
    let invite = request("INVITE");
    let ack = ack_failure(&invite.view(), &response(&invite, 404).view());
    let cancel = cancel(&invite.view(), None);
    let key = |message: &Message| crate::server_key(&message.view()).unwrap();
    assert_eq!(key(&ack), key(&invite));
    assert_ne!(key(&cancel), key(&invite));
    assert_eq!(crate::invite_key(&cancel.view()).unwrap(), key(&invite));
}
