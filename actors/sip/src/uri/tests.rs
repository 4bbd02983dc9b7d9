use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn parts() {
    let full = uri("sips:alice:secret@[2001:db8::10]:5070;transport=tcp;lr?Subject=hi&X=1");
    assert_eq!(full.scheme, Scheme::Sips);
    assert_eq!((full.user, full.password), (&b"alice"[..], Some(&b"secret"[..])));
    assert_eq!(full.host, Host::V6("2001:db8::10".parse::<Ipv6Addr>().unwrap()));
    assert_eq!(full.port, Some(5070));
    assert_eq!(full.transport(), Some("tcp"));
    assert_eq!(full.param("LR"), Some(&b""[..]));
    assert_eq!(full.raw_params(), b"transport=tcp;lr");
    assert!(full.has_headers());
    assert_eq!(full.headers().collect::<Vec<_>>(), [(&b"Subject"[..], &b"hi"[..]), (b"X", b"1")]);
    assert_eq!(full.to_string(), "sips:alice:secret@[2001:db8::10]:5070;transport=tcp;lr?Subject=hi&X=1");

    assert_eq!(uri("sip:192.0.2.1").host, Host::V4(Ipv4Addr::new(192, 0, 2, 1)));
    assert_eq!(uri("SIP:example.com").user, b"");
    assert_eq!(uri("sip:example.com?Subject=a@b").user, b"example.com?Subject=a");
    assert_eq!(uri("sip:a@b.example?Replaces=x@y").raw_headers(), Some(&b"Replaces=x@y"[..]));
    assert_eq!(uri("sip:user;par=u%40example.net@example.com").user, b"user;par=u%40example.net");
    assert_eq!(&*uri("sip:null-%00-null@example.com").user_decoded(), b"null-\0-null");
    assert_eq!(uri("sip:*21*123#@example.com").user, b"*21*123#");
}

#[test]
fn telephone_numbers_and_other_schemes() {
    let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!((tel.scheme, tel.user), (Scheme::Tel, &b"+1-201-555-0123"[..]));
    assert_eq!(tel.number(), b"+12015550123");
    assert_eq!(tel.param("phone-context"), Some(&b"example.com"[..]));
    assert_eq!(uri("sip:+1(201)555-0123;isub=1@example.com;user=phone").number(), b"+12015550123");
    assert_eq!(uri("urn:service:sos").scheme, Scheme::Other("urn"));
    assert_eq!(uri("soap.beep://192.0.2.103:3002").user, b"//192.0.2.103:3002");
}

#[test]
fn refused() {
    for text in [
        "",
        "sip",
        "sip:",
        ":",
        "sip:@example.com",
        "sip:a@",
        "sip:a@b@c",
        "sip:a@b;x=@c",
        "sip:a b@c",
        "<sip:a@b>",
        "sip:a@b>",
        "sip:\"a\"@b",
        "sip:a@b:x",
        "sip:a@b:65536",
        "sip:a@[::1",
        "sip:a@2001:db8::1",
        "sip:a@[::g]",
        "sip:2001:db8::10",
        "sip:user@[2001:db8:::192.0.2.1]",
        "sip::pw@b",
        "tel:",
        "tel:abcxyz",
        "1a:b",
        "isbn:",
        "sip:a@b\r\n",
        "sip:a\0@b",
        "sip:a@b\u{7f}",
        "sip:a@[fe80::1%25eth0]",
        "sip:a@b/c",
    ] {
        assert!(Uri::parse(text.as_bytes()).is_err(), "{text:?}");
    }
}

/// RFC 3261 19.1.4.
#[test]
fn equivalence() {
    let same = [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@b;x=1;x=2", "sip:a@b;x=1;x=2"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:0db8:0::1]"),
    ];
    let different = [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b", "sips:a@b"),
        ("sip:%00@b", "sip:%00%00@b"),
        ("sip:a@b", "sip:a:pw@b"),
        ("tel:123;phone-context=a", "tel:123;phone-context=b"),
    ];
    for (a, b) in same {
        assert!(uri(a).equals(&uri(b)) && uri(b).equals(&uri(a)), "{a} {b}");
    }
    for (a, b) in different {
        assert!(!uri(a).equals(&uri(b)) && !uri(b).equals(&uri(a)), "{a} {b}");
    }
}

#[test]
fn a_laden_uri_equals_only_itself() {
    let many = |value: u8| format!("sip:a@b{}", format!(";p={value}").repeat(3_000));
    assert!(uri(&many(1)).equals(&uri(&many(1))));
    assert!(!uri(&many(1)).equals(&uri(&many(2))));
    assert!(!uri(&many(1)).equals(&uri("sip:a@b;p=1")));
}
