use super::*;
use proptest::prelude::*;

#[test]
fn hosts() {
    let rows = [
        ("example.com", Some(Host::Name("example.com"))),
        ("192.0.2.1", Some(Host::V4(Ipv4Addr::new(192, 0, 2, 1)))),
        ("192.0.2.256", Some(Host::Name("192.0.2.256"))),
        ("192.0.2.01", Some(Host::Name("192.0.2.01"))),
        ("192.0.2", Some(Host::Name("192.0.2"))),
        ("192.0.2.1.", Some(Host::Name("192.0.2.1."))),
        ("[2001:db8::1]", Some(Host::V6("2001:db8::1".parse().unwrap()))),
        ("a_b", Some(Host::Name("a_b"))),
        ("", None),
        ("[]", None),
        ("[::1", None),
        ("2001:db8::1", None),
        ("a b", None),
        ("a/b", None),
        ("\u{e4}", None),
    ];
    for (text, expected) in rows {
        assert_eq!(Host::parse(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn ports() {
    let rows = [
        ("a:1", Some((Host::Name("a"), Some(1)))),
        ("a : 65535", Some((Host::Name("a"), Some(65535)))),
        ("[::1]", Some((Host::V6(Ipv6Addr::LOCALHOST), None))),
        ("[::1]:5060", Some((Host::V6(Ipv6Addr::LOCALHOST), Some(5060)))),
        ("a:", None),
        ("a:65536", None),
        ("a:-1", None),
        ("[::1]5060", None),
        ("[::1:5060", None),
        (":5060", None),
    ];
    for (text, expected) in rows {
        assert_eq!(host_port(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn sameness() {
    let host = |text: &'static str| Host::parse(text.as_bytes()).unwrap();
    assert!(host("EXAMPLE.com.").equals(&host("example.com")));
    assert!(host("[2001:db8::1]").equals(&host("[2001:0db8::1]")));
    assert!(!host("192.0.2.1").equals(&host("192.0.2.2")));
    assert!(!host("192.0.2.1").equals(&host("[::ffff:192.0.2.1]")));
    assert_eq!(host("[::ffff:192.0.2.1]").ip(), Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))));
}

proptest! {
    #[test]
    fn addresses_read_as_the_standard_library_reads_them(text in "[0-9.]{1,16}", octets: [u8; 4]) {
        prop_assert_eq!(v4(text.as_bytes()), text.parse().ok());
        let address = Ipv4Addr::from(octets);
        prop_assert_eq!(v4(address.to_string().as_bytes()), Some(address));
    }
}
