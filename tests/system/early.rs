//! What happens before the answer: early media, reliable provisional responses.

use crate::stage::Stage;

#[test]
fn early_media_reaches_the_caller() {
    let stage = Stage::plain(51);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 183 sdp\nwait 200\n> 200 sdp\n< ACK\n< BYE\n> 200").start();
    let caller = stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp
             < 407 auth
             > ACK
             > INVITE sdp auth
             < 100
             < 183 | ~ m=audio
             < 200 | ~ m=audio
             > ACK
             > BYE
             < 200",
        )
        .run()
        .passed();
    callee.end().passed();
    assert!(caller.first("183 INVITE").media().is_some(), "the 183 carries SDP");
}

#[test]
fn reliable_provisionals_are_acknowledged_end_to_end() {
    let stage = Stage::plain(52);
    stage.register(&stage.phone(2));
    // RFC 3262: the caller supports 100rel, the callee requires it; each leg has RSeq and PRACK of its own.
    let callee = stage
        .sipp(
            &stage.phone(2),
            "< INVITE | ~ Supported:.*100rel
             > 183 sdp | Require: 100rel ;; RSeq: 4711
             < PRACK | ~ RAck: *4711
             > 200 PRACK
             > 200 INVITE sdp
             < ACK
             < BYE
             > 200",
        )
        .start();
    let caller = stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp | Supported: 100rel
             < 407 auth
             > ACK
             > INVITE sdp auth | Supported: 100rel
             < 100
             < 183 rseq | ~ Require:.*100rel
             > PRACK early
             < 200
             < 200
             > ACK
             > BYE
             < 200",
        )
        .run()
        .passed();
    callee.end().passed();
    assert_eq!(caller.count("200 PRACK"), 1);
}
