use crate::{ErrorKind, Limits, Name, Status, View};

const GOOD: &str = "INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1
Max-Forwards: 70
From: <sip:a@example.com>;tag=1
To: <sip:bob@example.com>
Call-ID: x
CSeq: 1 INVITE
Contact: <sip:a@10.0.0.1>
Content-Length: 0

";

fn judge(text: &str) -> Result<(), ErrorKind> {
    let bytes = text.replace('\n', "\r\n").into_bytes();
    View::parse(&bytes, &Limits::default()).and_then(|view| view.check()).map_err(|error| error.kind)
}

fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

#[test]
fn accepted() {
    assert_eq!(judge(GOOD), Ok(()));
    for (from, to) in [
        ("sip:bob@example.com SIP", "tel:+431234 SIP"),
        ("sip:bob@example.com SIP", "urn:service:sos SIP"),
        ("sip:bob@example.com SIP", "sips:bob@[2001:db8::1]:5061;lr SIP"),
        ("Max-Forwards: 70\n", ""),
        ("Max-Forwards: 70", "Max-Forwards: 0"),
        ("From: <sip:a@example.com>;tag=1", "From: \"A, B\" <sip:a@example.com>;tag=1"),
        ("From: <sip:a@example.com>;tag=1", "From: M\u{fc}ller <sip:a@example.com>;tag=1"),
        ("From: <sip:a@example.com>;tag=1", "From: anonymous <sip:anonymous@anonymous.invalid>"),
        ("From: <sip:a@example.com>;tag=1", "From: Bob (Sales) @ home: <sip:a@example.com>;tag=1"),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1; "),
        ("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;"),
        ("To: <sip:bob@example.com>", "To: isbn:2983792873"),
        ("Contact: <sip:a@10.0.0.1>", "Contact: *"),
        ("Contact: <sip:a@10.0.0.1>", "Contact: <sip:a@10.0.0.1?X=y>, sip:b@c;q=0.1"),
        ("Contact: <sip:a@10.0.0.1>", "Route: <sip:a;lr>,<sip:b;lr>\nRoute: <sip:c;lr>"),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK1;rport"),
        ("Call-ID: x", "Call-ID: x\nDate: nonsense"),
        ("Call-ID: x", "Call-ID: x\nSubject: \"half a quote"),
    ] {
        assert_eq!(judge(&with(from, to)), Ok(()), "{to}");
    }
}

