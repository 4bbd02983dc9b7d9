//! Lossy, slow and dying rtpengines from a seed: every ask ends once and in time, and nothing is left behind.

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

/// An rtpengine as far as the anchor can tell: sessions, and the reply to each cookie.
#[derive(Default)]
struct Engine {
    sessions: BTreeSet<String>,
    replies: BTreeMap<String, String>,
    dead: bool,
}

impl Engine {
    fn command(&mut self, datagram: &[u8]) -> String {
        let (cookie, document) = ng::split(datagram).unwrap();
        if let Some(reply) = self.replies.get(cookie) {
            return format!("{cookie} {reply}");
        }
        let value = Value::decode(document).unwrap();
        let call = text(value.bytes("call-id").unwrap_or_default());
        let reply = match value.bytes("command").unwrap() {
            b"ping" => "d6:result4:ponge",
            b"offer" if self.sessions.len() >= 20 => "d6:result10:load limit7:message4:fulle",
            b"offer" => {
                self.sessions.insert(call);
                SDP
            }
            b"delete" if self.sessions.remove(&call) => OK,
            b"delete" => "d7:warning38:Call-ID not found or tags didn't match6:result2:oke",
            b"answer" if self.sessions.contains(&call) => SDP,
            _ => "d6:result5:error12:error-reason15:Unknown call-ide",
        };
        self.replies.insert(cookie.to_owned(), reply.to_owned());
        format!("{cookie} {reply}")
    }
}

/// An anchor, its rtpengines, the network between them, and what the askers believe.
struct Storm {
    b: Bench,
    dice: Dice,
    engines: Vec<Engine>,
    /// By arrival: outward or back, relay, datagram.
    network: BTreeMap<(Instant, u64), (bool, u16, Bytes)>,
    number: u64,
    read: usize,
    stormy: bool,
    loss: u64,
    open: BTreeMap<u64, (RelayVerb, String, Instant)>,
    have: BTreeMap<String, u16>,
    calls: u32,
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let loss = [0, 10, 30][dice.roll(3) as usize];
        Storm {
            b: bench(3, |_| {}),
            dice,
            engines: (0..3).map(|_| Engine::default()).collect(),
            network: BTreeMap::new(),
            number: 0,
            read: 0,
            stormy: true,
            loss,
            open: BTreeMap::new(),
            have: BTreeMap::new(),
            calls: 0,
        }
    }

    fn ask(&mut self, verb: RelayVerb, call: String, relay: Option<u16>) {
        let to = (verb != Delete).then_some("b");
        self.open.insert(self.b.thread + 1, (verb, call.clone(), self.b.now.instant));
        let lines = self.b.ask_with(verb, &call, relay, to);
        self.note(lines);
    }

    /// Something happens: a call begins, goes on or ends; a relay dies, comes back or is restarted.
    fn act(&mut self) {
        let place = self.dice.roll(self.have.len().max(1) as u64) as usize;
        let some = self.have.iter().nth(place).map(|(call, relay)| (call.clone(), *relay));
        match (self.dice.roll(12), some) {
            (0, _) => self.engines[self.dice.roll(3) as usize].dead = true,
            (1 | 2, _) => self.engines.iter_mut().for_each(|engine| engine.dead = false),
            (3, _) => self.engines[self.dice.roll(3) as usize] = Engine::default(),
            (4..=6, Some((call, relay))) => self.ask(Delete, call, Some(relay)),
            (7, Some((call, relay))) => self.ask(Answer, call, Some(relay)),
            _ => {
                self.calls += 1;
                self.ask(Offer, format!("c{}", self.calls), None);
            }
        }
    }

    /// Deletes what an asker believes to have, as a media session would until it is told.
    fn tidy(&mut self) {
        let waits = |call: &String| self.open.values().any(|(_, own, _)| own == call);
        let left = self.have.iter().find(|(call, _)| !waits(call)).map(|(call, relay)| (call.clone(), *relay));
        if let Some((call, relay)) = left {
            self.ask(Delete, call, Some(relay));
        }
    }

    /// Answers to the askers: each once and in time.
    fn note(&mut self, lines: Vec<String>) {
        for line in lines.iter().filter(|line| !line.starts_with('m')) {
            let mut words = line.split(' ');
            let (thread, result): (u64, &str) = (words.next().unwrap().parse().unwrap(), words.next().unwrap());
            let (verb, call, since) = self.open.remove(&thread).expect("each ask is answered once");
            let took = self.b.now.instant.since(since);
            assert!(took <= Duration::from_millis(2_500), "{verb:?} took {took:?}");
            match (verb, result) {
                (Offer, "done") => _ = self.have.insert(call, words.next().unwrap()[1..].parse().unwrap()),
                (Delete, "done") => _ = self.have.remove(&call),
                _ => {}
            }
        }
        while let Some((relay, bytes)) = self.b.sent.get(self.read).cloned() {
            self.read += 1;
            let copies = if self.dice.roll(20) == 0 { 2 } else { 1 };
            (0..copies).for_each(|_| self.carry(true, relay, bytes.clone()));
        }
    }

    fn carry(&mut self, outward: bool, relay: u16, bytes: Bytes) {
        if self.stormy && self.dice.roll(100) < self.loss {
            return;
        }
        self.number += 1;
        let delay_ms = 1 + self.dice.roll(if self.stormy { 60 } else { 5 });
        self.network
            .insert((self.b.now.instant + Duration::from_millis(delay_ms), self.number), (outward, relay, bytes));
    }

    /// Everything that arrives by now.
    fn arrive(&mut self) {
        while let Some((&(at, number), _)) = self.network.first_key_value()
            && at <= self.b.now.instant
        {
            let (outward, relay, bytes) = self.network.remove(&(at, number)).unwrap();
            if !outward {
                let lines = self.b.receive(relay, text(&bytes));
                self.note(lines);
            } else if !self.engines[usize::from(relay)].dead {
                let reply = self.engines[usize::from(relay)].command(&bytes);
                self.carry(false, relay, Bytes::from(reply));
            }
        }
    }

    fn step_to(&mut self, next: Instant) {
        let next = next.max(self.b.now.instant + Duration::from_micros(1));
        self.b.now = self.b.now.after(next.since(self.b.now.instant));
        self.b.anchor.wake(self.b.now, &mut self.b.out);
        let lines = self.b.letters();
        self.note(lines);
        self.arrive();
    }
}

