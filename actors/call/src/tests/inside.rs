//! Inside an established call: hold, glare, INFO, MESSAGE, OPTIONS, and what is refused.

use std::time::Duration;

use sip::{Method, Name, Status};

use super::Talk;
use crate::testing::sdp;

#[test]
fn hold_and_resume_from_both_sides() {
    let Talk { mut stage, mut alice, mut bob, mut alices, mut bobs, .. } = Talk::begin();
    stage.send("alice", &alice.inside(&mut alices, Method::Invite, &sdp("hold")));
    let at_bob = stage.last("bob");
    assert!(bobs.on_request(&at_bob.view()).is_ok());
    stage.send("bob", &bob.reply(&at_bob, 200, "", &sdp("held")));
    let answer = stage.last("alice");
    let cseq = answer.view().cseq().expect("CSeq").number;
    stage.send("alice", &alice.ack(&alices, cseq, ""));
    stage.expect(
        "alice > INVITE [hold]
         alice < 100 INVITE
         media < offer 0-1
         bob < INVITE [hold/0-1]
         bob > 200 INVITE [held]
         bob < ACK
         media < answer 1-0
         alice < 200 INVITE [held/1-0]
         alice > ACK",
    );
    stage.last("bob");
    stage.send("bob", &bob.inside(&mut bobs, Method::Invite, &sdp("resume")));
    let at_alice = stage.last("alice");
    stage.send("alice", &alice.reply(&at_alice, 200, "", &sdp("resumed")));
    let answer = stage.last("bob");
    let cseq = answer.view().cseq().expect("CSeq").number;
    stage.send("bob", &bob.ack(&bobs, cseq, ""));
    stage.expect(
        "bob > INVITE [resume]
         bob < 100 INVITE
         media < offer 1-0
         alice < INVITE [resume/1-0]
         alice > 200 INVITE [resumed]
         alice < ACK
         media < answer 0-1
         bob < 200 INVITE [resumed/0-1]
         bob > ACK",
    );
}

#[test]
fn both_sides_at_once() {
    let Talk { mut stage, mut alice, mut bob, mut alices, mut bobs, .. } = Talk::begin();
    stage.send("alice", &alice.inside(&mut alices, Method::Invite, &sdp("alice2")));
    let at_bob = stage.last("bob");
    stage.log();
    let bobs_own = bob.inside(&mut bobs, Method::Invite, &sdp("bob2"));
    stage.send("bob", &bobs_own);
    stage.expect(
        "bob > INVITE [bob2]
         bob < 491 INVITE",
    );
    let pending = stage.last("bob");
    stage.send("bob", &bob.ack_failure(&bobs_own, &pending));
    stage.send("bob", &bob.reply(&at_bob, 491, "", ""));
    stage.expect(
        "bob > ACK
         bob > 491 INVITE
         bob < ACK
         alice < 491 INVITE",
    );
    // The call goes on.
    let refusal = stage.last("alice");
    stage.send("alice", &alice.ack_failure(&alice_invite(&refusal), &refusal));
    stage.send("bob", &bob.inside(&mut bobs, Method::Invite, &sdp("bob3")));
    let at_alice = stage.last("alice");
    assert_eq!(at_alice.method(), Method::Invite);
}

/// A request that the ACK of this response can be made from.
fn alice_invite(response: &sip::Message) -> sip::Message {
    let view = response.view();
    sip::Builder::request(Method::Invite, b"sip:x@y")
        .copy(&view, Name::Via)
        .copy(&view, Name::From)
        .copy(&view, Name::To)
        .copy(&view, Name::CallId)
        .copy(&view, Name::CSeq)
        .build()
}

#[test]
fn a_second_invite_of_the_same_side_waits() {
    let Talk { mut stage, mut alice, mut alices, .. } = Talk::begin();
    stage.send("alice", &alice.inside(&mut alices, Method::Invite, &sdp("alice2")));
    stage.send("alice", &alice.inside(&mut alices, Method::Invite, &sdp("alice3")));
    let answer = stage.last("alice");
    assert_eq!(answer.status(), Some(Status(500)));
    assert!(answer.view().has(Name::RetryAfter));
}

#[test]
fn delayed_offer_inside() {
    let Talk { mut stage, mut alice, bob, mut alices, .. } = Talk::begin();
    stage.send("alice", &alice.inside(&mut alices, Method::Invite, ""));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 200, "", &sdp("offer")));
    let answer = stage.last("alice");
    let cseq = answer.view().cseq().expect("CSeq").number;
    stage.send("alice", &alice.ack(&alices, cseq, &sdp("answer")));
    stage.expect(
        "alice > INVITE
         alice < 100 INVITE
         bob < INVITE
         bob > 200 INVITE [offer]
         media < offer 1-0
         alice < 200 INVITE [offer/1-0]
         alice > ACK [answer]
         media < answer 0-1
         bob < ACK [answer/0-1]",
    );
}

