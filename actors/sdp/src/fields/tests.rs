use super::*;

#[test]
fn origins() {
    let rows: &[(&str, Option<(&str, &str, &str, Host<'_>)>)] = &[
        ("- 1 2 IN IP4 192.0.2.1", Some(("-", "1", "2", Host::Ip("192.0.2.1".parse().unwrap())))),
        ("alice 1 2 IN IP6 2001:db8::1", Some(("alice", "1", "2", Host::Ip("2001:db8::1".parse().unwrap())))),
        ("a 1 2 IN IP4 pc.example.test", Some(("a", "1", "2", Host::Name("pc.example.test")))),
        ("a 99999999999999999999999 2 IN IP4 h", Some(("a", "99999999999999999999999", "2", Host::Name("h")))),
        ("a 1 2 IN IP4 999.1.1.1", Some(("a", "1", "2", Host::Name("999.1.1.1")))),
        ("a  1  2  IN  IP4  h ", Some(("a", "1", "2", Host::Name("h")))),
        ("a 1 2 IN IP4", None),
        ("a 1 2 IN IP4 h x", None),
        ("a x 2 IN IP4 h", None),
        ("a 1 -2 IN IP4 h", None),
        ("a 1 2 ATM NSAP h", None),
        ("", None),
    ];
    for (text, expected) in rows {
        let found = Origin::parse(text.as_bytes()).map(|o| (o.username, o.session_id, o.version, o.host));
        assert_eq!(found, *expected, "{text}");
    }
}

#[test]
fn connections() {
    let rows: &[(&str, Option<(Host<'_>, &str)>)] = &[
        ("IN IP4 192.0.2.1", Some((Host::Ip("192.0.2.1".parse().unwrap()), ""))),
        ("IN IP4 224.2.1.1/127/3", Some((Host::Ip("224.2.1.1".parse().unwrap()), "127/3"))),
        ("IN IP6 ::", Some((Host::Ip("::".parse().unwrap()), ""))),
        ("IN IP4 media.example.test", Some((Host::Name("media.example.test"), ""))),
        ("IN IP4 1.2.3", None),
        ("IN IP4 1.2.3.4/x", None),
        ("IN IP6 1.2.3.4", None),
        ("IN IP5 1.2.3.4", None),
        ("IN IP4", None),
        ("XX IP4 1.2.3.4", None),
        ("IN IP4 1.2.3.4 5", None),
        ("IN IP4 a@b", None),
    ];
    for (text, expected) in rows {
        let found = Connection::parse(text.as_bytes()).map(|connection| (connection.host, connection.suffix));
        assert_eq!(found, *expected, "{text}");
    }
    assert!(Connection::parse(b"IN IP4 0.0.0.0").unwrap().is_unspecified());
    assert!(Connection::parse(b"IN IP6 ::").unwrap().is_unspecified());
    assert!(!Connection::parse(b"IN IP4 0.0.0.1").unwrap().is_unspecified());
}

#[test]
fn directions_meet_as_rfc_3264_6_1_says() {
    use Direction::*;
    // ours, theirs (as they wrote it), what flows (seen by us)
    let rows = [
        (SendRecv, SendRecv, SendRecv),
        (SendRecv, SendOnly, RecvOnly),
        (SendRecv, RecvOnly, SendOnly),
        (SendRecv, Inactive, Inactive),
        (SendOnly, RecvOnly, SendOnly),
        (SendOnly, SendOnly, Inactive),
        (RecvOnly, SendRecv, RecvOnly),
        (Inactive, SendRecv, Inactive),
    ];
    for (ours, theirs, expected) in rows {
        assert_eq!(ours.meet(theirs), expected, "{ours:?} {theirs:?}");
        assert_eq!(theirs.meet(ours), expected.reversed());
    }
}
