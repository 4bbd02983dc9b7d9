//! The media session fails, or is not to be had.

use fabric::Fault;
use sip::{Method, Status};

use super::Talk;
use crate::settings::{Settings, WithoutRelay};
use crate::testing::{Phone, Stage, named, sdp};

#[test]
fn no_relay_means_no_call() {
    let mut stage = Stage::new();
    stage.media_fault = Some(Fault::unavailable("no rtpengine"));
    let mut alice = Phone::new("alice");
    alice.invite(&mut stage, &sdp("alice"));
    assert_eq!(stage.last("alice").status(), Some(Status(503)));
    assert!(stage.inboxes["bob"].is_empty(), "nobody rings for a call that cannot be heard");
}

#[test]
fn no_relay_and_a_policy_that_does_without() {
    let mut stage = Stage::with(Settings { without_relay: WithoutRelay::Unanchored, ..Settings::default() });
    stage.media_fault = Some(Fault::unavailable("no rtpengine"));
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    assert_eq!(named(&at_bob), "alice");
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    assert_eq!(named(&stage.last("alice")), "bob");
}

#[test]
fn the_relay_refuses_the_description() {
    let mut stage = Stage::new();
    stage.media_fault = Some(Fault::refused("syntax"));
    let mut alice = Phone::new("alice");
    alice.invite(&mut stage, &sdp("alice"));
    assert_eq!(stage.last("alice").status(), Some(Status(488)));
}

#[test]
fn the_relay_dies_before_the_answer() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.media_fault = Some(Fault::unavailable("dead"));
    stage.log();
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.expect(
        "bob > 200 INVITE [bob]
         bob < ACK
         media < answer 1-0
         alice < 503 INVITE
         records < attempt 503 Failed
         media < end
         bob < BYE",
    );
}

#[test]
fn the_relay_dies_during_the_call() {
    let Talk { mut stage, mut alice, bob, mut alices, .. } = Talk::begin();
    stage.media_fault = Some(Fault::unavailable("dead"));
    stage.send("alice", &alice.inside(&mut alices, Method::Invite, &sdp("alice2")));
    assert_eq!(stage.last("alice").status(), Some(Status(503)), "the change fails");
    stage.send("alice", &alice.inside(&mut alices, Method::Info, ""));
    let info = stage.last("bob");
    stage.send("bob", &bob.reply(&info, 200, "", ""));
    assert_eq!(stage.last("alice").status(), Some(Status(200)), "signalling goes on");
    stage.log();
    stage.send("alice", &alice.inside(&mut alices, Method::Bye, ""));
    stage.expect(
        "alice > BYE
         alice < 200 BYE
         bob < BYE
         media < end
         records < stop CallerHangup",
    );
}
