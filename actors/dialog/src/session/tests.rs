use super::*;
use crate::testing::*;
use sip::{Message, Method};

fn settings() -> Settings {
    Settings::default()
}

fn invite(fields: &str) -> Message {
    let plain = altered(INVITE, &[("Supported: timer, 100rel, replaces\n", "")]);
    let with = format!("Max-Forwards: 70\n{fields}");
    altered(&text(&plain), &[("Max-Forwards: 70\n", &with)])
}

fn success(fields: &str) -> Message {
    reply("200 OK", "1 INVITE", fields)
}

fn answer() -> Builder {
    Builder::reply_to(&message(INVITE).view(), Status::OK, Some(b"ours"))
}

/// Session-Expires and Require of a message, for comparing.
fn said(message: &Message) -> (String, String) {
    let text = |name| String::from_utf8(message.view().header(name).unwrap_or_default().to_vec()).unwrap();
    (text(Name::SessionExpires), text(Name::Require))
}

fn accept(timer: &mut SessionTimer, fields: &str, settings: &Settings) -> (String, String) {
    let offer = codec(&SessionOffer::of(&invite(fields).view()));
    said(&timer.accept(offer, answer(), start(), settings).build())
}

#[test]
fn an_interval_that_is_too_short_gets_422() {
    let strict = Settings { min_se_s: 600, ..settings() };
    let off = Settings { session_max_s: 0, ..strict };
    for (fields, settings, min_se) in [
        ("Supported: timer\nSession-Expires: 599\n", &strict, Some("600")),
        ("Require: timer\nx: 599;refresher=uac\n", &strict, Some("600")),
        ("Supported: timer\nSession-Expires: 600\n", &strict, None),
        ("Session-Expires: 599\n", &strict, None),
        ("Supported: timer\n", &strict, None),
        ("Supported: timer\nSession-Expires: nonsense\n", &strict, None),
        ("Supported: timer\nSession-Expires: 599\n", &off, None),
        ("Supported: timer\nSession-Expires: 89\n", &settings(), Some("90")),
        ("Supported: timer\nSession-Expires: 90\n", &settings(), None),
        ("Supported: timer\nSession-Expires: 1\n", &Settings { min_se_s: 0, ..settings() }, Some("90")),
    ] {
        let got = SessionOffer::of(&invite(fields).view()).check(settings);
        let headers = min_se.map(|value| vec![("Min-SE".to_string(), value.to_string())]);
        assert_eq!(
            got.map_err(|reject| (reject.status.code(), reject.headers)).err(),
            headers.map(|h| (422, h)),
            "{fields}"
        );
    }
}

/// RFC 4028 9 table 2, with the intervals.
#[test]
fn what_the_called_side_settles() {
    let passive = Settings { refresh: false, ..settings() };
    let silent = Settings { session_expires_s: 0, ..settings() };
    let off = Settings { session_max_s: 0, ..settings() };
    let brief = Settings { session_max_s: 600, ..settings() };
    type Row<'a> = (&'a str, &'a Settings, &'a str, &'a str, Option<(u32, Side)>);
    let rows: &[Row] = &[
        (
            "Supported: timer\nSession-Expires: 1200\n",
            &settings(),
            "1200;refresher=uas",
            "timer",
            Some((1200, Side::Us)),
        ),
        (
            "Supported: timer\nSession-Expires: 1200\n",
            &passive,
            "1200;refresher=uac",
            "timer",
            Some((1200, Side::Peer)),
        ),
        (
            "Supported: timer\nSession-Expires: 1200;refresher=uac\n",
            &settings(),
            "1200;refresher=uac",
            "timer",
            Some((1200, Side::Peer)),
        ),
        (
            "Supported: timer\nSession-Expires: 1200;refresher=UAS\n",
            &passive,
            "1200;refresher=uas",
            "timer",
            Some((1200, Side::Us)),
        ),
        (
            "Supported: timer\nSession-Expires: 1200;refresher=who\n",
            &settings(),
            "1200;refresher=uas",
            "timer",
            Some((1200, Side::Us)),
        ),
        ("Session-Expires: 1200\n", &settings(), "1200;refresher=uas", "", Some((1200, Side::Us))),
        ("Session-Expires: 1200;refresher=uac\n", &passive, "1200;refresher=uas", "", Some((1200, Side::Us))),
        (
            "Supported: timer\nSession-Expires: 7200\n",
            &settings(),
            "1800;refresher=uas",
            "timer",
            Some((1800, Side::Us)),
        ),
        (
            "Supported: timer\nSession-Expires: 7200\nMin-SE: 3600\n",
            &settings(),
            "3600;refresher=uas",
            "timer",
            Some((3600, Side::Us)),
        ),
        ("Supported: timer\nSession-Expires: 7200\n", &silent, "7200;refresher=uas", "timer", Some((7200, Side::Us))),
        ("Supported: timer\nSession-Expires: 7200\n", &brief, "600;refresher=uas", "timer", Some((600, Side::Us))),
        (
            "Supported: timer\nSession-Expires: 4294967295\n",
            &silent,
            "86400;refresher=uas",
            "timer",
            Some((86400, Side::Us)),
        ),
        ("Session-Expires: 1\n", &settings(), "90;refresher=uas", "", Some((90, Side::Us))),
        ("Supported: timer\n", &settings(), "1800;refresher=uas", "timer", Some((1800, Side::Us))),
        ("Supported: timer\nMin-SE: 4000\n", &settings(), "4000;refresher=uas", "timer", Some((4000, Side::Us))),
        ("Supported: timer\n", &passive, "1800;refresher=uac", "timer", Some((1800, Side::Peer))),
        ("", &settings(), "1800;refresher=uas", "", Some((1800, Side::Us))),
        ("", &passive, "", "", None),
        ("Supported: timer\n", &silent, "", "", None),
        ("Supported: timer\nSession-Expires: 1200\n", &off, "", "", None),
        ("Supported: timer\nSession-Expires: x\n", &silent, "", "", None),
    ];
    for (fields, settings, expires, require, agreed) in rows {
        let mut timer = SessionTimer::default();
        assert_eq!(accept(&mut timer, fields, settings), (expires.to_string(), require.to_string()), "{fields}");
        assert_eq!(timer.agreed(), *agreed, "{fields}");
        assert_eq!(timer.deadline().is_some(), agreed.is_some(), "{fields}");
    }
}

