//! Requests: where they go, and what goes no further.

use super::*;

#[test]
fn a_balancer_with_a_zone_keeps_to_its_slots() {
    let zone = fabric::Zone::new(2, 3);
    let bench = Bench::new(Settings { zone, ..Settings::default() });
    let call = Address::Call(zone.place(bench.home.keys.call(b"c1@x", b"f")));
    let registration = Address::Registration(zone.place(bench.home.keys.registration(b"c1@x")));
    assert!([call, registration].iter().all(|address| address.slot().is_some_and(|slot| slot % 3 == 1)));
    for (message, expected) in [
        (request("INVITE", "sip:b@d", "<sip:b@d>", ""), call),
        (request("CANCEL", "sip:b@d", "<sip:b@d>", ""), call),
        (request("ACK", "sip:b@d", "<sip:b@d>;tag=t", ""), call),
        (request("REGISTER", "sip:d", "<sip:b@d>", ""), registration),
    ] {
        let mut bench = Bench::new(Settings { zone, ..Settings::default() });
        assert_eq!(bench.receive(message.clone()).sip_in().0, expected, "{message}");
    }
}

#[test]
fn where_requests_go() {
    let bench = Bench::new(Settings::default());
    let call = Address::Call(bench.home.keys.call(b"c1@x", b"f"));
    let other = Address::Call(Key(77));
    let leg = bench.token(other);
    let contact = format!("sip:{leg}@198.51.100.1:5060");
    let route = format!("Route: <sip:{leg}@198.51.100.1:5060;lr>\r\n");
    let registration = Address::Registration(bench.home.keys.registration(b"c1@x"));
    let tagged = "<sip:b@d>;tag=t";
    let rows: [(&str, String, Result<Address, &str>); 24] = [
        ("INVITE", request("INVITE", "sip:b@d", "<sip:b@d>", ""), Ok(call)),
        ("its CANCEL", request("CANCEL", "sip:b@d", "<sip:b@d>", ""), Ok(call)),
        ("its ACK to a refusal", request("ACK", "sip:b@d", tagged, ""), Ok(call)),
        ("OPTIONS to a user", request("OPTIONS", "sip:b@d", "<sip:b@d>", ""), Ok(call)),
        ("MESSAGE", request("MESSAGE", "sip:b@d", "<sip:b@d>", ""), Ok(call)),
        ("a method nobody knows", request("JUMP", "sip:b@d", "<sip:b@d>", ""), Ok(call)),
        ("a telephone number", request("INVITE", "tel:+431", "<sip:b@d>", ""), Ok(call)),
        ("an emergency", request("INVITE", "urn:service:sos", "<urn:service:sos>", ""), Ok(call)),
        ("REGISTER", request("REGISTER", "sip:d", "<sip:b@d>", ""), Ok(registration)),
        ("REGISTER with a To tag", request("REGISTER", "sip:d", tagged, ""), Ok(registration)),
        ("BYE to our Contact", request("BYE", &contact, tagged, ""), Ok(other)),
        ("BYE by Route", request("BYE", "sip:b@d", tagged, &route), Ok(other)),
        ("ACK to our Contact", request("ACK", &contact, tagged, ""), Ok(other)),
        ("CANCEL of a re-INVITE", request("CANCEL", &contact, "<sip:b@d>", ""), Ok(other)),
        ("our token without a To tag", request("INVITE", &contact, "<sip:b@d>", ""), Ok(call)),
        ("BYE without a token", request("BYE", "sip:b@198.51.100.1", tagged, ""), Err("481")),
        ("BYE with a forged token", request("BYE", &contact.replace(&leg[..8], "AAAAAAAA"), tagged, ""), Err("481")),
        ("BYE with a longer token", request("BYE", &contact.replace('@', "x@"), tagged, ""), Err("481")),
        ("OPTIONS to the switch", request("OPTIONS", "sip:198.51.100.1", "<sip:198.51.100.1>", ""), Err("200")),
        ("OPTIONS to a domain", request("OPTIONS", "sip:d", "<sip:d>", ""), Err("200")),
        ("OPTIONS to another address", request("OPTIONS", "sip:203.0.113.1", "<sip:203.0.113.1>", ""), Ok(call)),
        (
            "no hops left",
            request("INVITE", "sip:b@d", "<sip:b@d>", "").replace("Forwards: 70", "Forwards: 0"),
            Err("483"),
        ),
        ("ACK without hops", request("ACK", "sip:b@d", tagged, "").replace("Forwards: 70", "Forwards: 0"), Err("drop")),
        (
            "no Max-Forwards",
            request("INVITE", "sip:b@d", "<sip:b@d>", "").replace("Max-Forwards: 70\r\n", ""),
            Ok(call),
        ),
    ];
    for (what, text, expected) in rows {
        let out = Bench::new(Settings::default()).receive(text);
        match expected {
            Ok(address) => assert_eq!(out.sip_in().0, address, "{what}"),
            Err(outcome) => assert_eq!(out.outcome(), outcome, "{what}"),
        }
    }
}

