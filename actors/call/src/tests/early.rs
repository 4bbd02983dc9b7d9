//! Before the answer: early media, reliable responses, delayed offers.

use std::time::Duration;

use dialog::Dialog;
use sip::{Method, Name, Status};

use crate::testing::{Phone, Stage, named, sdp};

#[test]
fn early_media() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.log();
    stage.send("bob", &bob.reply(&at_bob, 183, "b1", &sdp("tone")));
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.expect(
        "bob > 183 INVITE [tone]
         media < answer 1-0
         alice < 183 INVITE [tone/1-0]
         bob > 200 INVITE [bob]
         bob < ACK
         media < answer 1-0
         alice < 200 INVITE [bob/1-0]
         records < start 4311001 to bob",
    );
}

#[test]
fn an_answer_only_in_the_early_response() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 183, "b1", &sdp("tone")));
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", ""));
    let answer = stage.last("alice");
    assert_eq!((answer.status(), named(&answer)), (Some(Status(200)), "tone/1-0".to_owned()));
}

/// An INVITE that knows 100rel, and the 183 that Bob sends reliably.
fn reliable() -> (Stage, Phone, Phone, sip::Message, sip::Message) {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.extra.push((Name::Supported, "100rel, timer".to_owned()));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    assert!(at_bob.view().has_option(Name::Supported, "100rel"));
    stage.log();
    (stage, alice, bob, invite, at_bob)
}

const RELIABLE: [(Name, &str); 2] = [(Name::Require, "100rel"), (Name::RSeq, "700")];

#[test]
fn reliable_responses_end_to_end() {
    let (mut stage, mut alice, bob, invite, at_bob) = reliable();
    stage.send("bob", &bob.reply_with(&at_bob, 183, "b1", &sdp("tone"), &RELIABLE));
    stage.expect(
        "bob > 183 INVITE rel [tone]
         media < answer 1-0
         alice < 183 INVITE rel [tone/1-0]",
    );
    let early = stage.last("alice");
    let rseq = String::from_utf8_lossy(early.view().header(Name::RSeq).expect("RSeq")).into_owned();
    assert_ne!(rseq, "700", "RSeq is this leg's own");
    // It comes again from Bob: absorbed. It goes again to Alice: ours.
    stage.send("bob", &bob.reply_with(&at_bob, 183, "b1", &sdp("tone"), &RELIABLE));
    stage.pass(Duration::from_millis(600));
    stage.expect(
        "bob > 183 INVITE rel [tone]
         alice < 183 INVITE rel [tone/1-0]",
    );
    let mut dialog = alice.dialog(&invite, &early);
    let rack = format!("{rseq} 2 INVITE");
    let prack = alice.inside_with(&mut dialog, Method::Prack, "", &[(Name::RAck, &rack)]);
    stage.send("alice", &prack);
    stage.expect(
        "alice > PRACK
         bob < PRACK",
    );
    let at_bob_prack = stage.last("bob");
    assert_eq!(at_bob_prack.view().header(Name::RAck), Some(&b"700 1 INVITE"[..]));
    stage.send("bob", &bob.reply(&at_bob_prack, 200, "", ""));
    stage.expect(
        "bob > 200 PRACK
         alice < 200 PRACK",
    );
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", ""));
    stage.expect(
        "bob > 200 INVITE
         bob < ACK
         alice < 200 INVITE
         records < start 4311001 to bob",
    );
    // A PRACK for something else.
    stage.inboxes.values_mut().for_each(std::collections::VecDeque::clear);
    let prack = alice.inside_with(&mut dialog, Method::Prack, "", &[(Name::RAck, "1 2 INVITE")]);
    stage.send("alice", &prack);
    assert_eq!(stage.last("alice").status(), Some(Status(481)));
}

#[test]
fn an_answer_waits_for_the_prack() {
    let (mut stage, mut alice, bob, invite, at_bob) = reliable();
    stage.send("bob", &bob.reply_with(&at_bob, 183, "b1", &sdp("tone"), &RELIABLE));
    let early = stage.last("alice");
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", ""));
    assert!(stage.inboxes["alice"].is_empty(), "RFC 3262 3: no 2xx before the PRACK");
    let mut dialog = alice.dialog(&invite, &early);
    let rack = format!("{} 2 INVITE", String::from_utf8_lossy(early.view().header(Name::RSeq).expect("RSeq")));
    stage.last("bob");
    stage.send("alice", &alice.inside_with(&mut dialog, Method::Prack, "", &[(Name::RAck, &rack)]));
    let prack = stage.last("bob");
    stage.send("bob", &bob.reply(&prack, 200, "", ""));
    assert_eq!(stage.last("alice").status(), Some(Status(200)));
    stage.expect_of(&["records"], "records < start 4311001 to bob");
}

