use super::*;
use crate::testing::{message, request, response};
use sip::Message;

/// The test request with some of its text replaced.
fn altered(changes: &[(&str, &str)]) -> Message {
    let mut text = String::from_utf8(request("INVITE").bytes().to_vec()).unwrap().replace('\r', "");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    message(&text)
}

fn server(message: &Message) -> TransactionKey {
    server_key(&message.view()).unwrap()
}

const BRANCH: &str = ";branch=z9hG4bK776asdhds";

#[test]
fn with_the_cookie_branch_sent_by_and_method_decide() {
    let original = server(&request("INVITE"));
    let rows: &[(&[(&str, &str)], bool)] = &[
        (&[("Call-ID: a84b", "Call-ID: other")], true),
        (&[("sip:bob@b.example SIP/2.0", "sip:carol@c.example SIP/2.0")], true),
        (&[("314159 INVITE", "314160 INVITE")], true),
        (&[(";tag=1928301774", ";tag=2")], true),
        (&[("INVITE", "ACK")], true),
        (&[("UDP a.example", "UDP A.EXAMPLE")], true),
        (&[("UDP a.example", "UDP a.example:5060")], true),
        (&[("UDP a.example", "TCP a.example")], true),
        (&[(BRANCH, ";branch=z9hG4bK776asdhds;received=192.0.2.1;rport=9")], true),
        (&[("Via: ", "v:  ")], true),
        (&[(BRANCH, ";branch=z9hG4bK776asdhdt")], false),
        (&[("UDP a.example", "UDP a.example:5070")], false),
        (&[("UDP a.example", "TLS a.example")], false),
        (&[("UDP a.example", "UDP b.example")], false),
        (&[("INVITE", "CANCEL")], false),
        (&[("INVITE", "OPTIONS")], false),
        (&[(BRANCH, ";branch=z9hG4bK")], false),
        (&[(BRANCH, "")], false),
    ];
    for (changes, same) in rows {
        assert_eq!(server(&altered(changes)) == original, *same, "{changes:?}");
    }
}

#[test]
fn without_the_cookie_the_rules_of_rfc_2543_decide() {
    for branch in ["", ";branch=1", ";branch=z9hG4bK", ";branch=Z9HG4B"] {
        let old = |changes: &[(&str, &str)]| server(&altered(&[&[(BRANCH, branch)], changes].concat()));
        let original = old(&[]);
        let rows: &[(&[(&str, &str)], bool)] = &[
            (&[("To: Bob <sip:bob@b.example>", "To: <sip:bob@b.example>")], true),
            (&[("INVITE", "ACK"), ("To: Bob <sip:bob@b.example>", "To: Bob <sip:bob@b.example>;tag=9")], true),
            (&[("Call-ID: a84b", "Call-ID: other")], false),
            (&[("sip:bob@b.example SIP/2.0", "sip:carol@c.example SIP/2.0")], false),
            (&[("314159 INVITE", "314160 INVITE")], false),
            (&[(";tag=1928301774", ";tag=2")], false),
            (&[("UDP a.example", "UDP b.example")], false),
            (&[("INVITE", "CANCEL")], false),
        ];
        for (changes, same) in rows {
            assert_eq!(old(changes) == original, *same, "{branch} {changes:?}");
        }
        let bye = |to: &str| old(&[("INVITE", "BYE"), ("To: Bob <sip:bob@b.example>", to)]);
        assert_ne!(bye("To: <sip:bob@b.example>;tag=1"), bye("To: <sip:bob@b.example>;tag=2"));
        let cancel = altered(&[(BRANCH, branch), ("INVITE", "CANCEL")]);
        assert_eq!(invite_key(&cancel.view()).unwrap(), original);
    }
}

#[test]
fn the_cookie_may_be_written_in_any_case() {
    let one = altered(&[("z9hG4bK776", "Z9HG4BK776"), ("Call-ID: a84b", "Call-ID: other")]);
    let two = altered(&[("z9hG4bK776", "Z9HG4BK776")]);
    assert_eq!(server(&one), server(&two));
}

#[test]
fn a_response_finds_its_request_by_branch_and_method() {
    let invite = request("INVITE");
    let key = |message: &Message| client_key(&message.view()).unwrap();
    assert_eq!(key(&response(&invite, 180)), key(&invite));
    assert_ne!(key(&response(&request("CANCEL"), 200)), key(&invite), "the answer to its CANCEL is another one's");
    assert_ne!(key(&altered(&[("776asdhds", "other")])), key(&invite));
    assert_ne!(key(&invite), server(&invite), "our own request that comes back to us is a new one");
}

#[test]
fn copies_by_another_path_merge() {
    let key = |changes: &[(&str, &str)]| merge_key(&altered(changes).view()).unwrap();
    let original = key(&[]);
    assert_eq!(key(&[("776asdhds", "other"), ("UDP a.example", "TCP p.example")]), original);
    assert_ne!(key(&[("314159 INVITE", "314160 INVITE")]), original);
    assert_ne!(key(&[(";tag=1928301774", ";tag=2")]), original);
    assert_ne!(key(&[("Call-ID: a84b", "Call-ID: other")]), original);
    assert_ne!(key(&[("INVITE", "OPTIONS")]), original);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    for (from, to) in [("Via: SIP/2.0/UDP a.example", "Via: nonsense"), ("CSeq: 314159", "CSeq: x")] {
        let broken = altered(&[(from, to), (BRANCH, ";branch=old")]);
        assert!(server_key(&broken.view()).is_err(), "{to}");
        assert!(client_key(&broken.view()).is_err(), "{to}");
    }
}

#[test]
fn keys_are_the_same_on_every_node() {
    assert_eq!(server(&request("INVITE")).0, 252_455_313_933_999_461_395_977_064_909_637_963_782);
}