#[test]
fn what_the_calling_side_takes_from_the_2xx() {
    let passive = Settings { refresh: false, ..settings() };
    let off = Settings { session_max_s: 0, ..settings() };
    for (fields, settings, agreed) in [
        ("Session-Expires: 1200;refresher=uac\n", &settings(), Some((1200, Side::Us))),
        ("Session-Expires: 1200;refresher=uas\n", &settings(), Some((1200, Side::Peer))),
        ("x: 1200 ; Refresher=UAS\n", &settings(), Some((1200, Side::Peer))),
        ("Session-Expires: 1200\n", &settings(), Some((1200, Side::Us))),
        ("Session-Expires: 0;refresher=uac\n", &settings(), Some((90, Side::Us))),
        ("Session-Expires: 4294967295;refresher=uas\n", &settings(), Some((86_400, Side::Peer))),
        ("Session-Expires: 99999999999\n", &settings(), Some((1800, Side::Us))),
        ("", &settings(), Some((1800, Side::Us))),
        ("", &passive, None),
        ("Session-Expires: 1200;refresher=uac\n", &off, None),
    ] {
        let mut timer = SessionTimer::default();
        timer.on_success(&success(fields).view(), start(), settings);
        assert_eq!(timer.agreed(), agreed, "{fields}");
    }
}

#[test]
fn what_our_request_says() {
    let said = |timer: &SessionTimer, settings: &Settings| {
        let request = timer.request(Builder::request(Method::Invite, "sip:b"), settings).build();
        let text = |name| request.view().header(name).map(|value| String::from_utf8(value.to_vec()).unwrap());
        (text(Name::SessionExpires), text(Name::MinSe))
    };
    let some = |text: &str| Some(text.to_string());
    let fresh = SessionTimer::default();
    assert_eq!(said(&fresh, &settings()), (some("1800"), None));
    assert_eq!(said(&fresh, &Settings { min_se_s: 300, ..settings() }), (some("1800"), some("300")));
    assert_eq!(said(&fresh, &Settings { session_expires_s: 60, ..settings() }), (some("90"), None));
    assert_eq!(said(&fresh, &Settings { session_expires_s: 0, ..settings() }), (None, None));
    assert_eq!(said(&fresh, &Settings { session_max_s: 0, ..settings() }), (None, None));
    let mut timer = fresh;
    timer.on_success(&success("Session-Expires: 1200;refresher=uac\n").view(), start(), &settings());
    assert_eq!(said(&timer, &settings()), (some("1200;refresher=uac"), None));
    timer.on_success(&success("Session-Expires: 1200;refresher=uas\n").view(), start(), &settings());
    assert_eq!(said(&timer, &settings()), (some("1200;refresher=uas"), None));
    accept(&mut timer, "Supported: timer\nSession-Expires: 1500\nMin-SE: 1400\n", &settings());
    assert_eq!(said(&timer, &settings()), (some("1400;refresher=uac"), some("1400")), "their Min-SE is remembered");
}

