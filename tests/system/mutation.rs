//! Mutated messages on the public port while calls run.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::stage::{Props, Stage};

/// Messages to send; the figure of SECURITY.md S2.
const MESSAGES: u64 = 1_000_000;

/// No flood limit: every message is to reach the parser.
const OPEN: &str =
    "[balancer]\nflood_messages_per_s = 0\n[call]\nwithout_relay = \"unanchored\"\n[log]\nlevel = \"warn\"\n";

/// Growth of the resident memory that is allowed between the first tenth and the end, percent.
const GROWTH_PERCENT_MAX: u64 = 10;

#[test]
fn a_million_mutated_messages_harm_no_call() {
    let mut stage = Stage::new(111, Props { toml: OPEN, ..Props::default() });
    let count: u64 = std::env::var("MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MESSAGES);
    stage.register(&stage.phone(2));
    let over = AtomicBool::new(false);
    let (calls, warm_kb) = std::thread::scope(|scope| {
        let calls = scope.spawn(|| {
            let mut calls = 0;
            while !over.load(Ordering::Relaxed) {
                call(&stage);
                calls += 1;
            }
            calls
        });
        shoot(&stage, 1, count / 10);
        let warm_kb = stage.switch.resident_kb();
        shoot(&stage, 2, count - count / 10);
        over.store(true, Ordering::Relaxed);
        (calls.join().expect("every call went as its ladder has it"), warm_kb)
    });
    assert!(stage.switch.process.is_running(), "no restart");
    assert!(calls >= 5, "only {calls} calls ran beside the mutations");
    let end_kb = stage.switch.resident_kb();
    println!("{count} mutated messages, {calls} calls; resident {warm_kb} kB after a tenth, {end_kb} kB at the end");
    assert!(end_kb <= warm_kb + warm_kb * GROWTH_PERCENT_MAX / 100, "memory grew from {warm_kb} kB to {end_kb} kB");
    call(&stage);
}

fn call(stage: &Stage) {
    let callee = stage.sipp(&stage.phone(2), crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).run().passed();
    callee.end().passed();
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
        // Stay at a rate at which the switch's socket does not overflow, so that the messages arrive: 40,000 a second.
        let due = Duration::from_micros(sent * 25);
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
