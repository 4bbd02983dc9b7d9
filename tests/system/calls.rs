//! Ordinary calls.

use crate::stage::Stage;

pub const CALLS_AND_HANGS_UP: &str = "
    > INVITE sdp
    < 100?
    < 407 auth
    > ACK
    > INVITE sdp auth
    < 100
    < 180
    < 200 | ~ m=audio
    > ACK
    wait 300
    > BYE
    < 200";

pub const ANSWERS_AND_IS_HUNG_UP: &str = "
    < INVITE | ~ m=audio
    > 100
    > 180
    wait 100
    > 200 sdp
    < ACK
    < BYE
    > 200";

#[test]
fn a_call_is_answered_and_ended_by_the_caller() {
    let stage = Stage::plain(21);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), ANSWERS_AND_IS_HUNG_UP).start();
    let caller = stage.sipp(&stage.phone(1), CALLS_AND_HANGS_UP).run().passed();
    let callee = callee.end().passed();
    assert_eq!(callee.received(), ["INVITE", "ACK", "BYE"]);
    let (a, b) = (caller.first("200 INVITE"), callee.first("INVITE"));
    assert_ne!(a.header("Call-ID"), b.header("Call-ID"), "each leg has a Call-ID of its own");
    // Without a relay the caller's address is in the SDP, and may be nowhere else.
    let head = b.text.split("\r\n\r\n").next().unwrap_or_default();
    assert!(!head.contains(&stage.ip(21).to_string()), "topology is hidden: {head}");
    let cdrs = stage.wait_for_cdrs(1);
    assert_eq!(
        (cdrs[0]["call_status"].as_str(), cdrs[0]["call_code"].to_string().trim_matches('"')),
        (Some("ok"), "200")
    );
    let duration = cdrs[0]["duration_ms"].as_u64().expect("a duration");
    assert!((250..1500).contains(&duration), "300 ms were spoken, {duration} ms recorded");
    assert_eq!(cdrs[0]["source_user"], "user1");
    assert_eq!(cdrs[0]["destination_user"], "user2");
}

#[test]
fn a_call_is_ended_by_the_callee() {
    let stage = Stage::plain(22);
    stage.register(&stage.phone(2));
    let callee = stage
        .sipp(
            &stage.phone(2),
            "< INVITE
             > 180
             > 200 sdp
             < ACK
             wait 200
             > BYE
             < 200",
        )
        .start();
    let caller = stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp
             < 407 auth
             > ACK
             > INVITE sdp auth
             < 100
             < 180?
             < 200
             > ACK
             < BYE
             > 200",
        )
        .run()
        .passed();
    callee.end().passed();
    assert_eq!(caller.received(), ["407 INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "BYE"]);
    assert_eq!(stage.wait_for_cdrs(1)[0]["stop_cause"], "callee");
}

#[test]
fn a_number_and_an_alias_lead_to_the_same_phone() {
    let stage = Stage::plain(23);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), ANSWERS_AND_IS_HUNG_UP).start();
    stage.sipp(&stage.phone(1), CALLS_AND_HANGS_UP).calls("4311002").run().passed();
    callee.end().passed();
    let cdr = &stage.wait_for_cdrs(1)[0];
    assert_eq!(
        (cdr["destination_user"].as_str(), cdr["destination_user_dialed"].as_str()),
        (Some("user2"), Some("4311002"))
    );
}

#[test]
fn a_trace_shows_the_ladder() {
    let stage = Stage::plain(24);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), ANSWERS_AND_IS_HUNG_UP).start();
    stage.sipp(&stage.phone(1), CALLS_AND_HANGS_UP).run().passed();
    callee.end().passed();
    let ladder = stage.switch.ctl_raw(&["trace", "--last"]);
    for word in ["INVITE", "407", "180", "200", "ACK", "BYE"] {
        assert!(ladder.contains(word), "{word} is not in\n{ladder}");
    }
}

#[test]
fn an_operator_hangs_up_a_call() {
    let stage = Stage::plain(25);
    stage.register(&stage.phone(2));
    let callee = stage
        .sipp(
            &stage.phone(2),
            "< INVITE
                                              > 200 sdp
                                              < ACK
                                              < BYE
                                              > 200",
        )
        .start();
    let caller = stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp
                                              < 407 auth
                                              > ACK
                                              > INVITE sdp auth
                                              < 100
                                              < 200
                                              > ACK
                                              < BYE
                                              > 200",
        )
        .start();
    callee.wait_for("the callee has its ACK", |message| message.gist() == "ACK");
    let calls = stage.switch.ctl(&["calls"]);
    assert_eq!(stage.switch.calls(), 1);
    let key = calls["calls"][0]["key"].as_str().expect("a key").to_owned();
    stage.switch.ctl_raw(&["hangup", &key]);
    caller.end().passed();
    callee.end().passed();
    assert_eq!(stage.wait_for_cdrs(1)[0]["stop_cause"], "operator");
}

#[test]
fn a_graceful_stop_ends_established_calls_and_their_records() {
    let mut stage = Stage::plain(26);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 200 sdp\n< ACK\n< BYE\n> 200").start();
    let caller = stage
        .sipp(&stage.phone(1), "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 200\n> ACK\n< BYE\n> 200")
        .start();
    callee.wait_for("the callee has its ACK", |message| message.gist() == "ACK");
    stage.switch.process.signal("TERM");
    caller.end().passed();
    callee.end().passed();
    let status = stage.switch.process.wait(std::time::Duration::from_secs(15)).expect("the switch ends");
    assert_eq!(status.code(), Some(0));
    assert_eq!(stage.wait_for_cdrs(1)[0]["stop_cause"], "operator");
}
