//! S6: no spelling of a private header field comes in from an untrusted sender.

use super::*;

#[test]
fn private_fields_are_stripped_in_every_spelling() {
    let names = [
        "P-Asserted-Identity",
        "Path",
        "Service-Route",
        "P-Charging-Vector",
        "P-Served-User",
        "P-Profile-Key",
        "P-NGCP-Caller-Info",
        "P-Tandem-Leg",
        "X-Tandem-Trust",
    ];
    let mut variants = 0;
    for name in names {
        let (lower, upper) = (name.to_lowercase(), name.to_uppercase());
        for spelled in [name, &lower, &upper] {
            for line in [
                format!("{spelled}: <sip:evil@x>\r\n"),
                format!("{spelled}:<sip:evil@x>\r\n"),
                format!("{spelled} : <sip:evil@x>\r\n"),
                format!("{spelled}\t: <sip:evil@x>\r\n"),
                format!("{spelled}:\r\n <sip:evil@x>\r\n"),
                format!("{spelled}: <sip:evil@x>\r\n\t, <sip:evil@y>\r\n"),
                format!("{spelled}: <sip:evil@x>\r\n{spelled}: <sip:evil@y>\r\n"),
                format!("{spelled}: <sip:evil@x>\n"),
            ] {
                variants += 1;
                let text = request("INVITE", "sip:b@d", "<sip:b@d>", &line);
                let out = Bench::new(Settings::default()).receive(text.clone());
                if out.0.iter().any(|mail| matches!(mail.letter, Letter::SipIn(_))) {
                    let (_, sip) = out.sip_in();
                    assert!(!sip.message.bytes().windows(4).any(|part| part == b"evil"), "{line:?}\n{}", sip.message);
                    assert_eq!(header(&sip.message, Name::CallId), "c1@x", "the rest is whole");
                }
            }
        }
    }
    assert!(variants >= 200, "{variants}");
}

#[test]
fn smuggled_lines_do_not_pass() {
    for line in [
        "X-A: 1\rP-Asserted-Identity: <sip:evil@x>\r\n",
        "X-A: 1\0P-Asserted-Identity: <sip:evil@x>\r\n",
        "P-Asserted\0-Identity: <sip:evil@x>\r\n",
        "P-Asserted-Identity\r\n : <sip:evil@x>\r\n",
        "P-Asserted Identity: <sip:evil@x>\r\n",
        ": <sip:evil@x>\r\n",
    ] {
        let text = request("INVITE", "sip:b@d", "<sip:b@d>", line);
        for mail in Bench::new(Settings::default()).receive(text).0 {
            let Letter::SipIn(sip) = mail.letter else { continue };
            assert!(!sip.message.bytes().windows(4).any(|part| part == b"evil"), "{line:?}\n{}", sip.message);
        }
    }
    let text = request("INVITE", "sip:b@d?P-Asserted-Identity=%3Csip:evil@x%3E", "<sip:b@d>", "");
    assert_eq!(Bench::new(Settings::default()).receive(text).outcome(), "400", "headers in the Request-URI");
}

#[test]
fn trusted_neighbours_may_say_so() {
    let settings = Settings { trusted: vec!["192.0.2.9".parse().expect("an address")], ..Settings::default() };
    let fields = "P-Asserted-Identity: <sip:+431@d>\r\nPath: <sip:edge;lr>\r\n";
    let (_, sip) = Bench::new(settings).receive(request("INVITE", "sip:b@d", "<sip:b@d>", fields)).sip_in();
    assert_eq!(header(&sip.message, Name::PAssertedIdentity), "<sip:+431@d>");
    assert_eq!(header(&sip.message, Name::Path), "<sip:edge;lr>");
}

#[test]
fn other_fields_pass_as_they_are() {
    let fields = "X-Unknown:  odd  value;x=\"y\" \r\nDiversion: <sip:c@d>\r\nP-Access-Network-Info: IEEE-802.11\r\n";
    let text = request("INVITE", "sip:b@d", "<sip:b@d>", fields);
    let (_, sip) = Bench::new(Settings::default()).receive(text).sip_in();
    assert!(sip.message.to_string().contains(fields), "S4\n{}", sip.message);
}

#[test]
fn a_body_never_becomes_a_message() {
    let inner = request("INVITE", "sip:victim@d", "<sip:victim@d>", "");
    let outer = request("MESSAGE", "sip:b@d", "<sip:b@d>", "");
    for (what, length, sip_ins) in [
        ("announced", inner.len().to_string(), 1),
        ("zero: noise behind the message", "0".to_owned(), 1),
        ("negative", "-1".to_owned(), 0),
        ("beyond 32 bits", format!("{}", (1u64 << 32) + 5), 0),
        ("beyond 64 bits", "18446744073709551621".to_owned(), 0),
        ("hexadecimal", "0x10".to_owned(), 0),
        ("larger than the datagram", (inner.len() + 1).to_string(), 0),
        ("twice", format!("0\r\nContent-Length: {}", inner.len()), 0),
    ] {
        let text = outer.replace("Content-Length: 0", &format!("Content-Length: {length}")) + &inner;
        let out = Bench::new(Settings::default()).receive(text);
        let delivered: Vec<_> = out.0.iter().filter(|mail| matches!(mail.letter, Letter::SipIn(_))).collect();
        assert_eq!(delivered.len(), sip_ins, "S5: {what}");
        assert!(out.0.len() <= 1, "{what}");
        for mail in delivered {
            let Letter::SipIn(sip) = &mail.letter else { continue };
            assert_eq!(sip.message.method(), Method::Message, "{what}");
        }
    }
}