#[test]
fn refused() {
    use ErrorKind::*;
    let rows = [
        ("sip:bob@example.com SIP", "http:bob SIP", Scheme),
        ("sip:bob@example.com SIP", "<sip:bob@example.com> SIP", Syntax),
        ("sip:bob@example.com SIP", "sip:bob@example.com?Route=%3Csip:x%3E SIP", Syntax),
        ("sip:bob@example.com SIP", "sip:bob@example.com@evil SIP", Syntax),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\n", "", Missing),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via:", Syntax),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/UDP 10.0.0.1,", Syntax),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/UDP 10.0.0.1;;branch=1", Syntax),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/UDP 10.0.0.1;a b=c", Syntax),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/UDP 255.255.255.255", Range),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/UDP 224.0.1.75", Range),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/UDP [ff02::1]", Range),
        ("From: <sip:a@example.com>;tag=1\n", "", Missing),
        ("From: <sip:a@example.com>;tag=1", "From: <sip:a@example.com>;tag=1\nf: <sip:evil@x>", Duplicate),
        ("From: <sip:a@example.com>;tag=1", "From: <sip:a@example.com>, <sip:b@c>", Syntax),
        ("From: <sip:a@example.com>;tag=1", "From: A, B <sip:a@example.com>", Syntax),
        ("From: <sip:a@example.com>;tag=1", "From: < sip:a@example.com>", Syntax),
        ("From: <sip:a@example.com>;tag=1", "From: <sip:a@example.com >", Syntax),
        ("From: <sip:a@example.com>;tag=1", "From: sip:a@example.com?Route=x", Syntax),
        ("From: <sip:a@example.com>;tag=1", "From: *", Syntax),
        ("From: <sip:a@example.com>;tag=1", "From: \"A\" \"B\" <sip:a@example.com>", Syntax),
        ("To: <sip:bob@example.com>\n", "", Missing),
        ("To: <sip:bob@example.com>", "To: \"Mr. J. User <sip:j.user@example.com>", Syntax),
        ("To: <sip:bob@example.com>", "To:", Syntax),
        ("Call-ID: x\n", "", Missing),
        ("Call-ID: x", "Call-ID:", Syntax),
        ("Call-ID: x", "Call-ID: x y", Syntax),
        ("Call-ID: x", "Call-ID: x\ni: x", Duplicate),
        ("CSeq: 1 INVITE\n", "", Missing),
        ("CSeq: 1 INVITE", "CSeq: 1 OPTIONS", Mismatch),
        ("CSeq: 1 INVITE", "CSeq: 1 invite", Mismatch),
        ("CSeq: 1 INVITE", "CSeq: 2147483648 INVITE", Range),
        ("CSeq: 1 INVITE", "CSeq: 4294967296 INVITE", Range),
        ("CSeq: 1 INVITE", "CSeq: -1 INVITE", Syntax),
        ("CSeq: 1 INVITE", "CSeq: 1", Syntax),
        ("INVITE sip:", "NEWMETHOD sip:", UnknownMethod),
        ("Max-Forwards: 70", "Max-Forwards: 256", Range),
        ("Max-Forwards: 70", "Max-Forwards: x", Syntax),
        ("Max-Forwards: 70", "Max-Forwards: 70\nMax-Forwards: 70", Duplicate),
        ("Contact: <sip:a@10.0.0.1>", "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E", Syntax),
        ("Contact: <sip:a@10.0.0.1>", "Contact: *, <sip:a@b>", Syntax),
        ("Contact: <sip:a@10.0.0.1>", "Contact: <sip:a@10.0.0.1>;;;;", Syntax),
        ("Contact: <sip:a@10.0.0.1>", "Contact: <sip:a@10.0.0.1>,", Syntax),
        ("Contact: <sip:a@10.0.0.1>", "Contact:", Syntax),
        ("Contact: <sip:a@10.0.0.1>", "Contact: <sip:a@10.0.0.1", Syntax),
        ("Contact: <sip:a@10.0.0.1>", "Route: sip:a;lr", Syntax),
        ("Contact: <sip:a@10.0.0.1>", "Record-Route: <sip:a;lr> <sip:b>", Syntax),
        ("Call-ID: x", "Call-ID: x\nSubject: a\rb", Syntax),
        ("Call-ID: x", "Call-ID: x\nSubject: a\0b", Syntax),
    ];
    for (from, to, kind) in rows {
        let found = judge(&with(from, to));
        assert_eq!(found, Err(kind), "{to}");
    }
}

#[test]
fn statuses() {
    for (from, to, status) in [
        ("sip:bob@example.com SIP", "http:bob SIP", Status::UNSUPPORTED_URI_SCHEME),
        ("INVITE sip:", "NEWMETHOD sip:", Status::NOT_IMPLEMENTED),
        ("SIP/2.0\n", "SIP/7.0\n", Status::VERSION_NOT_SUPPORTED),
        ("Call-ID: x\n", "", Status::BAD_REQUEST),
    ] {
        let bytes = with(from, to).replace('\n', "\r\n").into_bytes();
        let error = View::parse(&bytes, &Limits::default()).and_then(|view| view.check()).unwrap_err();
        assert_eq!(error.status(), status);
    }
}

