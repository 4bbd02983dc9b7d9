use super::*;

#[test]
fn plain_and_spread_out() {
    let via = parse_via(b"SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1").unwrap();
    assert_eq!((via.transport, via.port), ("UDP", Some(5060)));
    assert_eq!(via.host, Host::V4("10.0.0.1".parse().unwrap()));
    assert_eq!(via.branch(), Some(&b"z9hG4bK1"[..]));
    assert!(via.wants_rport());
    assert_eq!(via.rport(), None);
    assert_eq!(via.sent_by(), b"10.0.0.1:5060");

    let spread = parse_via(b"SIP  / 2.0\r\n /  UDP first.example.com : 4000\r\n ;ttl=16 ; branch =\r\n z9").unwrap();
    assert_eq!((spread.transport, spread.host, spread.port), ("UDP", Host::Name("first.example.com"), Some(4000)));
    assert_eq!(spread.branch(), Some(&b"z9"[..]));
}

#[test]
fn received_with_and_without_brackets() {
    for text in ["received=2001:db8::9:255", "received=[2001:db8::9:255]"] {
        let text = format!("SIP/2.0/UDP [2001:db8::9:1];{text};branch=z9");
        let via = parse_via(text.as_bytes()).unwrap();
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
        assert_eq!(via.branch(), Some(&b"z9"[..]));
    }
    assert_eq!(parse_via(b"SIP/2.0/UDP a;received=b;rport=70000").unwrap().received(), None);
    assert_eq!(parse_via(b"SIP/2.0/UDP a;rport=5061").unwrap().rport(), Some(5061));
}

#[test]
fn refused() {
    for text in [
        "",
        "SIP",
        "SIP/2.0",
        "SIP/2.0/",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0/UDP ;x",
        "SIP/3.0/UDP a",
        "HTTP/2.0/UDP a",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP a:",
        "SIP/2.0/UDP a:x",
        "SIP/2.0/UDP a:65536",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDPa;x",
        "SIP/2.0/UDP 2001:db8::1",
        "SIP/2.0/UDP a;x=\"open",
        "SIP/2.0/U\u{e9}P a",
    ] {
        assert!(parse_via(text.as_bytes()).is_err(), "{text:?}");
    }
}