#[test]
fn passed_and_refused() {
    // method, status (0: passed to the other side)
    let rows = [
        (Method::Info, 0),
        (Method::Message, 0),
        (Method::Options, 0),
        (Method::Update, 0),
        (Method::Refer, 603),
        (Method::Subscribe, 489),
        (Method::Publish, 489),
        (Method::Notify, 481),
        (Method::Register, 405),
        (Method::Other("JUMP"), 501),
    ];
    for (method, status) in rows {
        let Talk { mut stage, mut alice, bob, mut alices, .. } = Talk::begin();
        stage.send("alice", &alice.inside(&mut alices, method, &sdp("x")));
        if status > 0 {
            assert_eq!(stage.last("alice").status(), Some(Status(status)), "{method}");
            assert!(stage.inboxes["bob"].is_empty(), "{method}");
            continue;
        }
        let at_bob = stage.last("bob");
        assert_eq!(at_bob.method(), method);
        stage.send("bob", &bob.reply(&at_bob, 200, "", &sdp("y")));
        assert_eq!(stage.last("alice").status(), Some(Status(200)), "{method}");
    }
}

#[test]
fn out_of_order_and_of_another_dialog() {
    let Talk { mut stage, mut alice, alices, .. } = Talk::begin();
    let mut old = alices.clone();
    stage.send("alice", &alice.inside(&mut old, Method::Info, ""));
    let mut same_number = alices;
    stage.send("alice", &alice.inside(&mut same_number, Method::Info, ""));
    assert_eq!(stage.last("alice").status(), Some(Status(500)));
}

#[test]
fn the_other_side_knows_nothing_of_the_call() {
    let Talk { mut stage, mut alice, bob, mut alices, .. } = Talk::begin();
    stage.send("alice", &alice.inside(&mut alices, Method::Info, ""));
    let at_bob = stage.last("bob");
    stage.log();
    stage.send("bob", &bob.reply(&at_bob, 481, "", ""));
    stage.expect(
        "bob > 481 INFO
         alice < 481 INFO
         alice < BYE
         bob < BYE
         media < end
         records < stop Failed",
    );
}

#[test]
fn bye_while_a_reinvite_is_under_way() {
    let Talk { mut stage, mut alice, mut bob, mut alices, mut bobs, .. } = Talk::begin();
    stage.send("alice", &alice.inside(&mut alices, Method::Invite, &sdp("alice2")));
    let at_bob = stage.last("bob");
    stage.log();
    stage.send("bob", &bob.inside(&mut bobs, Method::Bye, ""));
    stage.expect(
        "bob > BYE
         bob < 200 BYE
         alice < BYE
         alice < 487 INVITE
         media < end
         records < stop CalleeHangup",
    );
    stage.send("bob", &bob.reply(&at_bob, 487, "", ""));
    stage.expect(
        "bob > 487 INVITE
         bob < ACK",
    );
}

#[test]
fn both_hang_up_at_once() {
    let Talk { mut stage, mut alice, mut bob, mut alices, mut bobs, .. } = Talk::begin();
    stage.send("alice", &alice.inside(&mut alices, Method::Bye, ""));
    stage.send("bob", &bob.inside(&mut bobs, Method::Bye, ""));
    stage.expect(
        "alice > BYE
         alice < 200 BYE
         bob < BYE
         media < end
         records < stop CallerHangup
         bob > BYE
         bob < 200 BYE",
    );
    let bye = stage.next("bob");
    stage.send("bob", &bob.reply(&bye, 481, "", ""));
    stage.pass(Duration::from_secs(64));
    assert!(fabric::Machine::is_idle(&stage.call));
}

#[test]
fn a_reinvite_is_taken_back() {
    let Talk { mut stage, mut alice, bob, mut alices, .. } = Talk::begin();
    let reinvite = alice.inside(&mut alices, Method::Invite, &sdp("alice2"));
    stage.send("alice", &reinvite);
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 180, "", ""));
    stage.log();
    stage.send("alice", &alice.cancel(&reinvite));
    stage.expect(
        "alice > CANCEL
         alice < 200 CANCEL
         bob < CANCEL",
    );
    stage.send("bob", &bob.reply(&at_bob, 487, "", ""));
    stage.expect(
        "bob > 487 INVITE
         bob < ACK
         alice < 487 INVITE",
    );
}
