//! Session timers, the longest call, and operators.

use std::time::Duration;

use fabric::Machine;
use fabric::letters::control::{Control, ControlAnswer, Description};
use sip::{Method, Name, Status};

use super::Talk;
use crate::settings::Settings;
use crate::testing::{Phone, Stage, sdp};

#[test]
fn the_switch_refreshes_for_both() {
    let Talk { mut stage, alice, bob, .. } = Talk::begin();
    stage.pass(Duration::from_secs(899));
    stage.expect("");
    stage.pass(Duration::from_millis(1_400));
    stage.expect(
        "alice < UPDATE
         bob < UPDATE",
    );
    let (at_alice, at_bob) = (stage.last("alice"), stage.last("bob"));
    assert_eq!(at_alice.view().header(Name::SessionExpires), Some(&b"1800;refresher=uac"[..]));
    stage.send("alice", &alice.reply(&at_alice, 200, "", ""));
    stage.send("bob", &bob.reply(&at_bob, 200, "", ""));
    stage.log();
    stage.pass(Duration::from_secs(890));
    stage.expect("");
    assert!(stage.call.is_quiet());
    // The next time Bob does not answer.
    stage.pass(Duration::from_secs(12));
    let at_alice = stage.last("alice");
    stage.send("alice", &alice.reply(&at_alice, 200, "", ""));
    stage.log();
    stage.pass(Duration::from_millis(30_300));
    stage.expect_of(
        &["records", "media", "alice"],
        "alice < BYE
         media < end
         records < stop SessionExpired",
    );
}

#[test]
fn a_phone_without_update_gets_an_invite() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.extra = vec![(Name::Allow, "INVITE, ACK, BYE, CANCEL".to_owned())];
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    let answer = stage.last("alice");
    let dialog = alice.dialog(&invite, &answer);
    stage.send("alice", &alice.ack(&dialog, 2, ""));
    stage.log();
    stage.pass(Duration::from_millis(900_400));
    stage.expect(
        "alice < INVITE [bob/1-0]
         bob < UPDATE",
    );
    let (at_alice, at_bob) = (stage.last("alice"), stage.last("bob"));
    stage.send("alice", &alice.reply(&at_alice, 200, "", &sdp("alice")));
    stage.send("bob", &bob.reply(&at_bob, 200, "", ""));
    stage.expect(
        "alice > 200 INVITE [alice]
         alice < ACK
         bob > 200 UPDATE",
    );
}

/// A caller that refreshes itself every 90 s.
fn refreshing() -> (Stage, Phone, dialog::Dialog) {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.extra.push((Name::Supported, "timer".to_owned()));
    alice.extra.push((Name::SessionExpires, "90;refresher=uac".to_owned()));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    let answer = stage.last("alice");
    assert_eq!(answer.view().header(Name::SessionExpires), Some(&b"90;refresher=uac"[..]));
    assert!(answer.view().has_option(Name::Require, "timer"));
    let dialog = alice.dialog(&invite, &answer);
    stage.send("alice", &alice.ack(&dialog, 2, ""));
    stage.log();
    (stage, alice, dialog)
}

#[test]
fn the_caller_refreshes() {
    let (mut stage, mut alice, mut dialog) = refreshing();
    let timer = [(Name::Supported, "timer"), (Name::SessionExpires, "90;refresher=uac")];
    stage.pass(Duration::from_secs(45));
    stage.send("alice", &alice.inside_with(&mut dialog, Method::Update, "", &timer));
    stage.expect(
        "alice > UPDATE
         alice < 200 UPDATE",
    );
    stage.pass(Duration::from_secs(45));
    // The same description again: nothing has changed, nobody else has to know.
    let reinvite = alice.inside_with(&mut dialog, Method::Invite, &sdp("alice"), &timer);
    stage.send("alice", &reinvite);
    stage.expect(
        "alice > INVITE [alice]
         alice < 200 INVITE [bob/1-0]",
    );
    let cseq = dialog.local_cseq();
    stage.send("alice", &alice.ack(&dialog, cseq, ""));
    stage.pass(Duration::from_secs(55));
    assert!(stage.log().len() == 1, "it goes on");
}

#[test]
fn the_caller_stops_refreshing() {
    let (mut stage, _alice, _dialog) = refreshing();
    stage.pass(Duration::from_secs(59));
    stage.expect("");
    stage.pass(Duration::from_secs(2));
    let log = stage.log();
    assert!(log.contains(&"records < stop SessionExpired".to_owned()), "{log:?}");
    assert!(log.contains(&"alice < BYE".to_owned()) && log.contains(&"bob < BYE".to_owned()));
}

#[test]
fn the_callee_wants_a_longer_interval() {
    let mut stage = Stage::with(Settings { session_expires_s: 90, ..Settings::default() });
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let first = stage.last("bob");
    stage.log();
    stage.send("bob", &bob.reply_with(&first, 422, "b1", "", &[(Name::MinSe, "600")]));
    stage.expect(
        "bob > 422 INVITE
         bob < ACK
         bob < INVITE [alice/0-1]",
    );
    let second = stage.last("bob");
    assert_eq!(second.view().header(Name::SessionExpires), Some(&b"600"[..]));
    assert_eq!(second.view().header(Name::MinSe), Some(&b"600"[..]));
    assert_eq!(second.view().cseq().map(|cseq| cseq.number).ok(), Some(2));
    stage.send("bob", &bob.reply(&second, 200, "b2", &sdp("bob")));
    assert_eq!(stage.last("alice").status(), Some(Status(200)));
}

#[test]
fn the_longest_call() {
    let settings = Settings { length_max_s: 60, session_expires_s: 0, ..Settings::default() };
    let Talk { mut stage, .. } = Talk::on(Stage::with(settings));
    stage.pass(Duration::from_secs(59));
    stage.expect("");
    stage.pass(Duration::from_secs(1));
    stage.expect(
        "alice < BYE
         bob < BYE
         media < end
         records < stop MaxLength",
    );
}

#[test]
fn an_operator_looks_and_hangs_up() {
    let Talk { mut stage, .. } = Talk::begin();
    let Description::Call(summary) = stage.describe() else { panic!("a call") };
    assert_eq!((summary.state.as_str(), summary.call_id.as_str()), ("established", "c1@alice"));
    assert!(summary.from.contains("alice@example.test") && summary.to.contains("bob@example.test"));
    assert_eq!(stage.control(Control::HangUp), ControlAnswer::Done);
    stage.expect(
        "alice < BYE
         bob < BYE
         media < end
         records < stop Operator",
    );
}
