//! Calls that come to nothing, and requests that are wrong.

use std::time::Duration;

use fabric::Machine;
use fabric::letters::control::{Control, ControlAnswer};
use sip::{Method, Name, Status};

use crate::settings::Settings;
use crate::testing::{Phone, Stage, sdp};

#[test]
fn busy() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.log();
    let extra = [(Name::RetryAfter, "30"), (Name::Warning, "399 10.0.0.7 \"secret host\"")];
    stage.send("bob", &bob.reply_with(&at_bob, 486, "b1", "", &extra));
    stage.expect(
        "bob > 486 INVITE
         bob < ACK
         alice < 486 INVITE
         records < attempt 486 Failed
         media < end",
    );
    let refusal = stage.last("alice");
    assert_eq!(refusal.view().header(Name::RetryAfter), Some(&b"30"[..]));
    assert!(!refusal.view().has(Name::Warning), "names hosts of the callee's network");
    stage.send("alice", &alice.ack_failure(&invite, &refusal));
    stage.pass(Duration::from_secs(90));
    stage.expect("alice > ACK");
    assert!(stage.call.is_idle());
}

#[test]
fn what_the_caller_is_told() {
    // callee's final, caller's final
    for (final_response, told) in [(603, 603), (404, 404), (503, 500), (401, 403), (407, 403), (302, 480), (600, 600)] {
        let mut stage = Stage::new();
        let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
        alice.invite(&mut stage, &sdp("alice"));
        let at_bob = stage.last("bob");
        let challenge = [(Name::ProxyAuthenticate, "Digest realm=\"evil\", nonce=\"1\"")];
        stage.send("bob", &bob.reply_with(&at_bob, final_response, "b1", "", &challenge));
        let answer = stage.last("alice");
        assert_eq!(answer.status(), Some(Status(told)), "{final_response}");
        assert!(!answer.view().has(Name::ProxyAuthenticate));
    }
}

#[test]
fn nobody_answers() {
    let mut stage = Stage::with(Settings { ring_max_s: 30, ..Settings::default() });
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    stage.log();
    stage.pass(Duration::from_secs(29));
    stage.expect("");
    stage.pass(Duration::from_secs(1));
    stage.expect(
        "bob < CANCEL
         alice < 408 INVITE
         records < attempt 408 Failed
         media < end",
    );
    let cancel = stage.last("bob");
    assert!(cancel.view().has(Name::Reason));
    stage.send("bob", &bob.reply(&cancel, 200, "b1", ""));
    stage.send("bob", &bob.reply(&at_bob, 487, "b1", ""));
    // The caller has died while it rang: nobody acknowledges, and the call ends all the same.
    stage.pass(Duration::from_secs(90));
    assert!(stage.call.is_idle());
}

#[test]
fn the_phone_is_silent() {
    let mut stage = Stage::new();
    Phone::new("alice").invite(&mut stage, &sdp("alice"));
    stage.log();
    stage.pass(Duration::from_secs(33));
    stage.expect_of(
        &["alice", "records"],
        "alice < 408 INVITE
         records < attempt 408 Failed
         alice < 408 INVITE",
    );
}

#[test]
fn the_connection_is_gone() {
    let mut stage = Stage::new();
    stage.broken = vec!["bob"];
    Phone::new("alice").invite(&mut stage, &sdp("alice"));
    assert_eq!(stage.last("alice").status(), Some(Status(480)));
}

#[test]
fn wrong_requests() {
    // what is wrong, header, value, status
    let rows: [(&str, Name, &str, u16); 6] = [
        ("unknown extension", Name::Require, "teleport", 420),
        ("unknown extension for proxies", Name::ProxyRequire, "teleport", 420),
        ("other body", Name::ContentType, "text/html", 415),
        ("packed body", Name::ContentEncoding, "gzip", 415),
        ("interval too small", Name::SessionExpires, "30", 422),
        ("broken session description", Name::Subject, "broken", 488),
    ];
    for (what, name, value, status) in rows {
        let mut stage = Stage::new();
        let mut alice = Phone::new("alice");
        alice.extra.push((Name::Supported, "timer".to_owned()));
        alice.extra.push((name, value.to_owned()));
        let body = if status == 488 { "v=0\r\nb=nonsense\r\n".to_owned() } else { sdp("alice") };
        let request = alice.request(Method::Invite, &body).build();
        stage.send("alice", &request);
        let answer = stage.last("alice");
        assert_eq!(answer.status(), Some(Status(status)), "{what}");
        let hint = match status {
            420 => Name::Unsupported,
            415 => Name::Accept,
            422 => Name::MinSe,
            _ => continue,
        };
        assert!(answer.view().has(hint), "{what}");
    }
}

#[test]
fn no_hops_left_and_loops() {
    let mut stage = Stage::new();
    let mut alice = Phone::new("alice");
    let via = alice.via();
    let request = sip::Builder::request(Method::Invite, b"sip:bob@example.test")
        .header(Name::Via, via)
        .header(Name::MaxForwards, "0")
        .header(Name::From, "<sip:alice@example.test>;tag=a1")
        .header(Name::To, "<sip:bob@example.test>")
        .header(Name::CallId, "c1@alice")
        .header(Name::CSeq, "1 INVITE")
        .build();
    stage.send("alice", &request);
    assert_eq!(stage.last("alice").status(), Some(Status(483)));

    let mut stage = Stage::new();
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    let ours = at_bob.view().header(Name::Via).expect("a Via").to_vec();
    let mut alice = Phone::new("alice");
    alice.cseq = 9;
    let looped = alice.request(Method::Message, "").header(Name::Via, ours).build();
    stage.send("alice", &looped);
    assert_eq!(stage.last("alice").status(), Some(Status(482)));
}

#[test]
fn strays() {
    // A BYE, an ACK and a CANCEL for a call that nobody knows.
    let mut stage = Stage::new();
    let mut alice = Phone::new("alice");
    alice.to_tag = Some("gone");
    let bye = alice.request(Method::Bye, "").build();
    stage.send("alice", &bye);
    assert_eq!(stage.last("alice").status(), Some(Status(481)));
    let ack = alice.request(Method::Ack, "").build();
    stage.send("alice", &ack);
    let cancel = alice.request(Method::Cancel, "").build();
    stage.send("alice", &cancel);
    stage.expect(
        "alice > BYE
         alice < 481 BYE
         alice > ACK
         alice > CANCEL
         alice < 481 CANCEL",
    );
    stage.pass(Duration::from_secs(33));
    assert!(stage.call.is_idle());
}

#[test]
fn an_operator_hangs_up() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    stage.log();
    assert_eq!(stage.control(Control::HangUp), ControlAnswer::Done);
    stage.expect(
        "alice < 480 INVITE
         records < attempt 480 Failed
         bob < CANCEL
         media < end",
    );
    assert!(matches!(stage.control(Control::HangUp), ControlAnswer::Refused(_)));
}
