use super::*;
use crate::testing::*;
use crate::{Side, State};

fn with_routes(routes: &str) -> Dialog {
    let response = reply("200 OK", "1 INVITE", &format!("Contact: <sip:bob@192.0.2.2;x=1>\n{routes}"));
    Dialog::uac(&message(OUT).view(), &response.view()).unwrap()
}

#[test]
fn a_request_goes_to_the_target_along_loose_routes() {
    let mut dialog = with_routes("Record-Route: <sip:p1;lr>, <sip:p2;lr;x>\n");
    let request = dialog.request(Method::Info, &HOP).header(Name::Subject, "hi").build();
    assert_eq!(
        text(&request),
        "INFO sip:bob@192.0.2.2;x=1 SIP/2.0\n\
         Via: SIP/2.0/UDP us.example;branch=z9hG4bKnext;rport\n\
         Max-Forwards: 69\n\
         Route: <sip:p2;lr;x>, <sip:p1;lr>\n\
         From: <sip:alice@us.example>;tag=ours\n\
         To: <sip:bob@us.example>;tag=bob\n\
         Call-ID: call-2@us.example\n\
         CSeq: 2 INFO\n\
         Contact: <sip:token@us.example>\n\
         Subject: hi\n\
         Content-Length: 0\n\n"
    );
    let silent = dialog.request(Method::Bye, &Hop { contact: b"", ..HOP }).build();
    assert_eq!(silent.view().header(Name::Contact), None);
    assert_eq!(silent.view().cseq().unwrap().number, 3);
    assert_eq!(dialog.state(), State::Terminated);
}

#[test]
fn a_strict_router_gets_its_own_uri() {
    for (routes, uri, route) in [
        ("", "sip:bob@192.0.2.2;x=1", None),
        ("Record-Route: <sip:p1>\n", "sip:p1", Some("<sip:bob@192.0.2.2;x=1>")),
        (
            "Record-Route: <sip:p2;lr>, <sip:p1;maddr=m?H=v>\n",
            "sip:p1;maddr=m",
            Some("<sip:p2;lr>, <sip:bob@192.0.2.2;x=1>"),
        ),
        ("Record-Route: <sip:p2>, <sip:p1;lr=on>\n", "sip:bob@192.0.2.2;x=1", Some("<sip:p1;lr=on>, <sip:p2>")),
    ] {
        let request = with_routes(routes).request(Method::Bye, &HOP).build();
        assert_eq!(request.view().uri(), uri.as_bytes(), "{routes}");
        assert_eq!(request.view().header(Name::Route), route.map(str::as_bytes), "{routes}");
    }
}

#[test]
fn the_ack_has_the_number_of_its_invite() {
    let mut dialog = with_routes("Record-Route: <sip:p1;lr>\n");
    dialog.request(Method::Update, &HOP);
    let ack = dialog.ack(1, &HOP).build();
    let view = ack.view();
    assert_eq!((view.method(), view.cseq().unwrap().number), (Method::Ack, 1));
    assert_eq!(view.header(Name::Contact), None);
    assert_eq!(view.header(Name::Route), Some(&b"<sip:p1;lr>"[..]));
    assert_eq!(dialog.local_cseq(), 2, "an ACK takes no number");
}

#[test]
fn the_prack_names_what_it_acknowledges() {
    let response = reply("180 Ringing", "1 INVITE", "Contact: <sip:b@c>\nRequire: 100rel\nRSeq: 776656\n");
    let mut dialog = Dialog::uac(&message(OUT).view(), &response.view()).unwrap();
    let prack = dialog.prack(&response.view(), &HOP).build();
    assert_eq!(prack.view().header(Name::RAck), Some(&b"776656 1 INVITE"[..]));
    assert_eq!(prack.view().cseq().unwrap().number, 2);
}

#[test]
fn our_first_request_to_a_caller_is_number_one() {
    let mut dialog = Dialog::uas(&message(INVITE).view(), b"ours").unwrap();
    dialog.confirm();
    let request = dialog.request(Method::Invite, &HOP).build();
    let view = request.view();
    assert_eq!(view.cseq().unwrap().number, 1);
    assert_eq!(view.uri(), b"sip:alice@192.0.2.1:5062;ob");
    assert_eq!(view.header(Name::From), Some(&b"<sip:bob@us.example>;tag=ours"[..]));
    assert_eq!(view.header(Name::To), Some(&b"\"Alice\" <sip:alice@us.example>;tag=alice"[..]));
    assert_eq!((dialog.initiator(), dialog.state()), (Side::Peer, State::Confirmed));
}

#[test]
fn a_start_line_takes_no_headers_and_no_method() {
    for (uri, bare) in [
        ("sip:a@b", "sip:a@b"),
        ("sip:a@b?Subject=x", "sip:a@b"),
        ("sip:a@b;Method=INVITE", "sip:a@b"),
        ("sip:a@b;method=INVITE;lr", "sip:a@b;lr"),
        ("sip:a@b;x=1;method=BYE?Y=z", "sip:a@b;x=1"),
        ("sip:a;method=b@c", "sip:a;method=b@c"),
        ("sip:what?@b?Subject=x", "sip:what?@b"),
        ("sip:b?Subject=x", "sip:b"),
        ("sip:b;methods=1", "sip:b;methods=1"),
    ] {
        assert_eq!(bare_uri(uri.as_bytes()), bare.as_bytes(), "{uri}");
    }
}
