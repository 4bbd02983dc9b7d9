use fabric::{Address, NodeId};
use sip::Limits;

use super::*;

const PROXY: &str = "127.0.0.2:5062";

fn home() -> Home {
    Home::new(NodeId(1), [3; 16], 4)
}

fn settings() -> Settings {
    Settings { forward: vec![PROXY.parse().expect("an address")], ..Settings::default() }
}

fn flow(remote: &str) -> Flow {
    Flow {
        balancer: Address::Balancer(NodeId(1), 0),
        transport: Transport::Udp,
        listener: 0,
        local: "127.0.0.1:5060".parse().expect("an address"),
        remote: remote.parse().expect("an address"),
        connection: 0,
    }
}

fn message(start: &str, more: &str) -> Vec<u8> {
    format!(
        "{start}\r\n{more}Max-Forwards: 70\r\nFrom: <sip:a@example.test>;tag=1\r\nTo: <sip:b@example.test>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn relayed(bytes: &[u8], from: &str) -> Result<Transmit, Reject> {
    let view = View::parse(bytes, &Limits::default()).expect("a message");
    request(&view, &flow(from), &Label::of(&flow(from)), &home(), &settings())
}

const VIA: &str = "Via: SIP/2.0/UDP 127.0.0.9:5060;rport;branch=z9hG4bKabc\r\n";

#[test]
fn a_request_goes_to_the_proxy_of_its_call_id_and_its_response_finds_back() {
    let invite = message("INVITE sip:b@example.test SIP/2.0", VIA);
    let sent = relayed(&invite, "127.0.0.9:5060").expect("passed on");
    assert_eq!(sent.flow.remote.to_string(), PROXY);
    let view = View::parse(&sent.bytes, &Limits::default()).expect("readable");
    assert_eq!((view.count(Name::Via), view.max_forwards()), (2, Ok(Some(69))));
    assert_eq!(view.header(Name::RecordRoute), Some(b"<sip:127.0.0.1:5060;lr>".as_slice()));

    let vias: Vec<String> =
        view.headers(Name::Via).map(|via| format!("Via: {}\r\n", String::from_utf8_lossy(via))).collect();
    let answer = message("SIP/2.0 200 OK", &vias.concat());
    let view = View::parse(&answer, &Limits::default()).expect("readable");
    let back = response(&view, &flow(PROXY), &home()).expect("passed back");
    assert_eq!(back.flow.remote.to_string(), "127.0.0.9:5060");
    let view = View::parse(&back.bytes, &Limits::default()).expect("readable");
    assert_eq!(view.count(Name::Via), 1);
}

#[test]
fn a_response_with_a_branch_that_is_not_ours_goes_nowhere() {
    let answer =
        message("SIP/2.0 200 OK", &format!("Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK0123456789abcdef\r\n{VIA}"));
    let view = View::parse(&answer, &Limits::default()).expect("readable");
    assert_eq!(response(&view, &flow(PROXY), &home()), None);
}

#[test]
fn a_stranger_reaches_only_the_configured_proxies() {
    let route = |route: &str| {
        message(
            "INVITE sip:b@example.test SIP/2.0",
            &format!("{VIA}Route: <sip:127.0.0.1:5060;lr>, <sip:{route};lr>\r\n"),
        )
    };
    assert_eq!(relayed(&route("10.0.0.1"), "127.0.0.9:5060").expect_err("refused").status, Status::FORBIDDEN);
    assert!(relayed(&route(PROXY), "127.0.0.9:5060").is_ok());
    assert_eq!(relayed(&route("10.0.0.1"), PROXY).expect("a proxy may").flow.remote.to_string(), "10.0.0.1:5060");
}

#[test]
fn a_retransmission_gets_the_same_branch() {
    let invite = message("INVITE sip:b@example.test SIP/2.0", VIA);
    assert_eq!(
        relayed(&invite, "127.0.0.9:5060").map(|sent| sent.bytes),
        relayed(&invite, "127.0.0.9:5060").map(|sent| sent.bytes)
    );
}
