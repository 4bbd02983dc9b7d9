//! Who may call whom.

use std::time::Duration;

use fabric::Machine;
use fabric::letters::subscriber::Lock;
use sip::{Method, Name};

use crate::settings::Settings;
use crate::testing::{Phone, Stage, sdp};

fn refused(stage: &mut Stage, alice: &mut Phone, status: u16) {
    alice.invite(stage, &sdp("alice"));
    let answer = stage.last("alice");
    assert_eq!(answer.status().map(|status| status.0), Some(status), "{answer:?}");
    assert!(stage.inboxes["bob"].is_empty(), "nobody rings");
}

#[test]
fn who_is_called() {
    // Request-URI, status
    let rows = [
        ("sip:carol@example.test", 480),
        ("sip:nobody@example.test", 404),
        ("sip:bob@elsewhere.test", 403),
        ("sip:4319999@example.test", 404),
        ("mailto:bob@example.test", 416),
        ("sip:example.test", 404),
        ("tel:+4319999", 404),
        ("tel:+4311003", 480),
        ("sip:carol@198.51.100.1", 480),
    ];
    for (uri, status) in rows {
        let (mut stage, mut alice) = (Stage::new(), Phone::new("alice"));
        alice.uri = uri.to_owned();
        println!("{uri}");
        refused(&mut stage, &mut alice, status);
        let log = stage.log();
        let attempt = format!("records < attempt {status} Failed");
        assert!(log.contains(&attempt), "no record: {log:?}");
    }
}

#[test]
fn numbers_ring_their_subscriber() {
    for uri in ["sip:4311002@example.test", "tel:+43-1-1002", "sip:bob@198.51.100.1"] {
        let (mut stage, mut alice) = (Stage::new(), Phone::new("alice"));
        alice.uri = uri.to_owned();
        alice.invite(&mut stage, &sdp("alice"));
        assert_eq!(stage.last("bob").view().uri(), b"sip:bob@192.0.2.2:5060", "{uri}");
    }
}

#[test]
fn from_must_belong_to_the_user() {
    // From, status (0: rings)
    let rows = [
        ("<sip:bob@example.test>", 403),
        ("<sip:4311002@example.test>", 403),
        ("<sip:4311001@example.test>", 0),
        ("<sip:+4311001@example.test>", 0),
        ("\"Anonymous\" <sip:anonymous@anonymous.invalid>", 0),
    ];
    for (from, status) in rows {
        let (mut stage, mut alice) = (Stage::new(), Phone::new("alice"));
        alice.from = from.to_owned();
        println!("{from}");
        if status > 0 {
            refused(&mut stage, &mut alice, status);
        } else {
            alice.invite(&mut stage, &sdp("alice"));
            stage.last("bob");
        }
    }
}

#[test]
fn locks() {
    // caller's lock, callee's lock, status (0: rings)
    let rows = [
        (Lock::None, Lock::None, 0),
        (Lock::Foreign, Lock::None, 0),
        (Lock::Outgoing, Lock::None, 403),
        (Lock::All, Lock::None, 403),
        (Lock::Global, Lock::None, 403),
        (Lock::Ported, Lock::None, 403),
        (Lock::None, Lock::Outgoing, 0),
        (Lock::None, Lock::All, 403),
        (Lock::None, Lock::Global, 403),
        (Lock::None, Lock::Ported, 404),
    ];
    for (caller, callee, status) in rows {
        let (mut stage, mut alice) = (Stage::new(), Phone::new("alice"));
        stage.subscribers.get_mut("alice").expect("alice").lock = caller;
        stage.subscribers.get_mut("bob").expect("bob").lock = callee;
        println!("{caller:?} {callee:?}");
        if status > 0 {
            refused(&mut stage, &mut alice, status);
        } else {
            alice.invite(&mut stage, &sdp("alice"));
            stage.last("bob");
        }
    }
}

