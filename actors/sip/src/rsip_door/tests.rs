use super::*;
use crate::{View, parse_name_addr, parse_via, testing::torture};
use rsip::headers::ToTypedHeader;
use rsip::prelude::{HeadersExt, UntypedHeader};

/// Files that rsip reads once they are in canonical form, and reads right.
const RSIP_IS_RIGHT: &[&str] = &[
    "wsinv",
    "lwsdisp",
    "dblreq",
    "transports",
    "mpart01",
    "noreason",
    "baddate",
    "badbranch",
    "bext01",
    "invut",
    "regaut01",
    "zeromf",
    "cparam01",
    "cparam02",
    "regescrt",
    "sdp01",
    "inv2543",
    "escnull",
];

fn message(name: &str) -> Message {
    Message::parse(torture(name).into(), &Limits::default()).expect(name)
}

#[test]
fn what_rsip_reads_right_agrees_with_us() {
    for name in RSIP_IS_RIGHT {
        let ours = message(name);
        let twin = match to_rsip(&ours) {
            Ok(twin) => twin,
            Err(error) => panic!("{name}: {error}"),
        };
        let view = ours.view();
        assert_eq!(twin.cseq_header().unwrap().seq().unwrap(), view.cseq().unwrap().number, "{name}");
        assert_eq!(twin.call_id_header().unwrap().value().as_bytes(), view.call_id().unwrap(), "{name}");
        let body = match &twin {
            rsip::SipMessage::Request(request) => &request.body,
            rsip::SipMessage::Response(response) => &response.body,
        };
        assert_eq!(body, view.body(), "{name}");
        // rsip's typed layer knows no white space inside Via or between the parameters of From.
        if *name == "wsinv" {
            continue;
        }
        let via = twin.via_header().unwrap().typed().unwrap();
        let branch = via.branch().map(|branch| branch.value().as_bytes().to_vec());
        assert_eq!(branch.as_deref(), view.top_via().unwrap().branch(), "{name}");
        let tag = twin.from_header().unwrap().tag().unwrap().map(|tag| tag.value().as_bytes().to_vec());
        assert_eq!(tag.as_deref(), view.from().unwrap().tag(), "{name}");
    }
}

#[test]
fn through_the_door_and_back() {
    for name in RSIP_IS_RIGHT {
        let ours = message(name);
        let back = from_rsip(&to_rsip(&ours).unwrap()).unwrap();
        let (a, b) = (ours.view(), back.view());
        assert_eq!((a.method(), a.uri(), a.status()), (b.method(), b.uri(), b.status()), "{name}");
        assert_eq!(a.body(), b.body(), "{name}");
        for known in Name::ALL.iter().filter(|name| **name != Name::ContentLength) {
            let values =
                |view: &View| -> Vec<Vec<u8>> { view.values(*known).map(|value| unfold(value).into_owned()).collect() };
            assert_eq!(values(&a), values(&b), "{name} {}", known.text());
        }
    }
}

#[test]
fn what_rsip_would_lose_is_refused() {
    for (name, why) in [
        ("intmeth", "a method of its own"),
        ("esc02", "a method of its own"),
        ("ipv6-good", "IPv6 in the Request-URI"),
        ("unreason", "nothing: its reason phrase is only text"),
    ] {
        let refused = to_rsip(&message(name)).is_err();
        assert_eq!(refused, name != "unreason", "{name}: {why}");
    }
}

#[test]
fn values_alone_agree() {
    let vias = [
        "SIP/2.0/UDP a.example.com:5060;branch=z9hG4bK1",
        "SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKab;received=192.0.2.9",
        "SIP/2.0/TLS a.example.com;rport=5061;branch=z9hG4bK3",
    ];
    for text in vias {
        let ours = parse_via(text.as_bytes()).unwrap();
        let twin = rsip::headers::Via::new(text).typed().unwrap();
        assert_eq!(twin.branch().map(|branch| branch.value().as_bytes()), ours.branch());
        assert_eq!(twin.received().unwrap(), ours.received());
    }
    for text in ["<sip:a@b.example>;tag=1", "\"A B\" <sip:a@b.example;lr>;tag=x", "sip:a@b.example;tag=q"] {
        let ours = parse_name_addr(text.as_bytes()).unwrap();
        let twin = rsip::headers::From::new(text).typed().unwrap();
        assert_eq!(twin.tag().map(|tag| tag.value().as_bytes()), ours.tag());
        assert_eq!(twin.uri.host().to_string(), ours.uri().unwrap().host.to_string());
    }
}

#[test]
fn a_binary_body_survives() {
    let ours = Builder::request(Method::Message, "sip:a@b.example")
        .header(Name::CallId, "1")
        .body(b"application/octet-stream", &[0xff, 0, 0xfe, b'\r'])
        .build();
    let twin = to_rsip(&ours).unwrap();
    assert_eq!(from_rsip(&twin).unwrap().view().body(), &[0xff, 0, 0xfe, b'\r']);
}