#[test]
fn nobody_acknowledges_the_reliable_response() {
    let (mut stage, _alice, bob, _invite, at_bob) = reliable();
    stage.send("bob", &bob.reply_with(&at_bob, 180, "b1", "", &RELIABLE));
    stage.log();
    stage.pass(Duration::from_secs(33));
    stage.expect_of(
        &["bob", "records"],
        "records < attempt 504 Failed
         bob < CANCEL
         bob < CANCEL",
    );
}

#[test]
fn delayed_offer() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, "");
    stage.expect_of(&["media", "bob"], "bob < INVITE");
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.expect(
        "bob > 200 INVITE [bob]
         media < offer 1-0
         alice < 200 INVITE [bob/1-0]
         records < start 4311001 to bob",
    );
    let answer = stage.last("alice");
    let dialog: Dialog = alice.dialog(&invite, &answer);
    // Bob asks again for his ACK, which has to wait for Alice's answer.
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.send("alice", &alice.ack(&dialog, 2, &sdp("alice")));
    stage.expect(
        "bob > 200 INVITE [bob]
         alice > ACK [alice]
         media < answer 0-1
         bob < ACK [alice/0-1]",
    );
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.expect(
        "bob > 200 INVITE [bob]
         bob < ACK [alice/0-1]",
    );
}

#[test]
fn update_before_the_answer() {
    let (mut stage, mut alice, bob, invite, at_bob) = reliable();
    stage.send("bob", &bob.reply_with(&at_bob, 183, "b1", &sdp("tone"), &RELIABLE));
    let early = stage.last("alice");
    let mut dialog = alice.dialog(&invite, &early);
    let rack = format!("{} 2 INVITE", String::from_utf8_lossy(early.view().header(Name::RSeq).expect("RSeq")));
    stage.send("alice", &alice.inside_with(&mut dialog, Method::Prack, "", &[(Name::RAck, &rack)]));
    let prack = stage.last("bob");
    stage.send("bob", &bob.reply(&prack, 200, "", ""));
    stage.log();
    stage.send("alice", &alice.inside(&mut dialog, Method::Update, &sdp("alice2")));
    let update = stage.last("bob");
    stage.send("bob", &bob.reply(&update, 200, "", &sdp("bob2")));
    stage.expect(
        "alice > UPDATE [alice2]
         media < offer 0-1
         bob < UPDATE [alice2/0-1]
         bob > 200 UPDATE [bob2]
         media < answer 1-0
         alice < 200 UPDATE [bob2/1-0]",
    );
}

#[test]
fn the_farewell_of_a_late_answer_comes_after_its_pracks() {
    let (mut stage, mut alice, bob, invite, at_bob) = reliable();
    stage.send("bob", &bob.reply_with(&at_bob, 183, "b1", &sdp("tone"), &RELIABLE));
    let early = stage.last("alice");
    let mut dialog = alice.dialog(&invite, &early);
    let rack = format!("{} 2 INVITE", String::from_utf8_lossy(early.view().header(Name::RSeq).expect("RSeq")));
    stage.send("alice", &alice.inside_with(&mut dialog, Method::Prack, "", &[(Name::RAck, &rack)]));
    let prack = stage.last("bob");
    stage.send("bob", &bob.reply(&prack, 200, "", ""));
    stage.send("alice", &alice.cancel(&invite));
    // Crossing the CANCEL.
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    let bye = stage.last("bob");
    assert_eq!(bye.view().method(), Method::Bye);
    let number = |message: &sip::Message| message.view().cseq().expect("CSeq").number;
    assert!(number(&bye) > number(&prack), "RFC 3261 12.2.1.1");
}

#[test]
fn a_phone_that_forgot_its_early_dialog_is_out_of_the_race() {
    let (mut stage, mut alice, bob, invite, at_bob) = reliable();
    stage.send("bob", &bob.reply_with(&at_bob, 180, "b1", "", &RELIABLE));
    let early = stage.last("alice");
    let mut dialog = alice.dialog(&invite, &early);
    let rack = format!("{} 2 INVITE", String::from_utf8_lossy(early.view().header(Name::RSeq).expect("RSeq")));
    stage.send("alice", &alice.inside_with(&mut dialog, Method::Prack, "", &[(Name::RAck, &rack)]));
    let prack = stage.last("bob");
    stage.log();
    stage.send("bob", &bob.reply(&prack, 481, "", ""));
    // No BYE: the called side has none in an early dialog (RFC 3261 15).
    stage.expect(
        "bob > 481 PRACK
         alice < 481 PRACK
         bob < CANCEL",
    );
    stage.pass(Duration::from_secs(33));
    let answers = stage.last("alice");
    assert!(answers.status().is_some_and(|status| status.0 >= 400), "{answers:?}");
}