#[test]
fn a_token_tells_which_leg() {
    let mut bench = Bench::new(Settings::default());
    let contact = format!("sip:{}@198.51.100.1", bench.token(Address::Call(Key(77))));
    let (_, sip) = bench.receive(request("BYE", &contact, "<sip:b@d>;tag=t", "")).sip_in();
    let token = sip.token.expect("a token");
    assert_eq!((token.to, token.leg), (Address::Call(Key(77)), 1));
    assert_eq!(sip.source, flow());
}

#[test]
fn requests_that_have_been_here() {
    let mut bench = Bench::new(Settings::default());
    let ours =
        format!("Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK{}7;rport\r\n", bench.token(Address::Call(Key(1))));
    for (what, fields, outcome) in [
        ("our Via", ours.clone(), "482"),
        ("our Via among others", format!("Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx\r\n{ours}"), "482"),
        ("our Via in a list", format!("{}, SIP/2.0/UDP h;branch=z9hG4bKy\r\n", ours.trim_end()), "482"),
        ("a forged Via", ours.replace("z9hG4bK", "z9hG4bKAAAA"), "call"),
    ] {
        let text = request("INVITE", "sip:b@d", "<sip:b@d>", &fields);
        assert_eq!(bench.receive(text).outcome(), outcome, "{what}");
    }
}

#[test]
fn breadth_extensions_and_routes() {
    for (fields, outcome) in [
        ("Max-Breadth: 60\r\n", "call"),
        ("Max-Breadth: 0\r\n", "440"),
        ("Proxy-Require: path\r\n", "call"),
        ("Proxy-Require: foo\r\n", "420"),
        ("Require: foo\r\n", "call"),
        ("Route: <sip:198.51.100.1;lr>\r\n", "call"),
        ("Route: <sip:proxy.example.com;lr>\r\n", "call"),
        ("Route: <sip:proxy.example.com;lr>, <sip:198.51.100.1:5061;lr>\r\n", "call"),
        ("Route: <sip:proxy.example.com;lr>, <sip:switch.example.com;lr>\r\n", "call"),
        ("Route: <sip:198.51.100.1;lr>, <sip:203.0.113.5;lr>\r\n", "403"),
        ("Route: <sip:198.51.100.1;lr>\r\nRoute: <sip:victim.example;lr>\r\n", "403"),
    ] {
        let settings = Settings { hosts: vec!["switch.example.com".into()], ..Settings::default() };
        let text = request("INVITE", "sip:b@d", "<sip:b@d>", fields);
        assert_eq!(Bench::new(settings).receive(text).outcome(), outcome, "{fields}");
    }
    let text = request("INVITE", "sip:b@d", "<sip:b@d>", "Route: <sip:198.51.100.1;lr>, <sip:203.0.113.5;lr>\r\n");
    assert_eq!(Bench::new(trusting()).receive(text).outcome(), "call", "a trusted neighbour may");
    let (reply, _) = Bench::new(Settings::default())
        .receive(request("INVITE", "sip:b@d", "<sip:b@d>", "Proxy-Require: foo, bar\r\n"))
        .reply();
    assert_eq!(header(&reply, Name::Unsupported), "foo, bar");
}

#[test]
fn unwanted_agents() {
    let rules = Settings { drop_user_agents: vec!["friendly-scanner".into(), "".into()], ..Settings::default() };
    let from =
        |agent: &str| request("OPTIONS", "sip:198.51.100.1", "<sip:198.51.100.1>", &format!("User-Agent: {agent}\r\n"));
    assert_eq!(Bench::new(rules.clone()).receive(from("Friendly-Scanner 1.0")).outcome(), "drop");
    assert_eq!(Bench::new(rules.clone()).receive(from("a friend")).outcome(), "200");
    assert_eq!(Bench::new(rules).receive(request("OPTIONS", "sip:d", "<sip:d>", "")).outcome(), "200");
    assert_eq!(Bench::new(Settings::default()).receive(from("friendly-scanner")).outcome(), "200", "off by default");
}

