//! kill -9.

use std::collections::{HashMap, VecDeque};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::stage::{DOMAIN, Props, Stage, ip};

/// Registrations that must survive.
const CONTACTS: usize = 10_000;

/// Contacts of each subscriber.
const CONTACTS_EACH: usize = 5;

/// Requests that wait for their answer at a time.
const OUTSTANDING: usize = 64;

const NET: u8 = 101;

#[test]
fn ten_thousand_registrations_survive_a_kill() {
    // A flood limit would do its work here; the test wants thousands of REGISTERs from one address.
    let toml = format!("[balancer]\ntrusted = [\"{}\"]\n[call]\nwithout_relay = \"unanchored\"\n", ip(NET, 99));
    let mut stage = Stage::new(NET, Props { toml: &toml, ..Props::default() });
    let users = (0..CONTACTS / CONTACTS_EACH).map(|number| format!("crowd{number}"));
    stage.switch.provision(&users.collect::<Vec<_>>());
    Crowd::new(&stage).register();
    // At once, behind the last 200.
    let outage = stage.switch.crash_and_restart();
    let found = stage.switch.ctl(&["status"])["registrations"].as_u64();
    assert_eq!(found, Some(CONTACTS as u64), "every acknowledged registration is found again");
    assert_eq!(stage.switch.contacts("crowd77").len(), CONTACTS_EACH);
    assert!(outage < Duration::from_secs(2), "ready again after {outage:?}");
    println!("ready again {outage:?} after kill -9 with {CONTACTS} registrations");
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).run().passed();
    callee.end().passed();
}

/// Many phones behind one socket, each with one REGISTER to do.
struct Crowd<'a> {
    stage: &'a Stage,
    socket: UdpSocket,
    /// Requests without an answer yet, by contact number, and when they were last sent.
    open: HashMap<usize, (String, Instant)>,
}

impl<'a> Crowd<'a> {
    fn new(stage: &'a Stage) -> Crowd<'a> {
        let socket = UdpSocket::bind((stage.ip(99), 5060)).expect("an address of the test");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        Crowd { stage, socket, open: HashMap::new() }
    }

    /// Registers every contact, answering the challenges, with a bounded number of requests under way.
    fn register(&mut self) {
        let mut todo: VecDeque<usize> = (0..CONTACTS).collect();
        let mut buffer = [0; 65_535];
        while !todo.is_empty() || !self.open.is_empty() {
            while self.open.len() < OUTSTANDING
                && let Some(number) = todo.pop_front()
            {
                self.send(number, self.request(number, 1, ""));
            }
            if let Ok(length) = self.socket.recv(&mut buffer) {
                self.on_answer(&String::from_utf8_lossy(&buffer[..length]));
            }
            self.resend();
        }
    }

    fn on_answer(&mut self, answer: &str) {
        let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let number: usize = field("Call-ID: c").trim_end_matches("@kill").parse().expect("a Call-ID of ours");
        let Some((request, _)) = self.open.get(&number) else { return };
        if !request.contains(field("CSeq:")) {
            return; // of the request before
        }
        if answer.starts_with("SIP/2.0 401 ") && !request.contains("Authorization:") {
            let credentials = self.credentials(number, field("WWW-Authenticate:"));
            return self.send(number, self.request(number, 2, &format!("Authorization: {credentials}\r\n")));
        }
        assert!(answer.starts_with("SIP/2.0 200 "), "registration {number}: {answer}");
        self.open.remove(&number);
    }

    fn credentials(&self, number: usize, challenge: &str) -> String {
        let challenge = auth::Challenge::parse(challenge.as_bytes()).expect("a challenge that can be read");
        let user = user(number);
        let ha1 = auth::Ha1::of(&user, DOMAIN, "secret");
        let answering = auth::Answering {
            user: &user,
            ha1: &ha1,
            method: "REGISTER",
            uri: "sip:example.test",
            cnonce: "0a4f113b",
            nc: 1,
        };
        auth::respond(&challenge, &answering).expect("a challenge that can be answered")
    }

    fn request(&self, number: usize, cseq: u32, authorization: &str) -> String {
        let (user, local) = (user(number), self.socket.local_addr().expect("its address"));
        format!(
            "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{number}x{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@example.test>;tag={number}\r\nTo: <sip:{user}@example.test>\r\n\
             Call-ID: c{number}@kill\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{local};n={number}>\r\n\
             Expires: 3600\r\n{authorization}Content-Length: 0\r\n\r\n"
        )
    }

    fn send(&mut self, number: usize, request: String) {
        self.socket.send_to(request.as_bytes(), self.stage.switch.sip).expect("sent");
        self.open.insert(number, (request, Instant::now()));
    }

    /// Sends again what was not answered within a second.
    fn resend(&mut self) {
        for (request, sent) in self.open.values_mut().filter(|(_, sent)| sent.elapsed() > Duration::from_secs(1)) {
            self.socket.send_to(request.as_bytes(), self.stage.switch.sip).expect("sent");
            *sent = Instant::now();
        }
    }
}

fn user(number: usize) -> String {
    format!("crowd{}", number / CONTACTS_EACH)
}
