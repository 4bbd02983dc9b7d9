//! What minds send.

use fabric::FaultKind;

use super::*;

#[test]
fn messages_go_to_the_socket_in_the_name_of_their_sender() {
    let mut bench = Bench::new(Settings::default());
    let message = parse(request("OPTIONS", "sip:b@d", "<sip:b@d>", "").as_bytes());
    let mail = bench.send(message.clone(), flow()).one();
    assert_eq!((mail.to, mail.from, mail.thread), (Address::Flow(NodeId(1)), Address::Call(Key(5)), Thread(3)));
    assert_eq!(mail.letter, Letter::Transmit(Transmit { flow: flow(), bytes: message.bytes().clone() }));
}

#[test]
fn responses_over_udp_go_where_their_via_says() {
    for (what, via, flow, port) in [
        ("rport", "SIP/2.0/UDP 192.0.2.9:5080;branch=z9hG4bKa;received=192.0.2.9;rport=4711", flow(), 4711),
        ("no rport", "SIP/2.0/UDP 192.0.2.9:5080;branch=z9hG4bKa", flow(), 5080),
        ("neither port", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa", flow(), 5060),
        ("maddr is not followed", "SIP/2.0/UDP 192.0.2.9:5080;maddr=203.0.113.1;branch=z9hG4bKa", flow(), 5080),
        ("TCP stays in its connection", "SIP/2.0/TCP 192.0.2.9:5080;branch=z9hG4bKa", tcp(), 4711),
    ] {
        let text = response("200 OK", "INVITE").replace("SIP/2.0/UDP h;branch=z9hG4bKa", via);
        let mail = Bench::new(Settings::default()).send(parse(text.as_bytes()), flow).one();
        let Letter::Transmit(transmit) = mail.letter else { panic!("{mail:?}") };
        assert_eq!(transmit.flow.remote, format!("192.0.2.9:{port}").parse().expect("an address"), "{what}");
    }
}

#[test]
fn nothing_is_sent_to_everybody_or_nobody() {
    let message = parse(request("OPTIONS", "sip:b@d", "<sip:b@d>", "").as_bytes());
    for remote in [
        "0.0.0.0:5060",
        "255.255.255.255:5060",
        "224.0.1.75:5060",
        "192.0.2.9:0",
        "[::]:5060",
        "[ff02::1]:5060",
        "[::ffff:224.0.1.75]:5060",
    ] {
        let flow = Flow { remote: remote.parse().expect("an address"), ..flow() };
        let mail = Bench::new(Settings::default()).send(message.clone(), flow).one();
        assert_eq!((mail.to, mail.thread), (Address::Call(Key(5)), Thread(3)), "{remote}");
        assert!(matches!(mail.letter, Letter::Returned(fault) if fault.kind == FaultKind::Refused), "{remote}");
    }
}

#[test]
fn the_tracer_sees_both_directions() {
    let mut bench = Bench::new(Settings { trace: true, ..Settings::default() });
    let out = bench.receive(request("INVITE", "sip:b@d", "<sip:b@d>", "")).0;
    let key = bench.home.keys.call(b"c1@x", b"f");
    assert_eq!(traced(&out), [(key, true)]);
    assert_eq!(out.len(), 2);
    assert_eq!(out[1].trace, Trace(key.0 as u64));
    let out = bench.send(parse(response("200 OK", "INVITE").as_bytes()), flow()).0;
    assert_eq!(traced(&out), [(Key(5), false)]);
    let out = bench.receive(request("INVITE", "sip:b@d", "<sip:b@d>", "Proxy-Require: foo\r\n")).0;
    assert_eq!(traced(&out), [(key, true), (key, false)], "our own answers too");
}

#[test]
fn keep_alives_do_not_fill_the_tracer() {
    let mut bench = Bench::new(Settings { trace: true, ..Settings::default() });
    let registration = Address::Registration(Key(4));
    let message = parse(request("OPTIONS", "sip:b@d", "<sip:b@d>", "").as_bytes());
    let letter = Letter::SipOut(Box::new(SipOut { message, flow: flow(), key: Key(4) }));
    assert_eq!(bench.run(Envelope::new(registration, me(), letter)).0.len(), 1);
    let branch = format!("z9hG4bK{}1", bench.token(registration));
    let text = response("200 OK", "OPTIONS").replace("z9hG4bKa", &branch);
    assert_eq!(bench.receive(text).outcome(), "registration");
}

#[test]
fn nothing_internal_is_said() {
    let secret = ["balancer", "tandem", "Tandem", "127.0.0.1", "registration"];
    let mut bench = Bench::new(Settings::default());
    for text in [
        request("OPTIONS", "sip:198.51.100.1", "<sip:198.51.100.1>", ""),
        request("BYE", "sip:b@d", "<sip:b@d>;tag=t", ""),
        request("INVITE", "sip:b@d", "<sip:b@d>", "Content-Length: 5\r\n"),
        request("INVITE", "sip:b@d", "<sip:b@d>", "Max-Breadth: 0\r\n"),
    ] {
        let (reply, _) = bench.receive(text).reply();
        let reply = reply.to_string();
        assert!(secret.iter().all(|word| !reply.contains(word)), "S27\n{reply}");
    }
}

fn traced(mail: &[Envelope]) -> Vec<(Key, bool)> {
    let traced = mail.iter().filter_map(|mail| match &mail.letter {
        Letter::Traced(traced) => Some((traced.key, traced.inbound)),
        _ => None,
    });
    traced.collect()
}

fn response(line: &str, method: &str) -> String {
    format!(
        "SIP/2.0 {line}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@d>;tag=f\r\nTo: <sip:b@d>;tag=t\r\n\
         Call-ID: c1@x\r\nCSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}
