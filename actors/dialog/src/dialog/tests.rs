use super::*;
use crate::testing::*;
use sip::Message;

fn uas() -> Dialog {
    Dialog::uas(&message(INVITE).view(), b"ours").expect("a dialog")
}

fn uac(response: &Message) -> Dialog {
    Dialog::uac(&message(OUT).view(), &response.view()).expect("a dialog")
}

fn ringing() -> Dialog {
    uac(&reply("180 Ringing", "1 INVITE", "Contact: <sip:bob@early>\nRecord-Route: <sip:old;lr>\n"))
}

fn answered() -> Dialog {
    uac(&reply("200 OK", "1 INVITE", "Contact: <sip:bob@192.0.2.2>\n"))
}

fn str(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_called_side_takes_everything_from_the_request() {
    let dialog = codec(&uas());
    assert_eq!(str(dialog.call_id()), "call-1@alice.example");
    assert_eq!(str(dialog.local()), "<sip:bob@us.example>;tag=ours");
    assert_eq!(str(dialog.remote()), "\"Alice\" <sip:alice@us.example>;tag=alice");
    assert_eq!((str(dialog.local_tag()), str(dialog.remote_tag())), ("ours", "alice"));
    assert_eq!(str(dialog.target()), "sip:alice@192.0.2.1:5062;ob");
    assert_eq!(str(dialog.routes()), "<sip:p1.example;lr>, <sip:p2.example;lr>, <sip:p3.example;lr>");
    assert_eq!(str(dialog.next_hop()), "sip:p1.example;lr");
    assert_eq!((dialog.local_cseq(), dialog.remote_cseq()), (0, Some(10)));
    assert_eq!((dialog.state(), dialog.initiator()), (State::Early, Side::Peer));
    assert_eq!(dialog.peer(), Peer { update: true, reliable: true, timer: true, replaces: true });
}

#[test]
fn the_calling_side_reverses_the_route() {
    let routes = "Record-Route: <sip:p1;lr>\nRecord-Route: <sip:p2;lr>, <sip:p3;lr>\nContact: <sip:bob@192.0.2.2>\n";
    let dialog = codec(&uac(&reply("200 OK", "1 INVITE", routes)));
    assert_eq!(str(dialog.routes()), "<sip:p3;lr>, <sip:p2;lr>, <sip:p1;lr>");
    assert_eq!(str(dialog.local()), "<sip:alice@us.example>;tag=ours");
    assert_eq!(str(dialog.remote()), "<sip:bob@us.example>;tag=bob");
    assert_eq!((dialog.local_cseq(), dialog.remote_cseq()), (1, None));
    assert_eq!((dialog.state(), dialog.initiator()), (State::Confirmed, Side::Us));
    assert_eq!(dialog.peer(), Peer::default());
    assert_eq!(str(dialog.next_hop()), "sip:p3;lr");
    assert_eq!(str(answered().next_hop()), "sip:bob@192.0.2.2");
}

#[test]
fn requests_that_make_no_dialog() {
    let rows = [
        ("no contact", ("Contact: <sip:alice@192.0.2.1:5062;ob>\n", ""), 400),
        ("star", ("<sip:alice@192.0.2.1:5062;ob>", "*"), 400),
        ("two contacts", ("<sip:alice@192.0.2.1:5062;ob>", "<sip:a@b>, <sip:c@d>"), 400),
        ("tel contact", ("<sip:alice@192.0.2.1:5062;ob>", "<tel:+4930123>"), 400),
        ("web contact", ("<sip:alice@192.0.2.1:5062;ob>", "<https://a.example>"), 400),
        ("broken contact", ("<sip:alice@192.0.2.1:5062;ob>", "<sip:alice@192.0.2.1"), 400),
        ("broken CSeq", ("10 INVITE", "ten INVITE"), 400),
        ("broken From", ("<sip:alice@us.example>;tag=alice", "<sip:alice"), 400),
        ("endless", ("call-1@alice.example", &"x".repeat(8_000)), 200),
    ];
    for (what, change, status) in rows {
        let got = Dialog::uas(&altered(INVITE, &[change]).view(), b"ours");
        assert_eq!(got.map_or_else(|reject| reject.status.code(), |_| 200), status, "{what}");
    }
    let long = format!("Record-Route: {}\n", "<sip:proxy.example;lr>, ".repeat(300) + "<sip:p;lr>");
    let got = Dialog::uas(&altered(INVITE, &[("Max-Forwards: 70\n", &(long.clone() + &long))]).view(), b"ours");
    assert_eq!(got.expect_err("too long").status, Status::MESSAGE_TOO_LARGE);
}

#[test]
fn responses_that_make_no_dialog_and_odd_ones_that_do() {
    let contact = "Contact: <sip:bob@192.0.2.2>\n";
    let invite = message(OUT);
    let got = |response: &Message| Dialog::uac(&invite.view(), &response.view()).map(|dialog| dialog.state());
    let no_tag = |response: Message| altered(&text(&response), &[(";tag=bob", "")]);
    assert_eq!(got(&reply("100 Trying", "1 INVITE", contact)), Err(DialogError::NoDialog));
    assert_eq!(got(&reply("486 Busy Here", "1 INVITE", contact)), Err(DialogError::NoDialog));
    assert_eq!(got(&no_tag(reply("180 Ringing", "1 INVITE", contact))), Err(DialogError::NoDialog));
    for contact in ["Contact: <sip:a@b>, <sip:c@d>\n", "Contact: *\n", "Contact: <tel:1>\n", "Contact: <sip:b\n"] {
        let dialog = uac(&reply("200 OK", "1 INVITE", contact));
        assert_eq!(str(dialog.target()), "sip:bob@192.0.2.2", "a 2xx wants an ACK whatever its {contact}");
    }
    assert_eq!(got(&reply("183 Session Progress", "1 INVITE", "")), Ok(State::Early));
    // A peer of RFC 2543 has no tag, some phones forget the Contact: the call goes on.
    let dialog = uac(&no_tag(reply("200 OK", "1 INVITE", "")));
    assert_eq!((str(dialog.remote_tag()), str(dialog.target())), ("", "sip:bob@192.0.2.2"));
    assert!(dialog.matches(&no_tag(reply("200 OK", "1 INVITE", "")).view()));
    assert!(!dialog.matches(&reply("200 OK", "1 INVITE", "").view()));
}

#[test]
fn a_request_belongs_by_call_id_and_both_tags() {
    let bye = text(&within("BYE", 11, ""));
    for (change, belongs) in [
        (("Max", "Max"), true),
        (("<sip:alice@us.example>;tag=alice", "\"Other\" <sip:x@y>;tag=alice"), true),
        (("tag=alice", "tag=mallory"), false),
        (("tag=ours", "tag=theirs"), false),
        (("tag=ours", "tag=Ours"), false),
        ((";tag=ours", ""), false),
        ((";tag=alice", ""), false),
        (("call-1@", "call-2@"), false),
        (("call-1@", "CALL-1@"), false),
    ] {
        let bye = if change.0 == "Max" { message(&bye) } else { altered(&bye, &[change]) };
        let mut dialog = uas();
        assert_eq!(dialog.matches(&bye.view()), belongs, "{change:?}");
        let status = dialog.on_request(&bye.view()).map_or_else(|reject| reject.status.code(), |()| 200);
        assert_eq!(status, if belongs { 200 } else { 481 }, "{change:?}");
        assert_eq!(dialog.remote_cseq(), Some(if belongs { 11 } else { 10 }), "a stranger changes nothing");
    }
}

#[test]
fn requests_come_in_order() {
    let mut dialog = uas();
    // method, CSeq, status, remote CSeq afterwards
    for (method, cseq, status, after) in [
        ("INFO", 9, 500, 10),
        ("INFO", 10, 500, 10),
        ("ACK", 10, 200, 10),
        ("ACK", 3, 200, 10),
        ("UPDATE", 11, 200, 11),
        ("CANCEL", 10, 200, 11),
        ("INFO", 11, 500, 11),
        ("INVITE", 500, 200, 500),
        ("INVITE", 0, 500, 500),
        ("BYE", u32::MAX, 200, u32::MAX),
    ] {
        let got = dialog.on_request(&within(method, cseq, "").view());
        assert_eq!(got.map_or_else(|reject| reject.status.code(), |()| 200), status, "{method} {cseq}");
        assert_eq!(dialog.remote_cseq(), Some(after), "{method} {cseq}");
    }
    let mut dialog = answered();
    let first = "INFO sip:x SIP/2.0\nVia: SIP/2.0/UDP b;branch=z9hG4bKz\nFrom: <sip:bob@us.example>;tag=bob\n\
        To: <sip:alice@us.example>;tag=ours\nCall-ID: call-2@us.example\nCSeq: 0 INFO\n\n";
    assert_eq!(dialog.on_request(&message(first).view()), Ok(()), "any first number will do");
    dialog.terminate();
    let second = altered(first, &[("0 INFO", "1 INFO")]);
    assert_eq!(dialog.on_request(&second.view()).unwrap_err().status.code(), 481, "it is over");
}

#[test]
fn the_target_moves_with_accepted_refreshes_only() {
    for (method, contact, status, target) in [
        ("INVITE", "Contact: <sip:new@192.0.2.9>\n", 200, "sip:new@192.0.2.9"),
        ("UPDATE", "Contact: <sip:new@192.0.2.9;method=INVITE;x=1?Subject=hi>\n", 200, "sip:new@192.0.2.9;x=1"),
        ("INVITE", "", 200, "sip:alice@192.0.2.1:5062;ob"),
        ("INFO", "Contact: <sip:new@192.0.2.9>\n", 200, "sip:alice@192.0.2.1:5062;ob"),
        ("BYE", "Contact: <sip:new@192.0.2.9>\n", 200, "sip:alice@192.0.2.1:5062;ob"),
        ("INVITE", "Contact: *\n", 400, "sip:alice@192.0.2.1:5062;ob"),
        ("INVITE", "Contact: <sip:a@b>, <sip:c@d>\n", 400, "sip:alice@192.0.2.1:5062;ob"),
        ("UPDATE", "Contact: <tel:1>\n", 400, "sip:alice@192.0.2.1:5062;ob"),
    ] {
        let mut dialog = uas();
        let request = within(method, 11, contact);
        dialog.on_request(&request.view()).unwrap();
        assert_eq!(str(dialog.target()), "sip:alice@192.0.2.1:5062;ob", "not before it is accepted");
        let got = dialog.refresh_target(&request.view());
        assert_eq!(got.map_or_else(|reject| reject.status.code(), |()| 200), status, "{method} {contact}");
        assert_eq!(str(dialog.target()), target, "{method} {contact}");
        assert_eq!(str(dialog.routes()), str(uas().routes()), "the route set never moves");
    }
}

#[test]
fn the_first_2xx_fixes_route_set_and_target() {
    let mut dialog = ringing();
    assert_eq!((str(dialog.target()), str(dialog.routes())), ("sip:bob@early", "<sip:old;lr>"));
    let forward = reply("183 Session Progress", "1 INVITE", "Contact: <sip:bob@later>\nRecord-Route: <sip:no;lr>\n");
    assert_eq!(dialog.on_response(&forward.view()), Fate::Lives);
    assert_eq!((str(dialog.target()), str(dialog.routes())), ("sip:bob@later", "<sip:old;lr>"));
    let ok = reply("200 OK", "1 INVITE", "Contact: <sip:bob@final>\nRecord-Route: <sip:n1;lr>, <sip:n2;lr>\n");
    assert_eq!(dialog.on_response(&ok.view()), Fate::Lives);
    assert_eq!(dialog.state(), State::Confirmed);
    assert_eq!((str(dialog.target()), str(dialog.routes())), ("sip:bob@final", "<sip:n2;lr>, <sip:n1;lr>"));
    let ok = reply("200 OK", "2 INVITE", "Contact: <sip:bob@moved>\nRecord-Route: <sip:n9;lr>\n");
    assert_eq!(dialog.on_response(&ok.view()), Fate::Lives);
    assert_eq!((str(dialog.target()), str(dialog.routes())), ("sip:bob@moved", "<sip:n2;lr>, <sip:n1;lr>"));
}

#[test]
fn what_a_response_does_to_a_session() {
    let contact = "Contact: <sip:bob@new>\n";
    let reliable = "Contact: <sip:bob@new>\nRequire: 100rel\nRSeq: 1\n";
    for (status, cseq, more, moves) in [
        ("200 OK", "2 INVITE", contact, true),
        ("200 OK", "2 UPDATE", contact, true),
        ("183 Session Progress", "2 INVITE", reliable, true),
        ("180 Ringing", "2 INVITE", contact, false),
        ("100 Trying", "2 INVITE", contact, false),
        ("200 OK", "2 INFO", contact, false),
        ("200 OK", "2 INVITE", "Contact: *\n", false),
        ("488 Not Acceptable Here", "2 INVITE", contact, false),
    ] {
        let mut dialog = answered();
        assert_eq!(dialog.on_response(&reply(status, cseq, more).view()), Fate::Lives, "{status}");
        assert_eq!(str(dialog.target()) == "sip:bob@new", moves, "{status} {cseq} {more}");
    }
}

#[test]
fn refusals_that_end_a_dialog() {
    let ends = |mut dialog: Dialog, status: &str, cseq: &str| {
        let fate = dialog.on_response(&reply(status, cseq, "").view());
        assert_eq!(dialog.state() == State::Terminated, fate == Fate::Ends);
        fate == Fate::Ends
    };
    for status in ["404 x", "408 x", "410 x", "416 x", "481 x", "482 x", "484 x", "485 x", "502 x", "604 x"] {
        assert!(ends(answered(), status, "2 INFO"), "{status}");
        assert!(ends(answered(), status, "2 INVITE"), "{status}");
    }
    for status in [
        "300 x", "400 x", "401 x", "405 x", "407 x", "415 x", "420 x", "422 x", "488 x", "491 x", "500 x", "503 x",
        "603 x",
    ] {
        assert!(!ends(answered(), status, "2 INVITE"), "{status}");
        assert!(ends(ringing(), status, "1 INVITE"), "the INVITE itself was refused: {status}");
        assert!(!ends(ringing(), status, "2 UPDATE"), "{status}");
    }
}

#[test]
fn abilities_follow_the_latest_word() {
    let mut dialog = uas();
    dialog.on_request(&within("INFO", 11, "").view()).unwrap();
    assert!(dialog.peer().update, "silence changes nothing");
    dialog.on_request(&within("INVITE", 12, "Allow: INVITE, BYE\nk: timer\n").view()).unwrap();
    assert_eq!(dialog.peer(), Peer { timer: true, ..Peer::default() });
}

#[test]
fn only_sips_over_tls_is_secure() {
    let sips = ("INVITE sip:bob@us.example", "INVITE sips:bob@us.example");
    for (changes, secure) in [
        (&[sips, ("SIP/2.0/UDP", "SIP/2.0/TLS")][..], true),
        (&[sips], false),
        (&[("SIP/2.0/UDP", "SIP/2.0/TLS")], false),
    ] {
        assert_eq!(Dialog::uas(&altered(INVITE, changes).view(), b"t").unwrap().is_secure(), secure, "{changes:?}");
    }
}

#[test]
fn a_folded_from_is_kept_in_one_line() {
    let invite = altered(INVITE, &[("\"Alice\" <sip", "\"Alice\"\n  <sip")]);
    assert_eq!(str(Dialog::uas(&invite.view(), b"t").unwrap().remote()), "\"Alice\" <sip:alice@us.example>;tag=alice");
}

#[test]
fn a_target_that_is_too_long_is_not_taken() {
    let mut dialog = uas();
    let long = within("INVITE", 11, &format!("Contact: <sip:{}@192.0.2.9>\n", "x".repeat(8_150)));
    dialog.on_request(&long.view()).unwrap();
    dialog.refresh_target(&long.view()).unwrap();
    assert_eq!(str(dialog.target()), "sip:alice@192.0.2.1:5062;ob");
}

#[test]
fn a_held_dialog_is_small() {
    let dialog = uas();
    let bytes = size_of::<Dialog>() + dialog.text.len();
    assert!(bytes <= 400, "{bytes} bytes");
    assert!(size_of::<Dialog>() <= 64, "{} bytes", size_of::<Dialog>());
}
