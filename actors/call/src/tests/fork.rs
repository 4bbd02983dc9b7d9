//! Several phones for one subscriber.

use std::time::Duration;

use fabric::Machine;
use fabric::letters::flow::Transport;
use sip::Status;

use crate::settings::Settings;
use crate::testing::{Phone, Stage, sdp};

fn two_phones(first_q: u16, second_q: u16) -> Stage {
    let mut stage = Stage::with(Settings { ring_max_s: 20, ..Settings::default() });
    stage.bindings.clear();
    stage.bind("bob", "bob", first_q);
    stage.add_phone("desk", 3, Transport::Tcp);
    stage.bind("bob", "desk", second_q);
    stage
}

#[test]
fn one_wins_and_the_other_is_cancelled() {
    let mut stage = two_phones(1000, 1000);
    let (mut alice, bob, desk) = (Phone::new("alice"), Phone::new("bob"), Phone::new("desk"));
    alice.invite(&mut stage, &sdp("alice"));
    let (at_bob, at_desk) = (stage.last("bob"), stage.last("desk"));
    assert_ne!(at_bob.view().header(sip::Name::CallId), at_desk.view().header(sip::Name::CallId));
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    let first = stage.last("alice");
    stage.send("desk", &desk.reply(&at_desk, 180, "d1", ""));
    let second = stage.last("alice");
    let tag = |message: &sip::Message| message.view().to().ok().and_then(|to| to.tag().map(<[u8]>::to_vec));
    assert_ne!(tag(&first), tag(&second), "each early dialog has a tag of its own");
    stage.log();
    stage.send("desk", &desk.reply(&at_desk, 200, "d1", &sdp("desk")));
    stage.expect(
        "desk > 200 INVITE [desk]
         bob < CANCEL
         media < drop 1
         desk < ACK
         media < answer 2-0
         alice < 200 INVITE [desk/2-0]
         records < start 4311001 to bob",
    );
    let answer = stage.last("alice");
    assert_eq!(tag(&answer), tag(&second), "the answer belongs to the dialog that rang");
    let cancel = stage.last("bob");
    assert!(cancel.view().header(sip::Name::Reason).is_some_and(|reason| reason.starts_with(b"SIP;cause=200")));
    stage.send("bob", &bob.reply(&cancel, 200, "b1", ""));
    stage.send("bob", &bob.reply(&at_bob, 487, "b1", ""));
    stage.expect(
        "bob > 200 CANCEL
         bob > 487 INVITE
         bob < ACK",
    );
}

