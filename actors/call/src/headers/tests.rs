use sip::Message;

use super::*;

fn request(lines: &[(&str, &str)]) -> Message {
    let mut builder = Builder::request(Method::Invite, b"sip:bob@example.test")
        .header(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")
        .header(Name::From, "<sip:alice@example.test>;tag=1")
        .header(Name::To, "<sip:bob@example.test>")
        .header(Name::CallId, "c")
        .header(Name::CSeq, "1 INVITE");
    for (name, value) in lines {
        builder = builder.other(name, value);
    }
    builder.build()
}

fn passed(lines: &[(&str, &str)], passing: Passing) -> Vec<String> {
    let from = request(lines);
    let to = pass_request(Builder::request(Method::Invite, b"sip:x@y"), &from.view(), passing).build();
    to.view().fields().map(|field| String::from_utf8_lossy(field.name).into_owned()).collect()
}

#[test]
fn what_passes() {
    // header, from a phone, from a trunk
    let rows = [
        ("Subject", true, true),
        ("Alert-Info", true, true),
        ("User-Agent", true, true),
        ("Priority", true, true),
        ("Diversion", false, true),
        ("History-Info", false, true),
        ("P-Asserted-Identity", false, false),
        ("P-Preferred-Identity", false, false),
        ("Privacy", false, false),
        ("Record-Route", false, false),
        ("Route", false, false),
        ("Proxy-Authorization", false, false),
        ("Call-Info", false, false),
        ("Warning", false, false),
        ("X-Internal", false, false),
        ("P-Charging-Vector", false, false),
    ];
    for (name, phone, trunk) in rows {
        for (trusted, wanted) in [(false, phone), (true, trunk)] {
            let names = passed(&[(name, "<sip:v@example.test>")], Passing { trusted, user_agent: true });
            assert_eq!(names.iter().any(|passed| passed == name), wanted, "{name}, trusted {trusted}");
        }
    }
    assert!(
        !passed(&[("User-Agent", "x")], Passing { trusted: false, user_agent: false })
            .contains(&"User-Agent".to_owned())
    );
}

#[test]
fn allow_shows_what_we_pass() {
    let allow_of = |lines: &[(&str, &str)]| allow(&request(lines).view());
    assert_eq!(allow_of(&[]), "INVITE, ACK, CANCEL, BYE, OPTIONS");
    assert_eq!(allow_of(&[("Allow", "INVITE, JUMP, UPDATE"), ("Allow", "SUBSCRIBE,INFO")]), "INVITE, UPDATE, INFO");
}

#[test]
fn privacy() {
    // Privacy value, wants id
    for (value, wanted) in [("id", true), ("ID;critical", true), ("user; id", true), ("none", false), ("idle", false)] {
        assert_eq!(wants_privacy(&request(&[("Privacy", value)]).view(), "id"), wanted, "{value}");
    }
}

#[test]
fn extensions() {
    let found = unsupported(&request(&[("Require", "100rel, Timer, gin"), ("Proxy-Require", "sec-agree")]).view());
    assert_eq!(found, ["gin", "sec-agree"]);
}
