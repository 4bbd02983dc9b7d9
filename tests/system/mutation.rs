//! Mutated messages on the public port while calls run.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::process::until;
use crate::stage::{Props, Stage};

/// Messages to send; the figure of SECURITY.md S2.
const MESSAGES: u64 = 1_000_000;

/// No flood limit: every message is to reach the parser. Short timers: what a message leaves behind is gone after seconds,
/// so that memory that only grows is told from memory that is in use.
const OPEN: &str = "[balancer]\nflood_messages_per_s = 0\n[log]\nlevel = \"warn\"\n\
                    [call]\nwithout_relay = \"unanchored\"\nnonce_life_s = 3\n[call.timings]\nt1_ms = 100\nt2_ms = 800\nt4_ms = 1000\n\
                    [registration.digest]\nnonce_life_s = 3\n";

/// Growth of the resident memory that is allowed once it is in use, percent.
const GROWTH_PERCENT_MAX: u64 = 15;

/// Part of the messages that brings the switch to its steady state, percent.
const WARM_PERCENT: u64 = 50;

/// Mutated messages for each call that runs beside them: 20 calls a second.
const MESSAGES_A_CALL: u64 = RATE / 20;

/// Messages a second: what the switch's socket can hold meanwhile, so that they arrive.
const RATE: u64 = 40_000;

const CALLS: &str =
    "> INVITE sdp\n< 100?\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100?\n< 180?\n< 200\n> ACK\nwait 300\n> BYE\n< 200";
const ANSWERS: &str = "< INVITE\n> 180\nwait 100\n> 200 sdp\n< ACK\n< BYE\n> 200";

#[test]
fn a_million_mutated_messages_harm_no_call() {
    let mut stage = Stage::new(111, Props { toml: OPEN, ..Props::default() });
    let count: u64 = std::env::var("MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MESSAGES);
    let calls = (count / MESSAGES_A_CALL).max(1).to_string();
    stage.register(&stage.phone(2));
    let many = ["-m", &calls, "-r", "20", "-l", "100"];
    let callee = stage.sipp(&stage.phone(2), ANSWERS).args(&many).within(120).start();
    let caller = stage.sipp(&stage.phone(1), CALLS).args(&many).within(120).start();
    let warm = count * WARM_PERCENT / 100;
    shoot(&stage, 1, warm);
    let warm_kb = stage.switch.resident_kb();
    shoot(&stage, 2, count - warm);
    let end_kb = stage.switch.resident_kb();
    let caller = caller.end().passed();
    callee.end().passed();
    assert!(stage.switch.process.is_running(), "no restart");
    assert_eq!(stage.switch.panics(), 0);
    println!(
        "{count} mutated messages, {calls} calls; resident {warm_kb} kB after {WARM_PERCENT} %, {end_kb} kB at the end"
    );
    assert_eq!(caller.count("200 BYE").to_string(), calls);
    assert!(end_kb <= warm_kb + warm_kb * GROWTH_PERCENT_MAX / 100, "memory grew from {warm_kb} kB to {end_kb} kB");
    until("nothing is left of it", Duration::from_secs(30), || {
        ["call", "media"].iter().all(|kind| stage.switch.machines(kind) == 0)
    });
    assert_eq!(
        stage.wait_for_cdrs(caller.count("200 BYE")).len().to_string(),
        calls,
        "a record for each call, and no other"
    );
}

/// Sends `count` mutations of the torture messages and of our own ladder's, as fast as the socket of the switch takes them.
fn shoot(stage: &Stage, seed: u64, count: u64) {
    let seeds = seeds();
    let socket = UdpSocket::bind((stage.ip(66), 0)).expect("an address of the test");
    let mut random = Random(seed);
    let start = Instant::now();
    let mut sent = 0;
    while sent < count {
        let message = mutate(&seeds[random.below(seeds.len())], &mut random);
        // The kernel refuses what is larger than a datagram; such a message counts as one that was not sent.
        if socket.send_to(&message, stage.switch.sip).is_ok() {
            sent += 1;
        }
        let due = Duration::from_micros(sent * 1_000_000 / RATE);
        if let Some(early) = due.checked_sub(start.elapsed()).filter(|early| *early > Duration::from_millis(2)) {
            std::thread::sleep(early);
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = tandem_tests::root().join("tests/conformance/torture");
    let mut seeds = Vec::new();
    for part in ["rfc4475", "rfc5118"] {
        let entries = std::fs::read_dir(folder.join(part)).expect("the torture messages");
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        seeds.extend(paths.iter().map(|path| std::fs::read(path).expect("a readable message")));
    }
    assert!(seeds.len() >= 62, "{} torture messages", seeds.len());
    seeds
}

/// A small generator that gives the same messages for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// One to four changes: a byte flipped, set, cut out or repeated, a piece copied elsewhere, the tail dropped.
fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut message = seed.to_vec();
    for _ in 0..=random.below(4) {
        if message.is_empty() {
            break;
        }
        let at = random.below(message.len());
        match random.below(6) {
            0 => message[at] ^= 1 << random.below(8),
            1 => message[at] = random.next() as u8,
            2 => drop(message.drain(at..(at + 1 + random.below(20)).min(message.len()))),
            3 => message.insert(at, [b'\r', b'\n', b'"', b'<', b';', b',', b':', 0][random.below(8)]),
            4 => {
                let end = (at + 1 + random.below(60)).min(message.len());
                let piece = message[at..end].to_vec();
                let to = random.below(message.len());
                message.splice(to..to, piece);
            }
            _ => message.truncate(at),
        }
    }
    message
}
