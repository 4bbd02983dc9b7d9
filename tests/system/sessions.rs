//! Session timers: RFC 4028. The shortest interval that the RFC allows is 90 s, so the calls of this test run side by side.

use crate::sipp::Playing;
use crate::stage::{Props, Stage};

const SHORT: &str = "[call]\nwithout_relay = \"unanchored\"\nsession_expires_s = 90\n[call.timings]\nt1_ms = 200\n";

/// Up to the ACK; what the phone can do stands in Allow.
fn begins(more: &str) -> String {
    format!("> INVITE sdp{more}\n< 407 auth\n> ACK\n> INVITE sdp auth{more}\n< 100\n< 200\n> ACK\n")
}

#[test]
fn sessions_are_refreshed_and_end_when_nobody_does() {
    let stage = Stage::new(71, Props { toml: SHORT, ..Props::default() });
    for number in 2..=4 {
        stage.register(&stage.phone(number));
    }
    let phone = |number: u8, ladder: &str| stage.sipp(&stage.phone(number), ladder).within(110);

    // After half of 90 s the switch asks both sides: by UPDATE who knows it, by re-INVITE who does not.
    let modern =
        "< INVITE\n> 200 sdp | Allow: INVITE, ACK, BYE, CANCEL, UPDATE\n< ACK\n< UPDATE\n> 200 UPDATE\n< BYE\n> 200";
    let modern = phone(2, modern).start();
    let old = format!("{}< INVITE\n> 200 INVITE sdp\n< ACK\nwait 500\n> BYE\n< 200", begins(""));
    let old = phone(1, &old).calls("user2").start();

    // The callee has lost its power after the ACK: its refresh stays unanswered, the caller is told by BYE.
    let dead = phone(3, "< INVITE\n> 200 sdp\n< ACK\nwait 100000").start();
    let left = format!("{}< INVITE\n> 200 INVITE sdp\n< ACK\n< BYE\n> 200", begins(""));
    let left = phone(5, &left).calls("user3").start();

    // This caller promises to refresh, and does not: both hear BYE a third of the interval before its end.
    let patient = phone(
        4,
        "< INVITE\n> 200 sdp | Allow: INVITE, ACK, BYE, CANCEL, UPDATE\n< ACK\n< UPDATE\n> 200 UPDATE\n< BYE\n> 200",
    )
    .start();
    let promises = " | Supported: timer ;; Session-Expires: 90;refresher=uac";
    let careless = format!("{}< BYE | ~ Reason:.*408\n> 200", begins(promises));
    let careless = phone(6, &careless).calls("user4").start();

    dead.wait_for("the callee has its ACK", |message| message.gist() == "ACK");
    dead.power_off();
    for playing in [old, modern, left, careless, patient] {
        Playing::end(playing).passed();
    }
    let causes = |user: &str| {
        let cdrs = stage.wait_for_cdrs(3);
        let found = cdrs.iter().find(|cdr| cdr["source_user"] == user).expect("a record of each call");
        (found["stop_cause"].as_str().unwrap_or_default().to_owned(), found["duration_ms"].as_u64().unwrap_or(0) / 1000)
    };
    let (old, left, careless) = (causes("user1"), causes("user5"), causes("user6"));
    assert_eq!(old.0, "caller");
    assert!((45..50).contains(&old.1), "refreshed at half the interval, not after {} s", old.1);
    assert_eq!(left.0, "session_expired");
    assert!((45..70).contains(&left.1), "given up 64*T1 after the refresh, not after {} s", left.1);
    assert_eq!(careless.0, "session_expired");
    assert!((59..70).contains(&careless.1), "RFC 4028 10: 90 s less a third, not {} s", careless.1);
}

#[test]
fn a_session_interval_that_is_too_small_is_told_so() {
    let stage = Stage::plain(73);
    stage.register(&stage.phone(2));
    // RFC 3261 8.2 lets a server look at the header before or after it knows the caller; ours does so before.
    stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp | Session-Expires: 30 ;; Supported: timer
             < 422 | ~ Min-SE: *90
             > ACK",
        )
        .run()
        .passed();
}

#[test]
fn a_call_ends_at_its_longest() {
    let toml = "[call]\nwithout_relay = \"unanchored\"\nlength_max_s = 2\n";
    let stage = Stage::new(74, Props { toml, ..Props::default() });
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 200 sdp\n< ACK\n< BYE\n> 200").start();
    stage.sipp(&stage.phone(1), &format!("{}< BYE\n> 200", begins(""))).run().passed();
    callee.end().passed();
    let cdr = &stage.wait_for_cdrs(1)[0];
    assert_eq!(cdr["stop_cause"], "max_length");
    assert!(cdr["duration_ms"].as_u64().is_some_and(|ms| (2_000..3_500).contains(&ms)), "{cdr}");
}
