use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn classes_of_addresses() {
    use Class::*;
    let rows = [
        ("192.0.2.1", Public),
        ("8.8.8.8", Public),
        ("172.15.0.1", Public),
        ("172.32.0.1", Public),
        ("100.63.0.1", Public),
        ("100.128.0.1", Public),
        ("10.0.0.1", Internal),
        ("172.16.0.1", Internal),
        ("172.31.255.255", Internal),
        ("192.168.1.1", Internal),
        ("127.0.0.1", Internal),
        ("169.254.169.254", Internal),
        ("100.64.0.1", Internal),
        ("0.0.0.0", Unspecified),
        ("0.0.0.1", Reserved),
        ("240.0.0.1", Reserved),
        ("255.255.255.255", Reserved),
        ("224.0.0.1", Multicast),
        ("239.255.255.255", Multicast),
        ("2001:db8::1", Public),
        ("::", Unspecified),
        ("::1", Internal),
        ("::2", Reserved),
        ("fe80::1", Internal),
        ("fec0::1", Internal),
        ("fd00::1", Internal),
        ("ff02::1", Multicast),
        ("::ffff:10.0.0.1", Internal),
        ("::ffff:192.0.2.1", Public),
        ("::ffff:224.0.0.1", Multicast),
        ("64:ff9b::10.0.0.1", Internal),
        ("64:ff9b::192.0.2.1", Public),
        ("2002:a00:1::1", Internal),
        ("2002:c000:201::1", Public),
    ];
    for (address, expected) in rows {
        assert_eq!(class(ip(address)), expected, "{address}");
    }
}

#[test]
fn what_a_description_may_ask_for() {
    use Verdict::*;
    let rows: &[(&str, Verdict)] = &[
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0", Safe),
        ("c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0", Safe),
        ("c=IN IP4 10.1.1.1|m=audio 4000 RTP/AVP 0", Internal(ip("10.1.1.1"))),
        ("c=IN IP4 10.2.1.1|m=audio 4000 RTP/AVP 0", Safe), // a believed network
        ("c=IN IP4 127.0.0.7|m=audio 4000 RTP/AVP 0", Safe), // where its signalling comes from
        ("c=IN IP6 ::ffff:127.0.0.7|m=audio 4000 RTP/AVP 0", Safe),
        ("c=IN IP4 127.0.0.8|m=audio 4000 RTP/AVP 0", Internal(ip("127.0.0.8"))),
        ("c=IN IP4 10.1.1.1|m=audio 4000 RTP/AVP 0|c=IN IP4 192.0.2.1", Safe),
        ("c=IN IP4 10.1.1.1|m=audio 0 RTP/AVP 0", Safe),
        ("c=IN IP4 224.0.0.5|m=audio 4000 RTP/AVP 0", Forbidden(Danger::Multicast(ip("224.0.0.5")))),
        ("c=IN IP4 255.255.255.255|m=audio 4000 RTP/AVP 0", Forbidden(Danger::Broadcast(ip("255.255.255.255")))),
        ("c=IN IP4 media.example.test|m=audio 4000 RTP/AVP 0", Forbidden(Danger::Name)),
        ("m=audio 4000 RTP/AVP 0", Forbidden(Danger::NoAddress)),
        ("c=IN IP4 192.0.2.1|m=audio 53 RTP/AVP 0", Forbidden(Danger::Port(53))),
        ("c=IN IP4 192.0.2.1|m=audio 1023 RTP/AVP 0", Forbidden(Danger::Port(1023))),
        ("c=IN IP4 192.0.2.1|m=audio 9 RTP/AVP 0", Safe),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=rtcp:4001", Safe),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=rtcp:53", Forbidden(Danger::Port(53))),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=rtcp:4001 IN IP4 10.1.1.1", Internal(ip("10.1.1.1"))),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=rtcp:4001 IN IP4 evil.test", Forbidden(Danger::Name)),
        (
            "c=IN IP4 10.1.1.1|m=audio 4000 RTP/AVP 0|m=video 4002 RTP/AVP 31|c=IN IP4 224.0.0.5",
            Forbidden(Danger::Multicast(ip("224.0.0.5"))),
        ),
    ];
    let believed = ["10.2.0.0/16".parse().unwrap()];
    let rules = Rules { believed: &believed, source: Some(ip("127.0.0.7")) };
    for (lines, expected) in rows {
        let text = format!("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n{}", lines.replace('|', "\r\n"));
        assert_eq!(judge(&Session::parse(text.as_bytes()).unwrap(), &rules), *expected, "{lines}");
    }
}

#[test]
fn candidates_of_internal_places_are_taken_out() {
    let candidates = [
        ("1 1 udp 1 192.0.2.1 4000 typ host", true),
        ("1 1 udp 1 2001:db8::1 4000 typ host", true),
        ("1 1 udp 1 10.1.1.1 4000 typ host", false),
        ("1 1 udp 1 0.0.0.0 4000 typ host", false),
        ("1 1 udp 1 224.0.0.1 4000 typ host", false),
        ("1 1 udp 1 b1c2.local 4000 typ host", false),
        ("1 1 udp", false),
        ("1 1 udp 1 203.0.113.9 9 typ srflx raddr 10.1.1.1 rport 9", true),
    ];
    for (candidate, kept) in candidates {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\na=candidate:{candidate}\r\n"
        );
        let mut session = Session::parse(text.as_bytes()).unwrap();
        assert_eq!(!strip_candidates(&mut session, &Rules::default()), kept, "{candidate}");
        assert_eq!(session.media[0].attribute("candidate").is_some(), kept);
    }
}

#[test]
fn networks() {
    let rows = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.7", "10.0.0.7", true),
        ("10.0.0.7", "10.0.0.6", false),
        ("0.0.0.0/0", "255.1.2.3", true),
        ("::/0", "1.2.3.4", false),
        ("::/0", "2001:db8::1", true),
        ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fe00::1", false),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true),
    ];
    for (network, address, expected) in rows {
        assert_eq!(network.parse::<Network>().unwrap().contains(ip(address)), expected, "{network} {address}");
    }
    for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/x", "10.0.0.0/-1"] {
        assert!(wrong.parse::<Network>().is_err(), "{wrong}");
    }
    assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
}
