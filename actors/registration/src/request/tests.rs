use super::*;
use fabric::Instant;
use sip::Limits;

#[test]
fn address_of_record() {
    for (to, expected) in [
        ("<sip:alice@Example.TEST>", Ok("example.test")),
        ("\"Alice\" <sips:alice@example.test.:5061;x=y>", Ok("example.test")),
        ("sip:alice@192.0.2.1", Ok("192.0.2.1")),
        ("<sip:alice@[2001:db8::1]>", Ok("[2001:db8::1]")),
        ("<tel:+4311001>", Err(400)),
        ("<isbn:2983792873>", Err(400)),
    ] {
        let text = register(to, "", "Contact: <sip:a@h>\r\n");
        let got = wanted(&view(&text)).map(|wanted| wanted.domain).map_err(|reject| reject.status.0);
        assert_eq!(got, expected.map(str::to_owned), "{to}");
    }
}

#[test]
fn extensions() {
    for (require, unsupported) in
        [("path", None), ("outbound, PATH", None), ("gruu", Some("gruu")), ("path, foo, bar", Some("foo, bar"))]
    {
        let text = register("<sip:alice@d>", "", &format!("Require: {require}\r\n"));
        let got = wanted(&view(&text)).err();
        assert_eq!(got.as_ref().map(|reject| reject.status.0), unsupported.map(|_| 420), "{require}");
        let told = got.and_then(|reject| reject.headers.first().map(|(_, value)| value.clone()));
        assert_eq!(told.as_deref(), unsupported, "{require}");
    }
}

#[test]
fn own_addresses_of_record() {
    let subscriber = Subscriber {
        username: "alice".into(),
        numbers: vec!["4311001".into(), "4311002".into()],
        ..Subscriber::default()
    };
    for (user, own) in [
        ("alice", true),
        ("Alice", true),
        ("%61lice", true),
        ("4311001", true),
        ("+4311002", true),
        ("+43-1-1001", true),
        ("bob", false),
        ("4311003", false),
        ("alice2", false),
        ("11001", false),
    ] {
        let uri = format!("sip:{user}@example.test");
        let uri = Uri::parse(uri.as_bytes()).expect("a URI");
        assert_eq!(is_own(&uri, &subscriber), own, "{user}");
    }
    let nobody = Uri::parse(b"sip:example.test").expect("a URI");
    assert!(!is_own(&nobody, &subscriber));
}