#[test]
fn a_422_is_followed_within_reason() {
    let refusal = |min_se: &str| reply("422 Session Interval Too Small", "1 INVITE", min_se);
    for (min_se, again) in [
        ("Min-SE: 3600\n", true),
        ("Min-SE: 86400\n", true),
        ("Min-SE: 86401\n", false),
        ("Min-SE: 4294967295\n", false),
        ("Min-SE: 1800\n", false),
        ("Min-SE: 90\n", false),
        ("Min-SE: x\n", false),
        ("", false),
    ] {
        let mut timer = SessionTimer::default();
        assert_eq!(timer.on_refusal(&refusal(min_se).view(), &settings()), again, "{min_se}");
        let request = timer.request(Builder::request(Method::Invite, "sip:b"), &settings()).build();
        let expected = if again { min_se["Min-SE: ".len()..].trim() } else { "1800" };
        assert_eq!(said(&request).0, expected);
        assert_eq!(request.view().header(Name::MinSe).is_some(), again, "the repetition names it");
    }
    let mut timer = SessionTimer::default();
    for (min_se, again) in [(2_000, true), (3_000, true), (4_000, true), (5_000, false)] {
        let refusal = refusal(&format!("Min-SE: {min_se}\n"));
        assert_eq!(codec(&timer).on_refusal(&refusal.view(), &settings()), again);
        timer.on_refusal(&refusal.view(), &settings());
    }
    timer.on_success(&success("Session-Expires: 4000;refresher=uac\n").view(), start(), &settings());
    assert!(timer.on_refusal(&refusal("Min-SE: 5000\n").view(), &settings()), "a success forgives");
    let silent = Settings { session_expires_s: 0, ..settings() };
    assert!(!SessionTimer::default().on_refusal(&refusal("Min-SE: 3600\n").view(), &silent), "we asked for nothing");
}

fn seconds(timer: &mut SessionTimer) -> Vec<(u64, SessionDue)> {
    let (mut list, mut now) = (Vec::new(), start());
    while let Some(due) = timer.deadline() {
        let early = Now { instant: Instant(due.0 - 1), ..now };
        assert_eq!(timer.wake(early), None);
        now = now.after(due.since(now.instant));
        *timer = codec(timer);
        while let Some(what) = timer.wake(now) {
            list.push((now.instant.since(start().instant).as_secs(), what));
        }
    }
    list
}

#[test]
fn the_refresher_refreshes_at_half_and_gives_up_before_the_end() {
    use SessionDue::{Expired, Refresh};
    for (fields, what) in [
        ("Session-Expires: 1800;refresher=uac\n", vec![(900, Refresh), (1_768, Expired)]),
        ("Session-Expires: 90;refresher=uac\n", vec![(45, Refresh), (60, Expired)]),
        ("Session-Expires: 1800;refresher=uas\n", vec![(1_768, Expired)]),
        ("Session-Expires: 90;refresher=uas\n", vec![(60, Expired)]),
        ("Session-Expires: 96;refresher=uas\n", vec![(64, Expired)]),
    ] {
        let mut timer = SessionTimer::default();
        timer.on_success(&success(fields).view(), start(), &settings());
        assert_eq!(seconds(&mut timer), what, "{fields}");
        assert_eq!(timer.agreed(), None, "expired");
    }
}

#[test]
fn every_refresh_begins_the_interval_anew() {
    let mut timer = SessionTimer::default();
    let first = success("Session-Expires: 1000;refresher=uac\n");
    timer.on_success(&first.view(), start(), &settings());
    let half = start().after(Duration::from_secs(500));
    assert_eq!(timer.wake(half), Some(SessionDue::Refresh));
    assert_eq!(timer.wake(half), None, "said once");
    timer.on_success(&first.view(), half, &settings());
    assert_eq!(timer.deadline(), Some(half.instant + Duration::from_secs(500)));
    let offer =
        SessionOffer::of(&within("UPDATE", 11, "Supported: timer\nSession-Expires: 1000;refresher=uac\n").view());
    let later = start().after(Duration::from_secs(900));
    timer.accept(offer, answer(), later, &settings());
    assert_eq!(timer.agreed(), Some((1000, Side::Peer)), "the peer takes over");
    assert_eq!(timer.deadline(), Some(later.instant + Duration::from_secs(968)));
}

#[test]
fn a_refused_refresh_is_tried_again_until_the_end() {
    let mut timer = SessionTimer::default();
    timer.on_success(&success("Session-Expires: 90;refresher=uac\n").view(), start(), &settings());
    let half = start().after(Duration::from_secs(45));
    assert_eq!(timer.wake(half), Some(SessionDue::Refresh));
    timer.postpone(Duration::from_secs(3), half);
    assert_eq!(timer.wake(half.after(Duration::from_secs(3))), Some(SessionDue::Refresh));
    timer.postpone(Duration::from_secs(30), half);
    assert_eq!(timer.wake(half.after(Duration::from_secs(30))), Some(SessionDue::Expired));
    assert_eq!(timer.wake(half.after(Duration::from_secs(99))), None);
    let mut watcher = SessionTimer::default();
    watcher.on_success(&success("Session-Expires: 90;refresher=uas\n").view(), start(), &settings());
    watcher.postpone(Duration::from_secs(1), start());
    assert_eq!(watcher.deadline(), Some(start().instant + Duration::from_secs(60)), "not ours to refresh");
}

#[test]
fn a_session_without_timer_stays_without() {
    let mut timer = SessionTimer::default();
    timer.on_success(&success("Session-Expires: 90;refresher=uac\n").view(), start(), &settings());
    timer.stop();
    assert_eq!((timer.deadline(), timer.agreed()), (None, None));
    assert_eq!(timer.wake(start().after(Duration::from_secs(10_000))), None);
    assert!(size_of::<SessionTimer>() <= 48, "{}", size_of::<SessionTimer>());
}
