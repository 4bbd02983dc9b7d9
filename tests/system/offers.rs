//! Offers and answers after and beside the ordinary one.

use crate::stage::{Props, Stage};

#[test]
fn a_call_is_held_and_resumed() {
    let stage = Stage::plain(61);
    stage.register(&stage.phone(2));
    let callee = stage
        .sipp(
            &stage.phone(2),
            "< INVITE
             > 180
             > 200 sdp
             < ACK
             < INVITE | ~ a=sendonly
             > 200 INVITE sdp:recvonly
             < ACK
             < INVITE | ~ a=sendrecv
             > 200 INVITE sdp
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
             < 180
             < 200
             > ACK
             wait 100
             > INVITE sdp:sendonly
             < 100?
             < 200 | ~ a=recvonly
             > ACK
             wait 100
             > INVITE sdp
             < 100?
             < 200 | ~ m=audio
             > ACK
             wait 100
             > BYE
             < 200",
        )
        .run()
        .passed();
    callee.end().passed();
    assert_eq!(caller.count("200 INVITE"), 3);
    assert_eq!(stage.wait_for_cdrs(1).len(), 1, "a hold is not a second call");
}

#[test]
fn the_callee_may_hold_as_well() {
    let stage = Stage::plain(62);
    stage.register(&stage.phone(2));
    let callee = stage
        .sipp(
            &stage.phone(2),
            "< INVITE
             > 200 sdp
             < ACK
             wait 100
             > INVITE sdp:sendonly
             < 100?
             < 200 | ~ a=recvonly
             > ACK
             < BYE
             > 200",
        )
        .start();
    stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp
             < 407 auth
             > ACK
             > INVITE sdp auth
             < 100
             < 200
             > ACK
             < INVITE | ~ a=sendonly
             > 200 INVITE sdp:recvonly
             < ACK
             wait 100
             > BYE
             < 200",
        )
        .run()
        .passed();
    callee.end().passed();
}

#[test]
fn a_delayed_offer_is_carried_the_other_way_round() {
    let stage = Stage::plain(63);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 180\n> 200 sdp\n< ACK | ~ m=audio\n< BYE\n> 200").start();
    let caller = stage
        .sipp(
            &stage.phone(1),
            "> INVITE
             < 407 auth
             > ACK
             > INVITE auth
             < 100
             < 180
             < 200 | ~ m=audio
             > ACK sdp
             wait 200
             > BYE
             < 200",
        )
        .run()
        .passed();
    let callee = callee.end().passed();
    assert!(callee.first("INVITE").body().is_empty(), "no offer, none invented");
    assert!(caller.first("200 INVITE").media().is_some());
}

#[test]
fn info_and_options_pass_in_a_call() {
    let stage = Stage::plain(64);
    stage.register(&stage.phone(2));
    let callee = "< INVITE\n> 200 sdp\n< ACK\n< INFO\n> 200 INFO\n< OPTIONS\n> 200 OPTIONS\n< BYE\n> 200";
    let callee = stage.sipp(&stage.phone(2), callee).start();
    stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 200\n> ACK\nwait 100\n> INFO\n< 200\n> OPTIONS\n< 200\n> BYE\n< 200",
        )
        .run()
        .passed();
    callee.end().passed();
}

#[test]
fn a_blind_transfer_is_answered_by_policy() {
    let stage = Stage::plain(65);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 200 sdp\n< ACK\n< BYE\n> 200").start();
    stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 200\n> ACK\nwait 100
             > REFER | Refer-To: <sip:user3@example.test>\n< 603\n> BYE\n< 200",
        )
        .run()
        .passed();
    let callee = callee.end().passed();
    assert_eq!(callee.count("REFER"), 0, "refused here, not passed on");
}

#[test]
fn a_message_is_passed_to_the_phone() {
    let stage = Stage::plain(66);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< MESSAGE\n> 200 MESSAGE").start();
    stage.sipp(&stage.phone(1), "> MESSAGE\n< 407 auth\n> MESSAGE auth\n< 200").run().passed();
    callee.end().passed();
}

#[test]
fn update_changes_a_session_without_a_new_invite() {
    let stage = Stage::plain(67);
    stage.register(&stage.phone(2));
    let callee = stage
        .sipp(
            &stage.phone(2),
            "< INVITE | ~ Allow:.*UPDATE
             > 200 sdp | Allow: INVITE, ACK, BYE, CANCEL, UPDATE
             < ACK
             < UPDATE | ~ a=sendonly
             > 200 UPDATE sdp:recvonly
             < BYE
             > 200",
        )
        .start();
    stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp | Allow: INVITE, ACK, BYE, CANCEL, UPDATE
             < 407 auth
             > ACK
             > INVITE sdp auth | Allow: INVITE, ACK, BYE, CANCEL, UPDATE
             < 100
             < 200 | ~ Allow:.*UPDATE
             > ACK
             wait 100
             > UPDATE sdp:sendonly
             < 200 | ~ a=recvonly
             > BYE
             < 200",
        )
        .run()
        .passed();
    callee.end().passed();
}

#[test]
fn an_operator_may_allow_transfers() {
    let toml = "[call]\nwithout_relay = \"unanchored\"\nrefer = \"transfer\"\n";
    let stage = Stage::new(68, Props { toml, ..Props::default() });
    stage.register(&stage.phone(2));
    stage.register(&stage.phone(3));
    // user2 sends its caller on to user3: the switch calls user3, joins the two, and bids user2 farewell.
    let target = stage.sipp(&stage.phone(3), "< INVITE\n> 180\n> 200 sdp\n< ACK\n< BYE\n> 200").start();
    let callee = stage
        .sipp(
            &stage.phone(2),
            "< INVITE
             > 200 sdp
             < ACK
             wait 100
             > REFER | Refer-To: <sip:user3@example.test>
             < 202
             < NOTIFY | ~ SIP/2.0 100
             > 200 NOTIFY
             < NOTIFY | ~ SIP/2.0 200
             > 200 NOTIFY
             < BYE
             > 200",
        )
        .start();
    stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp
             < 407 auth
             > ACK
             > INVITE sdp auth
             < 100
             < 200
             > ACK
             < INVITE | ~ m=audio
             > 200 INVITE sdp
             < ACK
             wait 300
             > BYE
             < 200",
        )
        .run()
        .passed();
    callee.end().passed();
    target.end().passed();
    let cdrs = stage.wait_for_cdrs(2);
    let called: Vec<_> = cdrs.iter().map(|cdr| cdr["destination_user"].as_str().unwrap_or_default()).collect();
    assert_eq!(called, ["user2", "user3"], "one record each for the call and for the leg that the transfer made");
}

#[test]
fn options_reaches_the_phone() {
    let stage = Stage::plain(69);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< OPTIONS\n> 200 OPTIONS | Allow: INVITE").start();
    stage.sipp(&stage.phone(1), "> OPTIONS\n< 407 auth\n> OPTIONS auth\n< 200").run().passed();
    callee.end().passed();
}
