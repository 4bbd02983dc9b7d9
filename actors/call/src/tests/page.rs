//! MESSAGE and OPTIONS outside dialogs.

use std::time::Duration;

use fabric::Machine;
use sip::{Method, Status};

use crate::testing::{Phone, Stage};

fn page(stage: &mut Stage, method: Method<'static>) -> Phone {
    let mut alice = Phone::new("alice");
    stage.send("alice", &alice.request(method, "hello").build());
    let challenge = stage.last("alice");
    let builder = alice.request(method, "hello");
    let request = alice.authorise(&challenge, builder, method.as_str());
    stage.send("alice", &request);
    alice
}

#[test]
fn passed_to_the_phones() {
    for method in [Method::Message, Method::Options] {
        let mut stage = Stage::new();
        page(&mut stage, method);
        let at_bob = stage.last("bob");
        assert_eq!((at_bob.method(), at_bob.view().body()), (method.to_owned(), &b"hello"[..]));
        let bob = Phone::new("bob");
        stage.log();
        stage.send("bob", &bob.reply(&at_bob, 200, "b1", ""));
        stage.expect(&format!("bob > 200 {method}\nalice < 200 {method}"));
        stage.pass(Duration::from_secs(64));
        assert!(stage.call.is_idle() && stage.records.is_empty());
    }
}

#[test]
fn nobody_takes_it() {
    let mut stage = Stage::new();
    page(&mut stage, Method::Message);
    let at_bob = stage.last("bob");
    stage.send("bob", &Phone::new("bob").reply(&at_bob, 415, "b1", ""));
    assert_eq!(stage.last("alice").status(), Some(Status(415)));
    stage.pass(Duration::from_secs(64));
    assert!(stage.call.is_idle());
}

#[test]
fn two_at_once() {
    let mut stage = Stage::new();
    let mut alice = page(&mut stage, Method::Message);
    let first = stage.last("bob");
    stage.send("alice", &alice.request(Method::Message, "again").build());
    let challenge = stage.last("alice");
    let builder = alice.request(Method::Message, "again");
    let request = alice.authorise(&challenge, builder, "MESSAGE");
    stage.send("alice", &request);
    let second = stage.last("bob");
    let bob = Phone::new("bob");
    stage.send("bob", &bob.reply(&second, 200, "b2", ""));
    assert_eq!(stage.last("alice").view().cseq().map(|cseq| cseq.number).ok(), Some(4));
    stage.send("bob", &bob.reply(&first, 200, "b1", ""));
    assert_eq!(stage.last("alice").view().cseq().map(|cseq| cseq.number).ok(), Some(2));
}
