//! Session timers: RFC 4028.

use crate::stage::{Props, Stage};

const SHORT: &str = "[call]\nwithout_relay = \"unanchored\"\nsession_expires_s = 4\nmin_se_s = 2\n";

#[test]
fn the_switch_refreshes_a_session_of_phones_that_do_not() {
    let stage = Stage::new(71, Props { relay: false, toml: SHORT });
    stage.register(&stage.phone(2));
    // Half of four seconds after the answer the switch asks both sides, with re-INVITE or UPDATE as they allow.
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 200 sdp\n< ACK\n< INVITE\n> 200 INVITE sdp\n< ACK\n< BYE\n> 200").start();
    let caller = stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 200\n> ACK\n< INVITE\n> 200 INVITE sdp\n< ACK\nwait 300\n> BYE\n< 200",
        )
        .run()
        .passed();
    callee.end().passed();
    assert_eq!(caller.count("INVITE"), 1, "one refresh in the time");
    assert_eq!(stage.wait_for_cdrs(1)[0]["stop_cause"], "caller");
}

#[test]
fn a_session_that_nobody_refreshes_ends() {
    let stage = Stage::new(72, Props { relay: false, toml: SHORT });
    stage.register(&stage.phone(2));
    // The callee has lost its power after the ACK: its refresh stays unanswered, the caller is told by BYE.
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 200 sdp\n< ACK\nwait 60000").within(60).start();
    let caller = stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 200\n> ACK\n< INVITE?\n< BYE\n> 200",
        )
        .within(50)
        .start();
    callee.wait_for("the callee has its ACK", |message| message.gist() == "ACK");
    callee.power_off();
    let caller = caller.end();
    assert_eq!(caller.count("BYE") >= 1, true, "the caller got BYE: {:?}", caller.received());
    assert_eq!(stage.wait_for_cdrs(1)[0]["stop_cause"], "session_expired");
}

#[test]
fn a_session_interval_that_is_too_small_is_told_so() {
    let stage = Stage::plain(73);
    stage.register(&stage.phone(2));
    stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp | Session-Expires: 30 ;; Supported: timer
             < 407 auth
             > ACK
             > INVITE sdp auth | Session-Expires: 30 ;; Supported: timer
             < 100
             < 422 | ~ Min-SE: *90
             > ACK",
        )
        .run()
        .passed();
}