#[test]
fn contacts() {
    // Header fields, and what they bind: contact, lifetime, q, instance, reg-id; or the status.
    let rows: &[(&str, Result<&str, u16>)] = &[
        ("", Ok("fetch")),
        ("Contact: *\r\nExpires: 0\r\n", Ok("star")),
        ("Contact: *\r\n", Err(400)),
        ("Contact: *\r\nExpires: 60\r\n", Err(400)),
        ("Contact: *, <sip:a@h>\r\nExpires: 0\r\n", Err(400)),
        ("Contact: <sip:a@h>\r\nContact: *\r\nExpires: 0\r\n", Err(400)),
        ("Contact: <sip:a@h>\r\n", Ok("sip:a@h 3600 1000 - 0")),
        ("Contact: sip:a@h;unknown\r\n", Ok("sip:a@h 3600 1000 - 0")),
        ("Contact: <sip:a@h;unknown>\r\n", Ok("sip:a@h;unknown 3600 1000 - 0")),
        ("m: <sip:a@h?Route=%3Csip:x%3E>\r\n", Ok("sip:a@h?Route=%3Csip:x%3E 3600 1000 - 0")),
        ("Contact: <sip:a@h>\r\nExpires: 120\r\n", Ok("sip:a@h 120 1000 - 0")),
        ("Contact: <sip:a@h>;expires=90\r\nExpires: 120\r\n", Ok("sip:a@h 90 1000 - 0")),
        ("Contact: <sip:a@h>;expires=0\r\n", Ok("sip:a@h 0 1000 - 0")),
        ("Contact: <sip:a@h>;expires=59\r\n", Err(423)),
        ("Contact: <sip:a@h>\r\nExpires: 1\r\n", Err(423)),
        ("Contact: <sip:a@h>;expires=60\r\n", Ok("sip:a@h 60 1000 - 0")),
        ("Contact: <sip:a@h>;expires=999999999999\r\n", Ok("sip:a@h 86400 1000 - 0")),
        ("Contact: <sip:a@h>\r\nExpires: 999999999999\r\n", Ok("sip:a@h 3600 1000 - 0")),
        ("Contact: <sip:a@h>;expires=soon\r\nExpires: 120\r\n", Ok("sip:a@h 3600 1000 - 0")),
        ("Contact: <sip:a@h>\r\nExpires: soon\r\n", Ok("sip:a@h 3600 1000 - 0")),
        ("Contact: <sip:a@h>;q=0.5\r\n", Ok("sip:a@h 3600 500 - 0")),
        ("Contact: <sip:a@h>;q=2\r\n", Err(400)),
        ("Contact: <sip:a@h>;q=\r\n", Err(400)),
        ("Contact: <mailto:a@h>\r\n", Err(400)),
        ("Contact: <tel:+431>\r\n", Err(400)),
        ("Contact: <sip:a@h>, <sip:b@h>;expires=0\r\n", Ok("sip:a@h 3600 1000 - 0, sip:b@h 0 1000 - 0")),
        ("Contact: <sip:a@198.51.100.1:5060>\r\n", Err(403)),
        ("Contact: <sip:198.51.100.1>\r\n", Err(403)),
        ("Contact: <sip:a@198.51.100.1:5070>\r\n", Ok("sip:a@198.51.100.1:5070 3600 1000 - 0")),
        ("Contact: <sip:a@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n", Ok("sip:a@h 3600 1000 <urn:uuid:1> 0")),
        ("Supported: outbound\r\nContact: <sip:a@h>;reg-id=1\r\n", Ok("sip:a@h 3600 1000 - 0")),
        (
            "Supported: path, outbound\r\nContact: <sip:a@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n",
            Ok("sip:a@h 3600 1000 <urn:uuid:1> 1"),
        ),
        ("Supported: outbound\r\nContact: <sip:a@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=0\r\n", Err(400)),
        ("Supported: outbound\r\nContact: <sip:a@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=x\r\n", Err(400)),
        ("Supported: outbound\r\nContact: <sip:a@h>;+sip.instance=\"\";reg-id=1\r\n", Err(400)),
        (
            "Supported: outbound\r\nContact: <sip:a@h>;+sip.instance=\"<u>\";reg-id=1, <sip:b@h>;+sip.instance=\"<u>\";reg-id=2\r\n",
            Err(400),
        ),
    ];
    for (fields, expected) in rows {
        let text = register("<sip:alice@d>", "", fields);
        let got = read(&text, &Settings::default()).map(|change| print(&change));
        assert_eq!(got, expected.map(str::to_owned), "{fields}");
    }
}

#[test]
fn limits_of_a_request() {
    let many = |count: usize| vec!["<sip:a@h>"; count].join(", ");
    let settings = Settings { request_contacts_max: 3, contact_bytes_max: 20, ..Settings::default() };
    for (contacts, status) in [
        (many(3), None),
        (many(4), Some(403)),
        ("<sip:1234567890123456@h>".to_owned(), None.or(Some(400))),
        ("<sip:12345678901234@h>".to_owned(), None),
    ] {
        let text = register("<sip:alice@d>", "", &format!("Contact: {contacts}\r\n"));
        assert_eq!(read(&text, &settings).err(), status, "{contacts}");
    }
    let text = register("<sip:alice@d>", &"c".repeat(600), "Contact: <sip:a@h>\r\n");
    assert_eq!(read(&text, &Settings::default()).err(), Some(400), "an endless Call-ID");
}