#[test]
fn wrong_password_and_unknown_user_look_alike() {
    for user in ["alice", "mallory"] {
        let settings = Settings { digest_sha256: true, ..Settings::default() };
        let (mut stage, mut alice) = (Stage::with(settings), Phone::new("alice"));
        if user == "alice" {
            stage.subscribers.get_mut("alice").expect("alice").ha1_md5 = [0; 16];
            stage.subscribers.get_mut("alice").expect("alice").ha1_sha256 = [0; 32];
        } else {
            stage.subscribers.remove("alice");
        }
        alice.invite(&mut stage, &sdp("alice"));
        let answer = stage.last("alice");
        assert_eq!(answer.status().map(|status| status.0), Some(407));
        assert_eq!(answer.view().headers(Name::ProxyAuthenticate).count(), 2, "SHA-256 and MD5");
        assert!(stage.records.is_empty(), "nobody knows whose attempt it was");
    }
}

#[test]
fn a_nonce_count_is_good_once() {
    let (mut stage, mut alice) = (Stage::new(), Phone::new("alice"));
    alice.uri = "sip:carol@example.test".to_owned();
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let refusal = stage.last("alice");
    assert_eq!(refusal.status().map(|status| status.0), Some(480));
    stage.send("alice", &alice.ack_failure(&invite, &refusal));
    stage.pass(Duration::from_secs(10));
    assert!(!stage.call.is_idle(), "the nonce is still alive");
    // The same credentials again, in a request that claims to be a new one.
    let credentials = invite.view().header(Name::ProxyAuthorization).expect("credentials").to_vec();
    let again = alice.request(Method::Invite, &sdp("alice")).header(Name::ProxyAuthorization, credentials).build();
    stage.send("alice", &again);
    assert_eq!(stage.last("alice").status().map(|status| status.0), Some(407));
    stage.send("alice", &alice.ack_failure(&again, &refusal));
    stage.pass(Duration::from_secs(90));
    assert!(stage.call.is_idle(), "the nonce is dead, and so is the call");
}

#[test]
fn trusted_sources_are_not_challenged() {
    let settings = Settings { trusted: vec!["192.0.2.1".parse().expect("address")], ..Settings::default() };
    let (mut stage, mut alice) = (Stage::with(settings), Phone::new("alice"));
    alice.from = "<sip:+12025550123@carrier.test>".to_owned();
    alice.extra.push((Name::PAssertedIdentity, "<sip:+12025550123@carrier.test>".to_owned()));
    alice.extra.push((Name::Diversion, "<sip:+12025550199@carrier.test>".to_owned()));
    stage.send("alice", &alice.request(Method::Invite, &sdp("alice")).build());
    stage.expect(
        "alice > INVITE [alice]
         alice < 100 INVITE
         store < bob@example.test
         location < bob@example.test
         media < offer 0-1
         bob < INVITE [alice/0-1]",
    );
    let at_bob = stage.last("bob");
    assert!(at_bob.view().has(Name::PAssertedIdentity) && at_bob.view().has(Name::Diversion));
}

#[test]
fn privacy_hides_the_number() {
    let (mut stage, mut alice) = (Stage::new(), Phone::new("alice"));
    alice.extra.push((Name::Privacy, "user;id".to_owned()));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    assert!(!at_bob.view().has(Name::PAssertedIdentity));
    let text = String::from_utf8_lossy(at_bob.bytes()).into_owned();
    assert!(text.contains("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>"), "{text}");
}

#[test]
fn other_methods_are_challenged_first() {
    // method, status after the challenge
    let rows = [(Method::Subscribe, 489), (Method::Publish, 489), (Method::Notify, 481), (Method::Refer, 603)];
    for (method, status) in rows {
        let (mut stage, mut alice) = (Stage::new(), Phone::new("alice"));
        stage.send("alice", &alice.request(method, "").build());
        let challenge = stage.last("alice");
        assert_eq!(challenge.status().map(|status| status.0), Some(407), "{method}");
        let builder = alice.request(method, "");
        let request = alice.authorise(&challenge, builder, method.as_str());
        stage.send("alice", &request);
        assert_eq!(stage.last("alice").status().map(|status| status.0), Some(status), "{method}");
    }
}
