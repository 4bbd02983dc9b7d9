//! Blind transfer by the switch.

use std::time::Duration;

use fabric::Machine;
use fabric::letters::flow::Transport;
use sip::{Method, Name, Status};

use super::Talk;
use crate::settings::{Refer, Settings};
use crate::testing::{Phone, Stage, sdp};

fn talk() -> Talk {
    let mut stage = Stage::with(Settings { refer: Refer::Transfer, ..Settings::default() });
    stage.add_phone("carol", 3, Transport::Udp);
    stage.bind("carol", "carol", 1000);
    Talk::on(stage)
}

const TO_CAROL: [(Name, &str); 1] = [(Name::ReferTo, "<sip:carol@example.test>")];

#[test]
fn the_callee_transfers_the_caller() {
    let Talk { mut stage, alice, mut bob, mut bobs, .. } = talk();
    let carol = Phone::new("carol");
    stage.send("bob", &bob.inside_with(&mut bobs, Method::Refer, "", &TO_CAROL));
    stage.expect(
        "bob > REFER
         bob < 202 REFER
         bob < NOTIFY
         store < bob@example.test
         store < carol@example.test
         location < carol@example.test
         carol < INVITE",
    );
    let trying = stage.last("bob");
    assert_eq!(trying.view().body(), b"SIP/2.0 100 Trying\r\n");
    stage.send("bob", &bob.reply(&trying, 200, "", ""));
    let at_carol = stage.last("carol");
    assert!(String::from_utf8_lossy(at_carol.bytes()).contains("From: <sip:alice@example.test>"));
    stage.send("carol", &carol.reply(&at_carol, 180, "c1", ""));
    stage.send("carol", &carol.reply(&at_carol, 200, "c1", &sdp("carol")));
    stage.expect(
        "bob > 200 NOTIFY
         carol > 180 INVITE
         carol > 200 INVITE [carol]
         media < offer 2-0
         alice < INVITE [carol/2-0]",
    );
    let at_alice = stage.last("alice");
    stage.send("alice", &alice.reply(&at_alice, 200, "", &sdp("alice2")));
    stage.expect(
        "alice > 200 INVITE [alice2]
         alice < ACK
         media < answer 0-2
         carol < ACK [alice2/0-2]
         bob < NOTIFY
         records < stop CalleeHangup
         records < start 4311002 to carol",
    );
    // Side by side the BYE could overtake the NOTIFY.
    let done = stage.last("bob");
    assert_eq!(done.view().body(), b"SIP/2.0 200 OK\r\n");
    stage.send("bob", &bob.reply(&done, 200, "", ""));
    stage.expect(
        "bob > 200 NOTIFY
         bob < BYE",
    );
    let bye = stage.last("bob");
    stage.send("bob", &bob.reply(&bye, 200, "", ""));
    stage.pass(Duration::from_secs(64));
    stage.log();
    assert!(stage.call.is_quiet(), "an established call");
    let mut carols = carol.called(&at_carol, "c1");
    let mut carol = carol;
    stage.send("carol", &carol.inside(&mut carols, Method::Bye, ""));
    stage.expect(
        "carol > BYE
         carol < 200 BYE
         alice < BYE
         media < end
         records < stop CalleeHangup",
    );
}

#[test]
fn who_never_answers_the_last_notify_is_let_go_in_the_end() {
    let Talk { mut stage, alice, mut bob, mut bobs, .. } = talk();
    let carol = Phone::new("carol");
    stage.send("bob", &bob.inside_with(&mut bobs, Method::Refer, "", &TO_CAROL));
    let at_carol = stage.last("carol");
    stage.send("carol", &carol.reply(&at_carol, 200, "c1", &sdp("carol")));
    let at_alice = stage.last("alice");
    stage.send("alice", &alice.reply(&at_alice, 200, "", &sdp("alice2")));
    assert_eq!(stage.last("bob").method(), Method::Notify);
    stage.pass(Duration::from_secs(33));
    assert_eq!(stage.last("bob").method(), Method::Bye);
}

#[test]
fn the_caller_transfers_and_hangs_up_at_once() {
    let Talk { mut stage, mut alice, bob, mut alices, .. } = talk();
    let carol = Phone::new("carol");
    stage.send("alice", &alice.inside_with(&mut alices, Method::Refer, "", &TO_CAROL));
    let at_carol = stage.last("carol");
    stage.log();
    stage.send("alice", &alice.inside(&mut alices, Method::Bye, ""));
    stage.expect(
        "alice > BYE
         alice < 200 BYE",
    );
    stage.send("carol", &carol.reply(&at_carol, 200, "c1", &sdp("carol")));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 200, "", &sdp("bob2")));
    stage.expect(
        "carol > 200 INVITE [carol]
         media < offer 2-1
         bob < INVITE [carol/2-1]
         bob > 200 INVITE [bob2]
         bob < ACK
         media < answer 1-2
         carol < ACK [bob2/1-2]
         records < stop CallerHangup
         records < start 4311001 to carol",
    );
}

#[test]
fn the_target_is_busy() {
    let Talk { mut stage, bob: mut phone, mut bobs, .. } = talk();
    stage.send("bob", &phone.inside_with(&mut bobs, Method::Refer, "", &TO_CAROL));
    let at_carol = stage.last("carol");
    stage.log();
    stage.send("carol", &Phone::new("carol").reply(&at_carol, 486, "c1", ""));
    stage.expect(
        "carol > 486 INVITE
         carol < ACK
         records < attempt 486 Failed
         bob < NOTIFY",
    );
    assert_eq!(stage.last("bob").view().body(), b"SIP/2.0 486 Busy Here\r\n");
    // The old call goes on.
    stage.send("bob", &phone.inside(&mut bobs, Method::Bye, ""));
    stage.expect(
        "bob > BYE
         bob < 200 BYE
         alice < BYE
         media < end
         records < stop CalleeHangup",
    );
}

#[test]
fn the_target_is_busy_and_the_transferring_party_gone() {
    let Talk { mut stage, mut bob, mut bobs, .. } = talk();
    stage.send("bob", &bob.inside_with(&mut bobs, Method::Refer, "", &TO_CAROL));
    let at_carol = stage.last("carol");
    stage.send("bob", &bob.inside(&mut bobs, Method::Bye, ""));
    stage.log();
    stage.send("carol", &Phone::new("carol").reply(&at_carol, 486, "c1", ""));
    stage.expect(
        "carol > 486 INVITE
         carol < ACK
         records < attempt 486 Failed
         alice < BYE
         media < end
         records < stop CalleeHangup",
    );
}

#[test]
fn the_transferred_party_hangs_up() {
    let Talk { mut stage, mut alice, mut bob, mut alices, mut bobs, .. } = talk();
    stage.send("bob", &bob.inside_with(&mut bobs, Method::Refer, "", &TO_CAROL));
    let at_carol = stage.last("carol");
    stage.send("carol", &Phone::new("carol").reply(&at_carol, 180, "c1", ""));
    stage.log();
    stage.send("alice", &alice.inside(&mut alices, Method::Bye, ""));
    stage.expect(
        "alice > BYE
         alice < 200 BYE
         records < attempt 487 Cancelled
         carol < CANCEL
         bob < BYE
         media < end
         records < stop CallerHangup",
    );
}

#[test]
fn attended_transfer_is_declined() {
    let Talk { mut stage, mut bob, mut bobs, .. } = talk();
    let attended = [(Name::ReferTo, "<sip:carol@example.test?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>")];
    stage.send("bob", &bob.inside_with(&mut bobs, Method::Refer, "", &attended));
    assert_eq!(stage.last("bob").status(), Some(Status(603)));
}