#[test]
fn both_answer_at_once() {
    let mut stage = two_phones(1000, 1000);
    let (mut alice, bob, desk) = (Phone::new("alice"), Phone::new("bob"), Phone::new("desk"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let (at_bob, at_desk) = (stage.last("bob"), stage.last("desk"));
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.log();
    stage.send("desk", &desk.reply(&at_desk, 200, "d1", &sdp("desk")));
    stage.expect(
        "desk > 200 INVITE [desk]
         desk < ACK
         desk < BYE",
    );
    let answer = stage.last("alice");
    let dialog = alice.dialog(&invite, &answer);
    stage.send("alice", &alice.ack(&dialog, 2, ""));
    let bye = stage.last("desk");
    stage.send("desk", &desk.reply(&bye, 200, "d1", ""));
    // A downstream proxy lets a third phone answer on Bob's leg.
    stage.log();
    stage.send("bob", &bob.reply(&at_bob, 200, "b2", &sdp("bob2")));
    stage.expect(
        "bob > 200 INVITE [bob2]
         bob < ACK
         bob < BYE",
    );
}

#[test]
fn groups_one_after_the_other() {
    let mut stage = two_phones(1000, 500);
    let (mut alice, bob, desk) = (Phone::new("alice"), Phone::new("bob"), Phone::new("desk"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    assert!(stage.inboxes["desk"].is_empty(), "its turn has not come");
    stage.log();
    stage.send("bob", &bob.reply(&at_bob, 486, "b1", ""));
    stage.expect(
        "bob > 486 INVITE
         bob < ACK
         media < drop 1
         media < offer 0-2
         desk < INVITE [alice/0-2]",
    );
    let at_desk = stage.last("desk");
    stage.send("desk", &desk.reply(&at_desk, 480, "d1", ""));
    assert_eq!(stage.last("alice").status(), Some(Status(486)), "the better of the two");
}

#[test]
fn the_next_group_after_ringing_long_enough() {
    let mut stage = two_phones(1000, 500);
    let (mut alice, bob, desk) = (Phone::new("alice"), Phone::new("bob"), Phone::new("desk"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    stage.log();
    stage.pass(Duration::from_secs(20));
    stage.expect(
        "bob < CANCEL
         media < offer 0-2
         desk < INVITE [alice/0-2]",
    );
    let cancel = stage.last("bob");
    stage.send("bob", &bob.reply(&cancel, 200, "b1", ""));
    stage.send("bob", &bob.reply(&at_bob, 487, "b1", ""));
    let at_desk = stage.last("desk");
    stage.send("desk", &desk.reply(&at_desk, 200, "d1", &sdp("desk")));
    assert_eq!(stage.last("alice").status(), Some(Status(200)));
}

#[test]
fn a_decline_everywhere_ends_the_search() {
    let mut stage = two_phones(1000, 500);
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 603, "b1", ""));
    assert_eq!(stage.last("alice").status(), Some(Status(603)));
    assert!(stage.inboxes["desk"].is_empty());
    stage.pass(Duration::from_secs(90));
    assert!(stage.call.is_idle());
}

#[test]
fn a_broken_connection_means_the_next_phone() {
    let mut stage = two_phones(500, 1000);
    stage.broken = vec!["desk"];
    let mut alice = Phone::new("alice");
    alice.invite(&mut stage, &sdp("alice"));
    stage.last("bob");
}

#[test]
fn a_request_in_a_lost_early_dialog_is_answered() {
    let mut stage = two_phones(1000, 1000);
    let (mut alice, bob, desk) = (Phone::new("alice"), Phone::new("bob"), Phone::new("desk"));
    alice.extra.push((sip::Name::Supported, "100rel".to_owned()));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let (at_bob, at_desk) = (stage.last("bob"), stage.last("desk"));
    let reliable = [(sip::Name::Require, "100rel"), (sip::Name::RSeq, "5")];
    stage.send("bob", &bob.reply_with(&at_bob, 180, "b1", "", &reliable));
    let early = stage.last("alice");
    let mut dialog = alice.dialog(&invite, &early);
    let rack = format!("{} 2 INVITE", early.view().number(sip::Name::RSeq).ok().flatten().expect("RSeq"));
    stage.send("alice", &alice.inside_with(&mut dialog, sip::Method::Prack, "", &[(sip::Name::RAck, &rack)]));
    stage.log();
    stage.send("desk", &desk.reply(&at_desk, 200, "d1", &sdp("desk")));
    stage.expect_of(
        &["alice"],
        "alice < 481 PRACK
         alice < 200 INVITE [desk/2-0]",
    );
}

#[test]
fn one_unacknowledged_phone_does_not_spoil_the_other() {
    let mut stage = two_phones(1000, 1000);
    stage.call = crate::Call::new(&stage.home, stage.key, std::sync::Arc::new(Settings::default()), stage.now);
    let (mut alice, bob, desk) = (Phone::new("alice"), Phone::new("bob"), Phone::new("desk"));
    alice.extra.push((sip::Name::Supported, "100rel".to_owned()));
    alice.invite(&mut stage, &sdp("alice"));
    let (at_bob, at_desk) = (stage.last("bob"), stage.last("desk"));
    let reliable = [(sip::Name::Require, "100rel"), (sip::Name::RSeq, "5")];
    stage.send("bob", &bob.reply_with(&at_bob, 180, "b1", "", &reliable));
    stage.send("desk", &desk.reply(&at_desk, 180, "d1", ""));
    stage.pass(Duration::from_millis(32_200));
    assert_eq!(stage.last("bob").method(), sip::Method::Cancel);
    stage.inboxes.values_mut().for_each(std::collections::VecDeque::clear);
    stage.send("desk", &desk.reply(&at_desk, 200, "d1", &sdp("desk")));
    assert_eq!(stage.last("alice").status(), Some(Status(200)));
}