/// S6: whatever the spelling, an identity that a stranger writes is seen as one, or the message is refused.
#[test]
fn no_spelling_smuggles_a_trusted_header() {
    let evil = "<sip:+4312345@trusted>";
    let mut spellings = Vec::new();
    for name in ["P-Asserted-Identity", "p-asserted-identity", "P-ASSERTED-IDENTITY", "P-aSSERTED-iDENTITY"] {
        for after in
            ["", " ", "\t", " \t ", "\0", "\u{a0}", "\r", "\x0b", "\x0c", "\x1f", "\x7f", "\u{200b}", ";", "\"", "()"]
        {
            for gap in ["", " ", "\t", "\n ", "\n\t", " \n  "] {
                spellings.push(format!("{name}{after}:{gap}{evil}"));
            }
        }
        for before in [" ", "\t", "\0", "\r", "\x0b", "x\r"] {
            spellings.push(format!("{before}{name}: {evil}"));
        }
        spellings.push(format!("X: y\r{name}: {evil}"));
        spellings.push(format!("X: y\0{name}: {evil}"));
        spellings.push(format!("X: y\u{85}{name}: {evil}"));
        spellings.push(format!("X: y\u{2028}{name}: {evil}"));
        spellings.push(format!("X: y\n {name}: {evil}"));
        spellings.push(format!("{name}: <sip:a@b>\n{name}: {evil}"));
    }
    assert!(spellings.len() > 200, "{}", spellings.len());
    for spelling in spellings {
        let text = with("Call-ID: x", &format!("Call-ID: x\n{spelling}"));
        let bytes = text.replace('\n', "\r\n").into_bytes();
        let Ok(view) = View::parse(&bytes, &Limits::default()) else { continue };
        if view.check().is_err() {
            continue;
        }
        // Removing the header removes it, however it was spelt: no line that anybody could take for it remains.
        let mut splices = crate::Splices::new(&view);
        splices.remove_all(Name::PAssertedIdentity);
        let out = splices.into_bytes();
        let again = View::parse(&out, &Limits::default()).unwrap();
        assert!(!again.has(Name::PAssertedIdentity));
        assert_eq!(again.others("P-Asserted-Identity").count(), 0);
        let lines = out.split(|&byte| byte == b'\n' || byte == b'\r');
        for line in lines {
            let line = String::from_utf8_lossy(line).to_ascii_lowercase();
            assert!(!line.starts_with("p-asserted-identity"), "{spelling:?} {line:?}");
        }
    }
}

/// RFC 3261 19.1.5: headers of a URI stay where they are.
#[test]
fn headers_in_a_uri_are_no_headers() {
    let text = with(
        "Contact: <sip:a@10.0.0.1>",
        "Contact: <sip:a@10.0.0.1?P-Asserted-Identity=%3Csip:x%3E&Route=%3Csip:y%3E>",
    );
    let bytes = text.replace('\n', "\r\n").into_bytes();
    let view = View::parse(&bytes, &Limits::default()).unwrap();
    assert_eq!(view.check(), Ok(()));
    assert!(!view.has(Name::Route) && !view.has(Name::PAssertedIdentity));
}

#[test]
fn framing_is_judged_without_addresses() {
    let judged = |head: &str| {
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nTo: <sip:b@c>\r\n{head}Content-Length: 0\r\n\r\n"
        );
        let view = View::parse(text.as_bytes(), &crate::Limits::default()).expect("readable");
        view.check_framing().map_err(|error| error.field)
    };
    let rest = "From: <sip:x@y>;tag=1\r\nCall-ID: i\r\n";
    assert_eq!(judged(&format!("{rest}CSeq: 1 INVITE\r\n")), Ok(()));
    assert_eq!(judged("From: <nothing at all\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\n"), Ok(()));
    assert_eq!(judged(&format!("{rest}CSeq: 1 BYE\r\n")), Err("CSeq"));
    assert_eq!(judged(&format!("{rest}Call-ID: j\r\nCSeq: 1 INVITE\r\n")), Err("Call-ID"));
    assert_eq!(judged(&format!("{rest}Subject: a\rVia: b\r\nCSeq: 1 INVITE\r\n")), Err("control byte"));
}