fn run(seed: u64) {
    let mut storm = Storm::new(seed);
    let busy = storm.b.now.instant + Duration::from_secs(20);
    let calm = busy + Duration::from_secs(60);
    let mut next_act = storm.b.now.instant;
    while storm.b.now.instant < calm {
        storm.stormy = storm.b.now.instant < busy;
        if storm.b.now.instant >= next_act {
            next_act = storm.b.now.instant + Duration::from_millis(storm.dice.roll(400));
            if storm.stormy {
                storm.act();
            } else {
                storm.engines.iter_mut().for_each(|engine| engine.dead = false);
                storm.tidy();
            }
        }
        let arrival = storm.network.keys().next().map(|(at, _)| *at);
        let next = [storm.b.anchor.deadline(), arrival, Some(next_act)].into_iter().flatten().min();
        storm.step_to(next.unwrap());
    }
    assert!(storm.open.is_empty() && storm.have.is_empty(), "seed {seed}: {:?} {:?}", storm.open, storm.have);
    assert_eq!(storm.b.anchor.leftovers.len(), 0, "seed {seed}");
    for (place, engine) in storm.engines.iter().enumerate() {
        assert_eq!(engine.sessions, BTreeSet::new(), "seed {seed}: left on m{place}");
        assert_eq!(storm.b.anchor.relays.get(place as u16).unwrap().sessions, 0, "seed {seed}");
    }
}

#[test]
fn a_hundred_storms() {
    (1..=100).for_each(run);
}
