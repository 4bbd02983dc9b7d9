//! A network that loses messages: every message is lost once, in both directions, and still all goes well.

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::stage::{Phone, Stage};

#[test]
fn every_message_is_lost_once_and_the_call_succeeds() {
    let stage = Stage::plain(86);
    let (caller, callee) = (stage.phone(1), stage.phone(2));
    let near_caller = Lossy::start(&stage, &caller, 61);
    let near_callee = Lossy::start(&stage, &callee, 62);
    let registered = stage.sipp(&callee, crate::registrations::REGISTER).through(near_callee.address).run().passed();
    assert!(registered.sent("REGISTER") >= 4, "each of the two was lost once");
    assert_eq!(stage.switch.contacts("user2").len(), 1);
    let callee = stage
        // Without 180: SIPp knows a repeated request again only while its first response is its last word.
        .sipp(&callee, "< INVITE\n> 200 sdp\n< ACK\n< BYE\n> 200\nwait 4000")
        .through(near_callee.address)
        .within(60)
        .start();
    let caller = stage
        .sipp(
            &caller,
            "> INVITE sdp\n< 100?\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100?\n< 180?\n< 200\n> ACK\nwait 1500\n> BYE\n< 200",
        )
        .through(near_caller.address)
        .within(60)
        .run()
        .passed();
    let callee = callee.end().passed();
    let invites = callee.messages.iter().filter(|message| !message.sent && message.gist() == "INVITE");
    assert_eq!(invites.map(|invite| invite.header("Call-ID")).collect::<HashSet<_>>().len(), 1, "rung once");
    assert!(callee.sent("200 INVITE") >= 2 && caller.sent("BYE") >= 2, "repeated until they arrived");
    assert!(
        near_caller.lost() >= 6 && near_callee.lost() >= 4,
        "{} and {} lost",
        near_caller.lost(),
        near_callee.lost()
    );
    let cdr = &stage.wait_for_cdrs(1)[0];
    assert_eq!((cdr["call_status"].as_str(), cdr["stop_cause"].as_str()), (Some("ok"), Some("caller")));
}

/// A box between a phone and the switch that loses the first copy of each message.
struct Lossy {
    /// Where the phone finds the switch.
    address: SocketAddr,
    lost: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Lossy {
    fn start(stage: &Stage, phone: &Phone, host: u8) -> Lossy {
        let bind = |port: u16| {
            let socket = UdpSocket::bind((stage.ip(host), port)).expect("an address of the test");
            socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
            socket
        };
        let (inner, outer) = (bind(5060), bind(5070));
        let address = inner.local_addr().expect("its address");
        let (lost, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let copy = |socket: &UdpSocket| socket.try_clone().expect("a second handle");
        let ways = [(copy(&inner), copy(&outer), stage.switch.sip), (outer, inner, phone.address)];
        let threads = ways.map(|(from, by, to)| {
            let (lost, over) = (lost.clone(), over.clone());
            std::thread::spawn(move || carry(&from, &by, to, &lost, &over))
        });
        Lossy { address, lost, over, threads: threads.into() }
    }

    fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that has panicked has lost everything since; the test says so.
            let _ = thread.join();
        }
    }
}

fn carry(from: &UdpSocket, by: &UdpSocket, to: SocketAddr, lost: &AtomicUsize, over: &AtomicBool) {
    let mut seen = HashSet::new();
    let mut buffer = [0; 65_535];
    while !over.load(Ordering::Relaxed) {
        // A timeout, or the refusal of a phone that is not there at the moment.
        let Ok(length) = from.recv(&mut buffer) else { continue };
        if seen.insert(identity(&String::from_utf8_lossy(&buffer[..length]))) {
            lost.fetch_add(1, Ordering::Relaxed);
        } else {
            let _ = by.send_to(&buffer[..length], to); // what cannot be sent is lost as well
        }
    }
}

/// What two copies of a message have in common, also when the second is not the same bytes (a 401 with a fresh nonce).
fn identity(message: &str) -> String {
    let named = |line: &&str| ["Via:", "CSeq:", "Call-ID:"].iter().any(|name| line.starts_with(name));
    message.lines().take(1).chain(message.lines().filter(named)).collect()
}
