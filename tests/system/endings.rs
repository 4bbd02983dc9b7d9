//! Calls that do not end in a conversation.

use crate::stage::{Props, Stage};

/// A caller that expects one final answer.
fn refused_with(status: &str) -> String {
    format!(
        "> INVITE sdp
         < 407 auth
         > ACK
         > INVITE sdp auth
         < 100
         < 180?
         < {status}
         > ACK"
    )
}

/// Calls user2, whose phone plays `callee`; the caller must get `status`, and the record must say `outcome`.
fn call_fails(net: u8, callee: &str, status: &str, outcome: &str) {
    let stage = Stage::plain(net);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), callee).start();
    let caller = stage.sipp(&stage.phone(1), &refused_with(status)).run().passed();
    callee.end().passed();
    assert_eq!(caller.count(&format!("{status} INVITE")), 1);
    let cdr = &stage.wait_for_cdrs(1)[0];
    assert_eq!((cdr["call_status"].as_str(), cdr["duration_ms"].as_u64()), (Some(outcome), Some(0)));
}

#[test]
fn a_busy_phone() {
    call_fails(31, "< INVITE\n> 180\n> 486\n< ACK", "486", "busy");
}

#[test]
fn a_declined_call() {
    call_fails(32, "< INVITE\n> 180\n> 603\n< ACK", "603", "other");
}

#[test]
fn nobody_answers() {
    let stage =
        Stage::new(33, Props { toml: "[call]\nwithout_relay = \"unanchored\"\nring_max_s = 2\n", ..Props::default() });
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 180\n< CANCEL\n> 200 CANCEL\n> 487 INVITE\n< ACK").start();
    stage.sipp(&stage.phone(1), &refused_with("408")).run().passed();
    callee.end().passed();
    assert_eq!(stage.wait_for_cdrs(1)[0]["call_status"], "noanswer");
}

const CANCELS_WHILE_RINGING: &str = "
    > INVITE sdp
    < 407 auth
    > ACK
    > INVITE sdp auth
    < 100
    < 180
    wait 200
    > CANCEL
    < 200
    < 487
    > ACK";

#[test]
fn a_caller_cancels_while_it_rings() {
    let stage = Stage::plain(34);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 180\n< CANCEL\n> 200 CANCEL\n> 487 INVITE\n< ACK").start();
    let caller = stage.sipp(&stage.phone(1), CANCELS_WHILE_RINGING).run().passed();
    let callee = callee.end().passed();
    assert_eq!(callee.received(), ["INVITE", "CANCEL", "ACK"]);
    assert_eq!(caller.count("487 INVITE"), 1);
    assert_eq!(stage.wait_for_cdrs(1)[0]["call_status"], "cancel");
}

#[test]
fn a_cancel_that_crosses_the_answer() {
    let stage = Stage::plain(35);
    stage.register(&stage.phone(2));
    // The callee answers the moment it is cancelled: the switch must acknowledge the 200 and hang up, and the caller gets 487.
    let callee = stage
        .sipp(
            &stage.phone(2),
            "< INVITE
             > 180
             < CANCEL
             > 200 CANCEL
             > 200 INVITE sdp
             < ACK
             < BYE
             > 200",
        )
        .start();
    let caller = stage.sipp(&stage.phone(1), CANCELS_WHILE_RINGING).run().passed();
    let callee = callee.end().passed();
    assert_eq!(callee.received(), ["INVITE", "CANCEL", "ACK", "BYE"], "the late 200 is acknowledged at once");
    assert_eq!(caller.count("487 INVITE"), 1);
    assert_eq!(stage.wait_for_cdrs(1).len(), 1);
}

#[test]
fn a_caller_that_dies_while_it_rings() {
    let stage =
        Stage::new(36, Props { toml: "[call]\nwithout_relay = \"unanchored\"\nring_max_s = 3\n", ..Props::default() });
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 180\n< CANCEL\n> 200 CANCEL\n> 487 INVITE\n< ACK").start();
    let caller = stage
        .sipp(&stage.phone(1), "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 180\nwait 60000")
        .start();
    caller.wait_for("it rings", |message| message.gist() == "180 INVITE");
    caller.power_off();
    callee.end().passed();
    assert_eq!(stage.wait_for_cdrs(1)[0]["duration_ms"], 0);
}

#[test]
fn nobody_is_registered() {
    let stage = Stage::plain(37);
    stage.sipp(&stage.phone(1), &refused_with("480")).calls("user3").run().passed();
    assert_eq!(stage.wait_for_cdrs(1)[0]["call_status"], "offline");
}

#[test]
fn an_unknown_user() {
    let stage = Stage::plain(38);
    stage.sipp(&stage.phone(1), &refused_with("404")).calls("nobody").run().passed();
    assert_eq!(stage.wait_for_cdrs(1)[0]["call_code"].to_string().trim_matches('"'), "404");
}

#[test]
fn a_foreign_domain_is_refused() {
    let stage = Stage::plain(39);
    // The phone is authenticated in its own domain, and may still not dial through to another.
    stage.sipp(&stage.phone(1), &refused_with("403")).calls("someone@elsewhere.invalid").run().passed();
}

#[test]
fn a_stranger_cannot_call() {
    let stage = Stage::plain(30);
    stage.register(&stage.phone(2));
    let mut stranger = stage.phone(1);
    stranger.password = "guess".to_owned();
    let played = stage
        .sipp(&stranger, "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100?\n< 407\n> ACK")
        .run()
        .passed();
    assert_eq!(played.count("180 INVITE") + played.count("200 INVITE"), 0);
}
