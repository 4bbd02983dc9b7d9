//! The caller changes its mind, at every moment.

use std::time::Duration;

use fabric::Machine;
use sip::{Method, Status};

use crate::testing::{Phone, Stage, sdp};

#[test]
fn while_it_rings() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    stage.log();
    stage.send("alice", &alice.cancel(&invite));
    stage.expect(
        "alice > CANCEL
         alice < 200 CANCEL
         alice < 487 INVITE
         records < attempt 487 Cancelled
         bob < CANCEL
         media < end",
    );
    let refusal = stage.last("alice");
    stage.send("alice", &alice.ack_failure(&invite, &refusal));
    let cancel = stage.last("bob");
    stage.send("bob", &bob.reply(&cancel, 200, "b1", ""));
    stage.send("bob", &bob.reply(&at_bob, 487, "b1", ""));
    stage.expect(
        "alice > ACK
         bob > 200 CANCEL
         bob > 487 INVITE
         bob < ACK",
    );
    stage.pass(Duration::from_secs(90));
    stage.expect("");
    assert!(stage.call.is_idle());
}

#[test]
fn before_the_phone_has_said_anything() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.log();
    stage.send("alice", &alice.cancel(&invite));
    // No CANCEL may go out before a provisional response (RFC 3261 9.1).
    stage.expect(
        "alice > CANCEL
         alice < 200 CANCEL
         alice < 487 INVITE
         records < attempt 487 Cancelled
         media < end",
    );
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    stage.expect(
        "bob > 180 INVITE
         bob < CANCEL",
    );
}

#[test]
fn before_the_store_has_answered() {
    let mut stage = Stage::new();
    stage.held_rooms = vec!["store"];
    let mut alice = Phone::new("alice");
    let invite = alice.invite(&mut stage, &sdp("alice"));
    stage.log();
    stage.send("alice", &alice.cancel(&invite));
    stage.expect(
        "alice > CANCEL
         alice < 200 CANCEL
         alice < 487 INVITE
         records < attempt 487 Cancelled",
    );
    stage.release();
    stage.expect("");
}

#[test]
fn crossing_the_answer() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    stage.log();
    stage.send("alice", &alice.cancel(&invite));
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.expect(
        "alice > CANCEL
         alice < 200 CANCEL
         alice < 487 INVITE
         records < attempt 487 Cancelled
         bob < CANCEL
         media < end
         bob > 200 INVITE [bob]
         bob < ACK
         bob < BYE",
    );
    // The 200 comes again: its ACK does too, and no second BYE.
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.expect(
        "bob > 200 INVITE [bob]
         bob < ACK",
    );
}

#[test]
fn while_the_answer_passes_the_media_session() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.held_rooms = vec!["media"];
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.log();
    stage.send("alice", &alice.cancel(&invite));
    stage.expect(
        "alice > CANCEL
         alice < 200 CANCEL
         alice < 487 INVITE
         records < attempt 487 Cancelled
         media < end
         bob < BYE",
    );
    stage.release();
    stage.expect("");
    let bye = stage.last("bob");
    stage.send("bob", &bob.reply(&bye, 200, "b1", ""));
    stage.pass(Duration::from_secs(90));
    assert!(stage.call.is_idle());
}

#[test]
fn after_the_answer() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.log();
    stage.send("alice", &alice.cancel(&invite));
    // Too late: the caller has its 200 and must say BYE (RFC 3261 9.2).
    stage.expect(
        "alice > CANCEL
         alice < 200 CANCEL",
    );
}

#[test]
fn the_caller_never_acknowledges() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.log();
    stage.pass(Duration::from_secs(33));
    let log = stage.log();
    let count = |line: &str| log.iter().filter(|other| *other == line).count();
    assert_eq!(count("alice < 200 INVITE [bob/1-0]"), 10, "{log:?}");
    assert!(count("alice < BYE") >= 1 && count("bob < BYE") >= 1);
    assert_eq!(count("records < stop Failed"), 1);
}

#[test]
fn retransmissions_are_absorbed() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.log();
    stage.send("alice", &invite);
    stage.expect(
        "alice > INVITE [alice]
         alice < 100 INVITE",
    );
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    stage.send("alice", &invite);
    stage.expect(
        "bob > 180 INVITE
         alice < 180 INVITE
         alice > INVITE [alice]
         alice < 180 INVITE",
    );
}

#[test]
fn an_invite_on_a_new_branch_is_adopted() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.log();
    let via = alice.via();
    let again = {
        let view = invite.view();
        let mut splices = sip::Splices::new(&view);
        splices.replace_first(sip::Name::Via, via.as_bytes());
        sip::Message::parse(splices.into_bytes(), &sip::Limits::default()).expect("a proper message")
    };
    stage.send("alice", &again);
    stage.expect(
        "alice > INVITE [alice]
         alice < 100 INVITE",
    );
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    let answer = stage.last("alice");
    assert_eq!(answer.status(), Some(Status(200)));
    assert_eq!(answer.view().header(sip::Name::Via), Some(via.as_bytes()), "the answer follows the new branch");
    // The same from another address is a merged request, or a thief.
    stage.log();
    stage.add_phone("mallory", 66, fabric::letters::flow::Transport::Udp);
    let mut mallory = Phone::new("mallory");
    mallory.cseq = 1;
    mallory.from = "<sip:alice@example.test>".to_owned();
    let stolen = mallory.request(Method::Invite, &sdp("mallory")).build();
    stage.send("mallory", &stolen);
    stage.expect(
        "mallory > INVITE [mallory]
         mallory < 482 INVITE",
    );
}

#[test]
fn the_answerer_hangs_up_before_the_caller_hears_of_the_answer() {
    let mut stage = Stage::new();
    let (mut alice, mut bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    stage.held_rooms = vec!["media"];
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    let mut dialog = bob.called(&at_bob, "b1");
    stage.send("bob", &bob.inside(&mut dialog, Method::Bye, ""));
    stage.log();
    stage.release();
    stage.expect_of(&["alice", "bob"], "alice < 200 INVITE [bob/1-0]");
    let answer = stage.last("alice");
    let alices = alice.dialog(&invite, &answer);
    stage.send("alice", &alice.ack(&alices, 2, ""));
    stage.expect_of(
        &["alice", "bob"],
        "alice > ACK
         alice < BYE",
    );
}
