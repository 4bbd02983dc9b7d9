//! Anchors that fail, answer late or not at all, from a seed: every ask ends once and in time, nothing is left behind.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// xorshift: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// A session with an anchor that plays dice.
struct Storm {
    b: Bench,
    dice: Dice,
    /// What the relays hold: relay and call-id.
    held: BTreeSet<(u16, String)>,
    /// Answers of the anchor on their way.
    post: BTreeMap<(Instant, u64), (Thread, Letter)>,
    number: u64,
    read: usize,
    stormy: bool,
    open: BTreeMap<u64, Instant>,
}

impl Storm {
    fn ask(&mut self, ask: MediaAsk) {
        self.open.insert(self.b.thread + 1, self.b.now.instant);
        let lines = self.b.ask(ask);
        self.note(lines);
    }

    fn note(&mut self, lines: Vec<String>) {
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            // A command's line begins with its relay, an answer's with the thread (behind the time, when woken).
            let thread = words[0].parse::<u64>().ok().filter(|_| words.len() > 1);
            let Some(thread) = thread else { continue };
            let since = self.open.remove(&thread).unwrap_or_else(|| panic!("answered twice: {line}"));
            let took = self.b.now.instant.since(since);
            assert!(
                took <= Duration::from_millis(if words[1] == "ended" { 1_500 } else { 10_500 }),
                "{line} took {took:?}"
            );
        }
        while let Some((thread, ask)) = self.b.sent.get(self.read).cloned() {
            self.read += 1;
            self.command(thread, &ask);
        }
    }

    /// What the anchor makes of a command.
    fn command(&mut self, thread: Thread, ask: &RelayAsk) {
        let fate = if self.stormy { self.dice.roll(10) } else { 9 };
        let relay = ask.relay.unwrap_or(self.dice.roll(3) as u16);
        let place = (relay, ask.call_id.clone());
        // Executed for fates 3 and up; a new session that is given up is the anchor's own to delete.
        let executed = fate >= 3 || (fate == 2 && ask.relay.is_some());
        match (ask.verb, executed) {
            (RelayVerb::Offer, true) => _ = self.held.insert(place),
            (RelayVerb::Delete, true) if ask.to_tag.is_none() => _ = self.held.remove(&place),
            _ => {}
        }
        let stats = (ask.verb == RelayVerb::Delete).then(MediaStats::default);
        let sdp = if stats.is_none() { Bytes::from_static(b"new") } else { Bytes::new() };
        let done = Letter::RelayDone(Box::new(RelayDone { relay, sdp, stats }));
        let (delay_ms, letter) = match fate {
            0 => (1, Letter::Returned(Fault::unavailable("storm"))),
            1 => (1, Letter::Returned(Fault::new(FaultKind::Overload, "storm"))),
            2 => (1_200, Letter::Returned(Fault::timeout("storm"))),
            3 => (3_500, done), // later than anybody waits
            4 => (900, done),
            _ => (1, done),
        };
        self.number += 1;
        let at = self.b.now.instant + Duration::from_millis(delay_ms);
        self.post.insert((at, self.number), (thread, letter));
    }

    fn run_to(&mut self, end: Instant) {
        loop {
            let arrival = self.post.keys().next().map(|(at, _)| *at);
            let next = [self.b.media.deadline(), arrival].into_iter().flatten().min().filter(|at| *at <= end);
            let Some(at) = next else { break };
            self.b.now = self.b.now.after(at.since(self.b.now.instant));
            while let Some((&(at, number), _)) = self.post.first_key_value()
                && at <= self.b.now.instant
            {
                let (thread, letter) = self.post.remove(&(at, number)).unwrap();
                let lines = self.b.answer(thread, letter);
                self.note(lines);
            }
            if self.b.media.deadline().is_some_and(|at| at <= self.b.now.instant) {
                self.b.step(None);
                let lines = self.b.letters();
                self.note(lines);
            }
        }
        self.b.now = self.b.now.after(end.since(self.b.now.instant));
    }
}

fn run(seed: u64) {
    let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut storm = Storm {
        b: bench(),
        dice,
        held: BTreeSet::new(),
        post: BTreeMap::new(),
        number: 0,
        read: 0,
        stormy: true,
        open: BTreeMap::new(),
    };
    for _ in 0..30 {
        let leg = 1 + storm.dice.roll(4) as u16;
        match storm.dice.roll(8) {
            0..=2 => storm.ask(offer(0, leg)),
            3 => storm.ask(offer(leg, 0)),
            4 | 5 => storm.ask(reply(leg, 0)),
            6 => storm.ask(reply(0, leg)),
            _ => storm.ask(MediaAsk::Drop { leg }),
        }
        let pause_ms = [0, 1, 100, 2_000][storm.dice.roll(4) as usize];
        storm.run_to(storm.b.now.instant + Duration::from_millis(pause_ms));
    }
    storm.ask(MediaAsk::End);
    storm.run_to(storm.b.now.instant + Duration::from_millis(storm.dice.0 % 3_000));
    storm.stormy = false;
    storm.run_to(storm.b.now.instant + Duration::from_secs(60));
    assert!(storm.open.is_empty(), "seed {seed}: unanswered {:?}", storm.open);
    assert!(storm.b.media.is_idle(), "seed {seed}");
    assert_eq!(storm.held, BTreeSet::new(), "seed {seed}: left behind");
}

#[test]
fn two_thousand_storms() {
    (1..=2_000).for_each(run);
}
