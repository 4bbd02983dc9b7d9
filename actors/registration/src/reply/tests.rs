use super::*;
use fabric::Instant;
use sip::Limits;

const REGISTER: &str = "REGISTER sip:d SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch=z9hG4bK1\r\nFrom: <sip:a@d>;tag=f\r\n\
    To: <sip:a@d>\r\nCall-ID: c\r\nCSeq: 7 REGISTER\r\n";

#[test]
fn all_bindings_are_told() {
    let bindings = [
        Binding { q: 500, ..binding("sip:a@h1", 59_600) },
        Binding { instance: Some("<urn:uuid:\"1>".into()), reg_id: 2, q: 250, ..binding("sip:a@h2;x", 3_600_400) },
        Binding { expires_ms: u64::MAX, ..binding("sip:desk@h3", 0) },
        Binding { q: 0, ..binding("sip:a@h4", 1_000) },
    ];
    let request = format!("{REGISTER}Supported: path\r\n\r\n");
    let extras = Extras { path: Some("<sip:t@l;lr;ob>"), outbound: true };
    let reply = ok(&view(&request), "tag", &bindings, extras, now(), &Settings::default());
    let view = reply.view();
    let contacts: Vec<_> = view.headers(Name::Contact).map(|value| std::str::from_utf8(value).expect("text")).collect();
    assert_eq!(
        contacts,
        [
            "<sip:a@h1>;expires=60;q=0.5",
            "<sip:a@h2;x>;expires=3600;q=0.25;+sip.instance=\"<urn:uuid:\\\"1>\";reg-id=2",
            "<sip:desk@h3>;expires=86400",
            "<sip:a@h4>;expires=1;q=0.0",
        ]
    );
    assert_eq!(view.header(Name::Path), Some(&b"<sip:t@l;lr;ob>"[..]));
    assert_eq!(view.header(Name::Require), Some(&b"outbound"[..]));
    assert_eq!(view.header(Name::FlowTimer), Some(&b"120"[..]));
    assert_eq!(view.header(Name::Date), Some(&b"Tue, 14 Nov 2023 22:13:20 GMT"[..]));
    assert_eq!(view.header(Name::To), Some(&b"<sip:a@d>;tag=tag"[..]));
    for name in [Name::Server, Name::ServiceRoute, Name::UserAgent] {
        assert!(!view.has(name), "{}", name.text());
    }
    assert!(view.check().is_ok());
}

#[test]
fn nothing_is_told_that_was_not_asked() {
    let request = format!("{REGISTER}\r\n");
    let extras = Extras { path: Some("<sip:t@l;lr;ob>"), outbound: false };
    let reply = ok(&view(&request), "tag", &[], extras, now(), &Settings::default());
    let view = reply.view();
    for name in [Name::Path, Name::Require, Name::FlowTimer, Name::Contact] {
        assert!(!view.has(name), "{}", name.text());
    }
    let request = format!("{REGISTER}Supported: path\r\n\r\n");
    let settings = Settings { flow_timer_s: 0, ..Settings::default() };
    let reply = ok(&self::view(&request), "tag", &[], Extras { path: None, outbound: true }, now(), &settings);
    assert!(!reply.view().has(Name::Path) && !reply.view().has(Name::FlowTimer));
    assert!(reply.view().has(Name::Require));
}

#[test]
fn refusals_say_why() {
    let request = format!("{REGISTER}\r\n");
    let reject = Reject::new(Status::INTERVAL_TOO_BRIEF).min_expires(60);
    let reply = refusal(&view(&request), "tag", &reject);
    assert_eq!(reply.view().start_line(), b"SIP/2.0 423 Interval Too Brief");
    assert_eq!(reply.view().number(Name::MinExpires), Ok(Some(60)));
    let reply = refusal(&view(&request), "tag", &Reject::new(Status::FORBIDDEN).reason("Too\r\nMany"));
    assert_eq!(reply.view().start_line(), b"SIP/2.0 403 Too  Many");
}

fn view(text: &str) -> View<'_> {
    View::parse(text.as_bytes(), &Limits::default()).expect("a message")
}

fn now() -> Now {
    Now { instant: Instant(0), unix_ms: 1_700_000_000_000 }
}

fn binding(contact: &str, left_ms: u64) -> Binding {
    Binding {
        contact: contact.into(),
        path: "".into(),
        call_id: "c".into(),
        cseq: 7,
        q: 1_000,
        expires_ms: now().unix_ms + left_ms,
        instance: None,
        reg_id: 0,
        user_agent: None,
        received: None,
        nat: false,
    }
}
