//! kill -9.

use std::net::UdpSocket;
use std::time::Duration;

use crate::stage::{DOMAIN, Props, Stage};

/// Registrations that must survive.
const CONTACTS: usize = 10_000;

/// Contacts of each subscriber.
const CONTACTS_EACH: usize = 5;

/// A flood limit would do its work here; the test wants thousands of REGISTERs from one address.
const TRUSTED: &str = "[balancer]\ntrusted = [\"127.10.101.99\"]\n[call]\nwithout_relay = \"unanchored\"\n";

#[test]
fn ten_thousand_registrations_survive_a_kill() {
    let mut stage = Stage::new(101, Props { relay: false, toml: TRUSTED });
    stage.switch.provision(&(0..CONTACTS / CONTACTS_EACH).map(|number| format!("crowd{number}")).collect::<Vec<_>>());
    let socket = UdpSocket::bind("127.10.101.99:5060").expect("an address of the test");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    for number in 0..CONTACTS {
        register(&socket, &stage, number);
    }
    let count = |stage: &Stage| stage.switch.ctl(&["status"])["registrations"].as_u64();
    assert_eq!(count(&stage), Some(CONTACTS as u64));
    let outage = stage.switch.crash_and_restart();
    assert_eq!(count(&stage), Some(CONTACTS as u64), "every acknowledged registration is found again");
    assert!(outage < Duration::from_secs(2), "ready again after {outage:?}");
    println!("ready again {outage:?} after kill -9 with {CONTACTS} registrations");
    let callee = stage.sipp(&stage.phone(2), crate::calls::ANSWERS_AND_IS_HUNG_UP);
    stage.register(&stage.phone(2));
    let callee = callee.start();
    stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).run().passed();
    callee.end().passed();
}

/// Registers one contact of a subscriber, answering the challenge.
fn register(socket: &UdpSocket, stage: &Stage, number: usize) {
    let user = format!("crowd{}", number / CONTACTS_EACH);
    let challenge = exchange(socket, stage, &user, number, 1, "");
    let line = challenge.lines().find(|line| line.starts_with("WWW-Authenticate:") && line.contains("MD5")).expect("a challenge");
    let challenge = auth::Challenge::parse(line["WWW-Authenticate:".len()..].trim().as_bytes()).expect("a challenge that can be read");
    let ha1 = auth::Ha1::of(&user, DOMAIN, "secret");
    let answering = auth::Answering { user: &user, ha1: &ha1, method: "REGISTER", uri: "sip:example.test", cnonce: "0a4f113b", nc: 1 };
    let credentials = auth::respond(&challenge, &answering).expect("a challenge that can be answered");
    let answer = exchange(socket, stage, &user, number, 2, &format!("Authorization: {credentials}\r\n"));
    assert!(answer.starts_with("SIP/2.0 200 "), "registration {number}: {answer}");
}

fn exchange(socket: &UdpSocket, stage: &Stage, user: &str, number: usize, cseq: u32, authorization: &str) -> String {
    let request = format!(
        "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.10.101.99:5060;branch=z9hG4bK{number}x{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@example.test>;tag={number}\r\nTo: <sip:{user}@example.test>\r\nCall-ID: c{number}@kill\r\nCSeq: {cseq} REGISTER\r\n\
         Contact: <sip:{user}@127.10.101.99:5060;n={number}>\r\nExpires: 3600\r\n{authorization}Content-Length: 0\r\n\r\n"
    );
    let mut buffer = [0; 65_535];
    for _ in 0..3 {
        socket.send_to(request.as_bytes(), stage.switch.sip).expect("sent");
        while let Ok(length) = socket.recv(&mut buffer) {
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if answer.contains(&format!("CSeq: {cseq} REGISTER")) && answer.contains(&format!("c{number}@kill")) {
                return answer;
            }
        }
    }
    panic!("no answer to REGISTER {number}");
}
