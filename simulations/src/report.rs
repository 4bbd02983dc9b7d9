//! What a run has to say.

use crate::book::{Events, Violation};
use crate::weather::Tally;
use crate::world::World;

#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    pub violations: Vec<Violation>,
    /// Hash over everything that crossed the edge of the switch, with its times.
    pub trace: u64,
    /// What every phone saw and what was billed, without times: equal under every host.
    pub outcome: Vec<String>,
    pub events: u64,
    pub letters: u64,
    pub killed: u64,
    pub weather: Tally,
    pub tally: Events,
    /// Ladders of the attempts that went wrong, when they were kept.
    pub ladders: String,
}

/// A violation that the host of the runs found.
pub fn violation(invariant: u8, what: String) -> Violation {
    Violation { invariant, at_ms: 0, attempt: None, what }
}

impl Report {
    pub fn of(world: World, letters: u64, killed: u64) -> Report {
        let outcome = world.outcome();
        let ladders = world.ladders();
        let (trace, weather) = (world.trace_hash(), world.tally());
        Report {
            seed: world.plan.seed,
            trace,
            outcome,
            events: world.events,
            letters,
            killed,
            weather,
            tally: world.book.tally,
            violations: world.book.violations,
            ladders,
        }
    }

    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    /// The violations, a line each.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for wrong in &self.violations {
            let name = if wrong.invariant == 0 { "conservation".to_owned() } else { format!("I{}", wrong.invariant) };
            let attempt = wrong.attempt.map_or(String::new(), |attempt| format!(" attempt {attempt}"));
            out.push_str(&format!("seed {} {name}{attempt} at {} ms: {}\n", self.seed, wrong.at_ms, wrong.what));
        }
        out
    }
}

impl World {
    /// What every phone saw, and the records.
    pub fn outcome(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (number, facts) in self.book.facts.iter().enumerate() {
            let finals: Vec<u16> = facts.finals.iter().map(|(_, status)| *status).collect();
            let mut early = facts.provisionals.clone();
            early.dedup();
            let rang: Vec<(usize, Option<u16>)> =
                facts.rang.iter().map(|(device, (_, quiet))| (*device, quiet.map(|(_, status)| status))).collect();
            let ended = |(_, until): &(u64, Option<u64>)| until.is_some();
            let up: Vec<_> = facts.callees.iter().map(|(device, period)| (*device, ended(period))).collect();
            let down = facts.caller.as_ref().map(ended);
            let hung: Vec<_> = facts.hung_up.iter().map(|(_, side)| *side).collect();
            out.push(format!(
                "attempt {number}: {early:?} {finals:?} rang {rang:?} caller {down:?} callees {up:?} hung up {hung:?}"
            ));
        }
        for (id, account) in &self.book.accounts {
            out.push(format!(
                "record {} leg {}: {} {} {} {} ms {} {}",
                id.call,
                id.leg,
                account.starts,
                account.stops,
                account.attempts,
                account.duration_ms,
                account.status,
                account.cause
            ));
        }
        for (device, bound) in self.book.bound.iter().enumerate() {
            out.push(format!("device {device}: bound until {:?}", bound.until_ms));
        }
        out
    }

    fn ladders(&self) -> String {
        let mut shown = std::collections::BTreeSet::new();
        let mut out = String::new();
        for wrong in self.book.violations.iter().take(LADDERS_MAX) {
            match wrong.attempt {
                Some(attempt) if shown.insert(attempt) => {
                    out.push_str(&format!("--- {:?}\n", self.plan.attempts[attempt]));
                    out.push_str(&format!("--- {:?}\n", self.book.facts[attempt]));
                    out.push_str(&self.book.ladder(attempt));
                }
                Some(_) => {}
                None => {
                    let number = wrong.what.strip_prefix("device ").and_then(|rest| rest.split([':', ' ']).next());
                    if let Some(device) = number.and_then(|number| number.parse().ok()) {
                        out.push_str(&format!("--- device {device}: {:?}\n", self.plan.devices[device]));
                        out.push_str(&self.book.ladder_of_device(device, wrong.at_ms));
                    }
                }
            }
        }
        out
    }
}

const LADDERS_MAX: usize = 3;