#[test]
fn options_to_the_switch_show_no_product() {
    let pad = format!("X-Pad: {}\r\n", "x".repeat(100));
    let text = request("OPTIONS", "sip:198.51.100.1", "<sip:198.51.100.1>", &pad);
    let mut bench = Bench::new(Settings::default());
    let (reply, to) = bench.receive(text.clone()).reply();
    assert_eq!(to, flow());
    assert!(header(&reply, Name::Allow).contains("INVITE") && header(&reply, Name::Accept) == "application/sdp");
    for name in [Name::Server, Name::UserAgent, Name::Organization] {
        assert!(!reply.view().has(name));
    }
    assert!(header(&reply, Name::Via).ends_with(";received=192.0.2.9;rport=4711"));
    let (again, _) = bench.receive(text).reply();
    assert_eq!(reply, again, "stateless, and the same for a retransmission");
}

#[test]
fn stateless_answers_and_their_ack() {
    let mut bench = Bench::new(Settings::default());
    let invite = request("INVITE", "sip:b@d", "<sip:b@d>", "Proxy-Require: foo\r\n");
    let (reply, _) = bench.receive(invite.clone()).reply();
    let to = header(&reply, Name::To);
    assert!(to.starts_with("<sip:b@d>;tag=s") && to.len() == "<sip:b@d>;tag=".len() + 17, "{to}");
    assert_eq!(bench.receive(invite).reply().0, reply, "RFC 3261 8.2.7: the same tag each time");
    bench.receive(request("ACK", "sip:b@d", &to, "")).none();
    let call = Address::Call(bench.home.keys.call(b"c1@x", b"f"));
    let other = request("ACK", "sip:b@d", &to, "").replace("z9hG4bKabc", "z9hG4bKabd");
    assert_eq!(bench.receive(other).sip_in().0, call, "of another INVITE");
    let other = request("ACK", "sip:b@d", "<sip:b@d>;tag=s0123456789abcdef", "");
    assert_eq!(bench.receive(other).sip_in().0, call, "of an answer that was not ours");
}

#[test]
fn answers_are_not_larger_than_one_and_a_half_requests() {
    for text in [
        request("OPTIONS", "sip:198.51.100.1", "<sip:198.51.100.1>", ""),
        request("BYE", "sip:b@d", "<sip:b@d>;tag=t", ""),
        request("INVITE", "sip:b@d", "<sip:b@d>", "Proxy-Require: foo\r\n"),
        request("INVITE", "sip:b@d", "<sip:b@d>", "Content-Length: 5\r\n"),
    ] {
        let (reply, _) = Bench::new(Settings::default()).receive(text.clone()).reply();
        assert!(reply.bytes().len() * 2 <= text.len() * 3, "S10: {} for {}\n{reply}", reply.bytes().len(), text.len());
    }
}

#[test]
fn noise_is_ignored() {
    for bytes in [
        &b""[..],
        b"\r\n",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"hello",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 40],
        b"SIP/2.0",
        b"INVITE",
    ] {
        let mut bench = Bench::new(Settings::default());
        bench.receive(bytes.to_vec()).none();
    }
    // Nothing is answered that has no way back.
    let text = request("INVITE", "sip:b@d", "<sip:b@d>", "")
        .replace("Via: SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKabc;rport\r\n", "");
    Bench::new(Settings::default()).receive(text).none();
}

#[test]
fn limits_of_a_message() {
    let text = request("INVITE", "sip:b@d", "<sip:b@d>", &"X-Pad: 0123456789\r\n".repeat(40));
    for (what, settings, outcome) in [
        ("as it is", Settings::default(), "call"),
        ("too large", Settings { message_bytes_max: 500, ..Settings::default() }, "drop"),
        ("too many headers", Settings { headers_max: 30, ..Settings::default() }, "drop"),
        ("a line too long", Settings { line_bytes_max: 40, ..Settings::default() }, "drop"),
    ] {
        assert_eq!(Bench::new(settings).receive(text.clone()).outcome(), outcome, "{what}");
    }
    // At the limit: the stamp makes it longer than a peer may be, and it still goes on.
    let exact = Settings { message_bytes_max: text.len() as u32, headers_max: 48, ..Settings::default() };
    assert_eq!(Bench::new(exact).receive(text).outcome(), "call");
}