#[test]
fn settings_bend_lifetimes() {
    let none = Settings { expires_min_s: 0, ..Settings::default() };
    let text = register("<sip:alice@d>", "", "Contact: <sip:a@h>;expires=1\r\n");
    assert_eq!(read(&text, &none).map(|change| print(&change)), Ok("sip:a@h 1 1000 - 0".to_owned()));
    let odd = Settings { expires_max_s: 0, ..Settings::default() };
    let text = register("<sip:alice@d>", "", "Contact: <sip:a@h>;expires=100\r\n");
    assert_eq!(read(&text, &odd).map(|change| print(&change)), Ok("sip:a@h 60 1000 - 0".to_owned()));
    let plain = Settings { outbound: false, ..Settings::default() };
    let flow = "Supported: outbound\r\nContact: <sip:a@h>;+sip.instance=\"<u>\";reg-id=1\r\n";
    let text = register("<sip:alice@d>", "", flow);
    assert_eq!(read(&text, &plain).map(|change| print(&change)), Ok("sip:a@h 3600 1000 <u> 0".to_owned()));
}

#[test]
fn bindings_remember_where_they_came_from() {
    let agent = format!("User-Agent: Phone\t{}\r\nContact: <sip:a@h>\r\n", "é".repeat(100));
    let text = register("<sip:alice@d>", "", &agent);
    let Ok(BindChange::Contacts(bindings)) = read(&text, &Settings::default()) else { panic!("no bindings") };
    let [binding] = &bindings[..] else { panic!("not one binding") };
    assert_eq!(&*binding.path, "<sip:token@198.51.100.1:5060;lr;ob>");
    assert_eq!(binding.received.as_deref(), Some("192.0.2.9:4711"));
    assert_eq!((&*binding.call_id, binding.cseq, binding.nat), ("reg@192.0.2.9", 7, true));
    let agent = binding.user_agent.as_deref().expect("an agent");
    assert!(agent.starts_with("Phone é") && agent.len() <= USER_AGENT_BYTES_MAX, "{agent}");
}

fn register(to: &str, call_id: &str, fields: &str) -> String {
    let call_id = if call_id.is_empty() { "reg@192.0.2.9" } else { call_id };
    format!(
        "REGISTER sip:d SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bK1;rport\r\nFrom: {to};tag=f\r\n\
         To: {to}\r\nCall-ID: {call_id}\r\nCSeq: 7 REGISTER\r\nMax-Forwards: 70\r\n{fields}Content-Length: 0\r\n\r\n"
    )
}

fn view(text: &str) -> View<'_> {
    View::parse(text.as_bytes(), &Limits::default()).expect("a message")
}

fn now() -> Now {
    Now { instant: Instant(1_000_000), unix_ms: 1_700_000_000_000 }
}

fn read(text: &str, settings: &Settings) -> Result<BindChange, u16> {
    let path = "<sip:token@198.51.100.1:5060;lr;ob>";
    let origin = Origin { path, received: "192.0.2.9:4711".into(), nat: true };
    let local = "198.51.100.1:5060".parse().expect("an address");
    change(&view(text), &origin, local, now(), settings).map_err(|reject| reject.status.0)
}

fn print(change: &BindChange) -> String {
    match change {
        BindChange::Fetch => "fetch".into(),
        BindChange::RemoveAll => "star".into(),
        BindChange::Remove(contact) => format!("remove {contact}"),
        BindChange::Contacts(bindings) => {
            let one = |binding: &Binding| {
                let lifetime_s = (binding.expires_ms - now().unix_ms) / 1_000;
                let instance = binding.instance.as_deref().unwrap_or("-");
                format!("{} {lifetime_s} {} {instance} {}", binding.contact, binding.q, binding.reg_id)
            };
            bindings.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}
