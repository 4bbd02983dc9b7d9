//! The call that everything else is a variation of.

use std::time::Duration;

use fabric::Machine;
use fabric::letters::record::Record;
use sip::{Method, Name};

use crate::testing::{Phone, Stage, sdp};

#[test]
fn answered_and_ended_by_the_caller() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    stage.expect(
        "alice > INVITE [alice]
         alice < 407 INVITE
         alice > ACK
         alice > INVITE [alice]
         alice < 100 INVITE
         store < alice@example.test
         store < bob@example.test
         location < bob@example.test
         media < offer 0-1
         bob < INVITE [alice/0-1]",
    );
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 100, "", ""));
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    stage.pass(Duration::from_secs(2));
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    stage.expect(
        "bob > 100 INVITE
         bob > 180 INVITE
         alice < 180 INVITE
         bob > 200 INVITE [bob]
         bob < ACK
         media < answer 1-0
         alice < 200 INVITE [bob/1-0]
         records < start 4311001 to bob",
    );
    let answer = stage.last("alice");
    let mut dialog = alice.dialog(&invite, &answer);
    stage.send("alice", &alice.ack(&dialog, 2, ""));
    stage.pass(Duration::from_secs(60));
    stage.expect("alice > ACK");
    assert!(stage.call.is_quiet() && !stage.call.is_idle(), "an established call is quiet");
    stage.send("alice", &alice.inside(&mut dialog, Method::Bye, ""));
    stage.expect(
        "alice > BYE
         alice < 200 BYE
         bob < BYE
         media < end
         records < stop CallerHangup",
    );
    let bye = stage.last("bob");
    stage.send("bob", &bob.reply(&bye, 200, "", ""));
    stage.expect("bob > 200 BYE");
    stage.pass(Duration::from_secs(40));
    stage.expect("");
    assert!(stage.call.is_idle(), "nothing is left of a call that has ended");
    let Record::Stop { stop, .. } = &stage.records[1] else { panic!("a stop") };
    assert_eq!(stop.duration_ms, 60_000);
    let Record::Start(start) = &stage.records[0] else { panic!("a start") };
    assert_eq!(start.call_id, "c1@alice");
    assert_eq!((start.start_ms - start.init_ms, start.ring_ms - start.init_ms), (2_000, 0));
    assert_eq!((start.routed.as_str(), start.dialled.as_str()), ("sip:bob@192.0.2.2:5060", "sip:bob@example.test"));
}

#[test]
fn legs_share_nothing() {
    let mut stage = Stage::new();
    let mut alice = Phone::new("alice");
    alice.extra.push((Name::UserAgent, "alice-phone".to_owned()));
    alice.extra.push((Name::Subject, "lunch".to_owned()));
    alice.extra.push((Name::PAssertedIdentity, "<sip:president@example.test>".to_owned()));
    alice.extra.push((Name::RecordRoute, "<sip:10.0.0.1;lr>".to_owned()));
    alice.extra.push((Name::Diversion, "<sip:x@y>".to_owned()));
    alice.extra.push((Name::CallInfo, "<http://10.0.0.1/>".to_owned()));
    alice.from = "\"Alice\" <sip:alice@example.test:5080;user=phone>".to_owned();
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    let text = String::from_utf8_lossy(at_bob.bytes()).into_owned();
    for secret in ["c1@alice", "tag=a1", "192.0.2.1:5060", "president", "10.0.0.1", "x@y", "Proxy-Auth", "5080"] {
        assert!(!text.contains(secret), "{secret} leaks:\n{text}");
    }
    for shown in ["\"Alice\" <sip:alice@example.test>", "Subject: lunch", "alice-phone", "Max-Forwards: 69"] {
        assert!(text.contains(shown), "{shown} is missing:\n{text}");
    }
    assert!(text.contains("P-Asserted-Identity: <sip:4311001@example.test>"));
    assert!(text.starts_with("INVITE sip:bob@192.0.2.2:5060 SIP/2.0"));
}

#[test]
fn identifiers_are_functions_of_the_call() {
    let run = || {
        let mut stage = Stage::new();
        Phone::new("alice").invite(&mut stage, &sdp("alice"));
        stage.last("bob").bytes().clone()
    };
    assert_eq!(run(), run());
}

#[test]
fn ended_by_the_callee() {
    let mut stage = Stage::new();
    let (mut alice, mut bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
    let answer = stage.last("alice");
    let dialog = alice.dialog(&invite, &answer);
    stage.log();
    let mut bobs = bob.called(&at_bob, "b1");
    stage.send("bob", &bob.inside(&mut bobs, Method::Bye, ""));
    // The caller has not acknowledged yet: its BYE waits (RFC 3261 15).
    stage.expect(
        "bob > BYE
         bob < 200 BYE
         media < end
         records < stop CalleeHangup",
    );
    stage.send("alice", &alice.ack(&dialog, 2, ""));
    stage.expect(
        "alice > ACK
         alice < BYE",
    );
    let bye = stage.last("alice");
    stage.send("alice", &alice.reply(&bye, 200, "", ""));
    stage.pass(Duration::from_secs(64));
    stage.expect("alice > 200 BYE");
    assert!(stage.call.is_idle());
}