#[test]
fn stamps_and_nat() {
    let via = "SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKabc;rport";
    let (contact, behind) = ("<sip:a@192.0.2.9:4711>", "<sip:a@10.0.0.5:5060>");
    let rows: [(&str, &str, &str, Flow, &str, bool); 10] = [
        (
            "rport asked",
            via,
            contact,
            flow(),
            "SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKabc;received=192.0.2.9;rport=4711",
            false,
        ),
        (
            "rport not asked",
            "SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKabc",
            contact,
            flow(),
            "SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKabc",
            false,
        ),
        (
            "behind a NAT",
            "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKabc",
            behind,
            flow(),
            "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKabc;received=192.0.2.9;rport=4711",
            true,
        ),
        (
            "only its Contact",
            via,
            behind,
            flow(),
            "SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKabc;received=192.0.2.9;rport=4711",
            true,
        ),
        (
            "another port",
            "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKabc",
            contact,
            flow(),
            "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKabc",
            true,
        ),
        (
            "a name",
            "SIP/2.0/UDP host.example;branch=z9hG4bKabc",
            "<sip:a@host.example>",
            flow(),
            "SIP/2.0/UDP host.example;branch=z9hG4bKabc;received=192.0.2.9;rport=4711",
            false,
        ),
        (
            "forged received",
            "SIP/2.0/UDP 192.0.2.9:4711;received=203.0.113.1;branch=z9hG4bKabc",
            contact,
            flow(),
            "SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKabc",
            false,
        ),
        (
            "forged rport",
            "SIP/2.0/UDP 192.0.2.9:4711;rport=1;branch=z9hG4bKabc",
            contact,
            flow(),
            "SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKabc;received=192.0.2.9;rport=4711",
            false,
        ),
        (
            "TCP from another port",
            "SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bKabc",
            "<sip:a@192.0.2.9:5060>",
            tcp(),
            "SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bKabc",
            false,
        ),
        (
            "a browser",
            "SIP/2.0/WS x7.invalid;branch=z9hG4bKabc",
            "<sip:a@x7.invalid;transport=ws>",
            Flow { transport: Transport::Ws, ..tcp() },
            "SIP/2.0/WS x7.invalid;branch=z9hG4bKabc;received=192.0.2.9",
            true,
        ),
    ];
    for (what, top, contact, flow, stamped, nat) in rows {
        let text = request("REGISTER", "sip:d", "<sip:a@d>", &format!("Contact: {contact}\r\n")).replace(via, top);
        let (_, sip) = Bench::new(Settings::default()).receive_over(flow, text).sip_in();
        assert_eq!(header(&sip.message, Name::Via), stamped, "{what}");
        assert_eq!(sip.nat, nat, "{what}");
    }
}

#[test]
fn an_unchanged_message_keeps_its_bytes() {
    let text = request("INVITE", "sip:b@d", "<sip:b@d>", "X-Odd:   as  it is \r\n").replace(";rport", "");
    let bytes = Bytes::from(text);
    let (_, sip) = Bench::new(Settings::default()).receive(bytes.clone()).sip_in();
    assert_eq!(sip.message.bytes().as_ptr(), bytes.as_ptr(), "not even copied");
}

#[test]
fn path_of_a_registration() {
    for (flow, end) in [(flow(), "@198.51.100.1:5060;lr;ob>"), (tcp(), "@198.51.100.1:5060;transport=tcp;lr;ob>")] {
        let mut bench = Bench::new(Settings::default());
        let (_, sip) = bench.receive_over(flow, request("REGISTER", "sip:d", "<sip:a@d>", "")).sip_in();
        let path = sip.path.expect("a Path");
        let token = path.strip_prefix("<sip:").and_then(|rest| rest.strip_suffix(end)).expect("a flow token");
        assert_eq!(bench.home.tokens.open_flow(token.as_bytes()), Some(flow));
        let (_, sip) = bench.receive_over(flow, request("INVITE", "sip:d", "<sip:a@d>", "")).sip_in();
        assert_eq!(sip.path, None);
    }
}

fn trusting() -> Settings {
    Settings { trusted: vec!["192.0.2.0/24".parse().expect("a network")], ..Settings::default() }
}
