use crate::{Limits, Name, Splices, View};
use std::net::IpAddr;

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1
Max-Forwards: 70
Route: <sip:lb;lr>, <sip:next;lr>
f: <sip:a@b>;tag=1
t: <sip:bob@example.com>
i: x
CSeq: 1 INVITE
X-Own: one
x-own: two
l: 3

abc";

fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn changed(text: &str, change: impl Fn(&mut Splices)) -> String {
    let bytes = wire(text);
    let view = View::parse(&bytes, &Limits::default()).unwrap();
    let mut splices = Splices::new(&view);
    change(&mut splices);
    let mut direct = b"before".to_vec();
    splices.clone().apply(&mut direct);
    let out = splices.into_bytes();
    assert_eq!(direct, [b"before", &out[..]].concat());
    View::parse(&out, &Limits::default()).expect("a changed message can be read");
    String::from_utf8(out.to_vec()).unwrap().replace("\r\n", "\n")
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn nothing_changed() {
    assert_eq!(changed(INVITE, |_| {}), INVITE);
}

#[test]
fn what_a_balancer_does() {
    let out = changed(INVITE, |splices| {
        splices.push_front(Name::Via, b"SIP/2.0/UDP lb;branch=z9hG4bK2");
        splices.push_front(Name::RecordRoute, b"<sip:lb;lr>");
        splices.stamp_via(ip("192.0.2.1"), Some(4711));
        splices.decrement_max_forwards();
        splices.remove_first_value(Name::Route);
        splices.set_uri(b"sip:bob@192.0.2.7");
    });
    assert_eq!(
        out,
        "INVITE sip:bob@192.0.2.7 SIP/2.0
Record-Route: <sip:lb;lr>
Via: SIP/2.0/UDP lb;branch=z9hG4bK2
Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;received=192.0.2.1;rport=4711
Max-Forwards: 69
Route: <sip:next;lr>
f: <sip:a@b>;tag=1
t: <sip:bob@example.com>
i: x
CSeq: 1 INVITE
X-Own: one
x-own: two
l: 3

abc"
    );
}

#[test]
fn one_change_each() {
    type Change = fn(&mut Splices);
    let rows: &[(&str, Change, &str, &str)] = &[
        (
            "push two",
            |s| {
                s.push_front(Name::Route, b"<a>");
                s.push_front(Name::Route, b"<b>");
            },
            "Route: <sip:lb;lr>, <sip:next;lr>",
            "Route: <b>\nRoute: <a>\nRoute: <sip:lb;lr>, <sip:next;lr>",
        ),
        (
            "append",
            |s| {
                s.append(Name::Route, b"<a>");
                s.append(Name::Route, b"<b>");
            },
            "Route: <sip:lb;lr>, <sip:next;lr>",
            "Route: <sip:lb;lr>, <sip:next;lr>\nRoute: <a>\nRoute: <b>",
        ),
        ("append new", |s| s.append(Name::Path, b"<sip:x>"), "l: 3", "l: 3\nPath: <sip:x>"),
        ("append other", |s| s.append_other("X-Bad Name:", b"1\r\nEvil: 2"), "l: 3", "l: 3\nX-Bad-Name-: 1  Evil: 2"),
        ("replace", |s| s.replace_first(Name::Route, b"<only>"), "Route: <sip:lb;lr>, <sip:next;lr>", "Route: <only>"),
        ("replace compact", |s| s.replace_first(Name::From, b"<x>"), "f: <sip:a@b>;tag=1", "f: <x>"),
        (
            "replace twice",
            |s| {
                s.replace_first(Name::From, b"<x>");
                s.replace_first(Name::From, b"<y>");
            },
            "f: <sip:a@b>;tag=1",
            "f: <y>",
        ),
        (
            "pop both",
            |s| {
                s.remove_first_value(Name::Route);
                s.remove_first_value(Name::Route);
            },
            "Route: <sip:lb;lr>, <sip:next;lr>\n",
            "",
        ),
        (
            "pop three",
            |s| {
                for _ in 0..3 {
                    s.remove_first_value(Name::Route);
                }
            },
            "Route: <sip:lb;lr>, <sip:next;lr>\n",
            "",
        ),
        ("pop none", |s| s.remove_first_value(Name::Path), "", ""),
        ("remove", |s| s.remove_all(Name::Route), "Route: <sip:lb;lr>, <sip:next;lr>\n", ""),
        ("remove absent", |s| s.remove_all(Name::Path), "", ""),
        ("remove other", |s| s.remove_other("X-OWN"), "X-Own: one\nx-own: two\n", ""),
        (
            "remove, then push",
            |s| {
                s.remove_all(Name::Route);
                s.push_front(Name::Route, b"<new>");
            },
            "Route: <sip:lb;lr>, <sip:next;lr>",
            "Route: <new>",
        ),
        (
            "push, then remove",
            |s| {
                s.push_front(Name::Route, b"<new>");
                s.remove_all(Name::Route);
            },
            "Route: <sip:lb;lr>, <sip:next;lr>",
            "Route: <new>",
        ),
        (
            "replace, then remove",
            |s| {
                s.replace_first(Name::Route, b"<x>");
                s.remove_all(Name::Route);
            },
            "Route: <sip:lb;lr>, <sip:next;lr>\n",
            "",
        ),
        (
            "remove, then replace",
            |s| {
                s.remove_all(Name::Route);
                s.replace_first(Name::Route, b"<x>");
            },
            "Route: <sip:lb;lr>, <sip:next;lr>\n",
            "",
        ),
        (
            "pop, then remove",
            |s| {
                s.remove_first_value(Name::Route);
                s.remove_all(Name::Route);
            },
            "Route: <sip:lb;lr>, <sip:next;lr>\n",
            "",
        ),
        (
            "smuggle",
            |s| s.push_front(Name::Subject, b"a\r\nP-Asserted-Identity: <sip:x>\r\n\0"),
            "Via: SIP",
            "Subject: a  P-Asserted-Identity: <sip:x>   \nVia: SIP",
        ),
        ("uri", |s| s.set_uri(b"sip:a b\r\n@c"), "sip:bob@example.com SIP", "sip:a%20b%0D%0A@c SIP"),
        (
            "received",
            |s| s.stamp_via(ip("2001:db8::1"), None),
            ";branch=z9hG4bK1",
            ";branch=z9hG4bK1;received=2001:db8::1",
        ),
        (
            "mapped",
            |s| s.stamp_via(ip("::ffff:192.0.2.1"), None),
            ";branch=z9hG4bK1",
            ";branch=z9hG4bK1;received=192.0.2.1",
        ),
    ];
    for (what, change, from, to) in rows {
        assert_eq!(changed(INVITE, change), INVITE.replacen(from, to, 1), "{what}");
    }
}

#[test]
fn stamping() {
    let rows = [
        // via, received, rport, forced, expected
        ("a;branch=1", "192.0.2.1", false, "a;branch=1;received=192.0.2.1"),
        ("a;branch=1", "192.0.2.1", true, "a;branch=1;received=192.0.2.1;rport=9"),
        ("a;rport;branch=1", "192.0.2.1", false, "a;branch=1;received=192.0.2.1;rport=9"),
        ("a;branch=1;RPORT=5", "192.0.2.1", false, "a;branch=1;received=192.0.2.1;rport=9"),
        ("a;received=10.0.0.1;branch=1", "192.0.2.1", false, "a;branch=1;received=192.0.2.1"),
        ("a;branch=1;received=10.0.0.1;received=10.0.0.2", "192.0.2.1", false, "a;branch=1;received=192.0.2.1"),
        ("a", "192.0.2.1", false, "a;received=192.0.2.1"),
        (
            "[::1] ; rport ; branch=1, SIP/2.0/UDP b;rport",
            "192.0.2.1",
            false,
            "[::1] ; branch=1;received=192.0.2.1;rport=9, SIP/2.0/UDP b;rport",
        ),
        ("a;branch=1;x=\";received=\"", "192.0.2.1", false, "a;branch=1;x=\";received=\";received=192.0.2.1"),
    ];
    for (via, received, forced, expected) in rows {
        let text = INVITE.replace("10.0.0.1:5060;rport;branch=z9hG4bK1", via);
        let out = changed(&text, |splices| match forced {
            true => splices.stamp_via_forced(ip(received), Some(9)),
            false => splices.stamp_via(ip(received), Some(9)),
        });
        assert_eq!(out, text.replace(&format!("UDP {via}"), &format!("UDP {expected}")), "{via}");
    }
}

#[test]
fn max_forwards() {
    for (before, after) in [("70", "69"), ("1", "0"), ("0", "0"), ("0068", "67"), ("99999999999", "255"), ("x", "x")] {
        let text = INVITE.replace("Max-Forwards: 70", &format!("Max-Forwards: {before}"));
        let out = changed(&text, |splices| splices.decrement_max_forwards());
        assert_eq!(out, INVITE.replace("Max-Forwards: 70", &format!("Max-Forwards: {after}")));
    }
    let without = INVITE.replace("Max-Forwards: 70\n", "");
    assert_eq!(
        changed(&without, |splices| splices.decrement_max_forwards()),
        without.replace("l: 3\n", "l: 3\nMax-Forwards: 70\n")
    );
}

#[test]
fn content_length_and_the_empty_line_are_added() {
    let without = INVITE.replace("l: 3\n", "");
    assert_eq!(changed(&without, |_| {}), without.replace("two\n", "two\nContent-Length: 3\n"));
    assert_eq!(changed("OPTIONS sip:a SIP/2.0\ni: 1\n", |_| {}), "OPTIONS sip:a SIP/2.0\ni: 1\nContent-Length: 0\n\n");
}

#[test]
fn noise_around_the_message_does_not_leave() {
    let bytes = wire(&format!("\n\n{INVITE}noise"));
    let view = View::parse(&bytes, &Limits::default()).unwrap();
    assert_eq!(Splices::new(&view).into_bytes(), wire(INVITE));
}

#[test]
fn folded_lines_and_many_changes() {
    let text =
        INVITE.replace("Route: <sip:lb;lr>, <sip:next;lr>", "Route:\n <sip:lb;lr>\n ,\n <sip:next;lr>\nRoute: <c>");
    let out = changed(&text, |splices| splices.remove_first_value(Name::Route));
    assert_eq!(out, text.replace("<sip:lb;lr>\n ,\n ", ""));
    let many = changed(INVITE, |splices| {
        for _ in 0..40 {
            splices.push_front(Name::Via, b"SIP/2.0/UDP x");
        }
        splices.remove_all(Name::Route);
    });
    assert_eq!(many.matches("Via: SIP/2.0/UDP x\n").count(), 40);
    assert!(!many.contains("Route"));
}
