//! A phone loses its connection in the middle of a call.

use fabric::letters::flow::Transport;
use sip::{Method, Status};

use super::Talk;
use crate::testing::{Stage, sdp};

fn talk() -> Talk {
    let mut stage = Stage::new();
    stage.bindings.clear();
    stage.add_phone("bob", 2, Transport::Tcp);
    stage.bind("bob", "bob", 1000);
    Talk::on(stage)
}

/// Bob's phone comes back with a new connection.
fn reconnect(stage: &mut Stage) {
    stage.broken = vec!["bob"];
    stage.add_phone("bob again", 22, Transport::Tcp);
    stage.bindings.clear();
    stage.bind("bob", "bob again", 1000);
    let bindings = stage.bindings.get_mut("bob@example.test").expect("bound");
    bindings[0].contact = "sip:bob@192.0.2.9:5060".into();
}

#[test]
fn a_reinvite_follows_the_phone() {
    let Talk { mut stage, mut alice, bob, mut alices, .. } = talk();
    reconnect(&mut stage);
    stage.send("alice", &alice.inside(&mut alices, Method::Invite, &sdp("alice2")));
    stage.expect(
        "alice > INVITE [alice2]
         alice < 100 INVITE
         media < offer 0-1
         bob < INVITE [alice2/0-1]
         location < bob@example.test
         bob again < INVITE [alice2/0-1]",
    );
    let at_bob = stage.last("bob again");
    stage.send("bob again", &bob.reply(&at_bob, 200, "", &sdp("bob2")));
    assert_eq!(stage.last("alice").status(), Some(Status(200)));
}

#[test]
fn a_bye_follows_the_phone() {
    let Talk { mut stage, mut alice, mut alices, .. } = talk();
    reconnect(&mut stage);
    stage.send("alice", &alice.inside(&mut alices, Method::Bye, ""));
    stage.expect(
        "alice > BYE
         alice < 200 BYE
         bob < BYE
         location < bob@example.test
         bob again < BYE
         media < end
         records < stop CallerHangup",
    );
}

#[test]
fn the_phone_is_gone_for_good() {
    let Talk { mut stage, mut alice, mut alices, .. } = talk();
    stage.broken = vec!["bob"];
    stage.bindings.clear();
    stage.send("alice", &alice.inside(&mut alices, Method::Info, ""));
    stage.expect(
        "alice > INFO
         bob < INFO
         location < bob@example.test
         alice < 480 INFO
         alice < BYE
         bob < BYE
         media < end
         records < stop Failed",
    );
}

/// The only phone that bob has left is another one: it has no part in this call, and is not told of it.
#[test]
fn another_phone_is_left_in_peace() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let Talk { mut stage, mut alice, mut alices, .. } = talk();
        stage.broken = vec!["bob"];
        stage.add_phone("desk", 33, transport);
        stage.bindings.clear();
        stage.bind("bob", "desk", 1000);
        stage.send("alice", &alice.inside(&mut alices, Method::Info, ""));
        stage.expect(
            "alice > INFO
             bob < INFO
             location < bob@example.test
             alice < 480 INFO
             alice < BYE
             bob < BYE
             media < end
             records < stop Failed",
        );
    }
}
