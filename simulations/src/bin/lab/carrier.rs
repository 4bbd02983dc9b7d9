//! `lab cluster PLAN`: seeds of a carrier on all cores, and a table.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use simulations::cluster::outcome::{Counts, Outcome};
use simulations::cluster::{self, Mutant, Plan};

pub const USAGE: &str = "lab cluster PLAN [--seeds N] [--from SEED] [--seed SEED] [--mutant NAME] [--threads N] [--show N] [--ladder] [--json]";

struct Wanted {
    plan: Plan,
    from: u64,
    seeds: u64,
    threads: usize,
    show: usize,
    mutant: Option<Mutant>,
    ladder: bool,
    json: bool,
}

pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let wanted = match wanted(arguments) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // A panic of a machine is caught and reported; its backtrace would drown the table.
    if wanted.seeds > 1 {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let start = Instant::now();
    let next = AtomicU64::new(wanted.from);
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for _ in 0..wanted.threads.min(wanted.seeds as usize) {
            scope.spawn(|| work(&wanted, &next, &total, start));
        }
    });
    let total = total.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    if wanted.json {
        for outcome in &total.kept {
            println!("{}", serde_json::to_string(outcome).unwrap_or_default());
        }
    } else {
        total.print(&wanted, start);
    }
    if total.bad == 0 && total.missing(&wanted).is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let name = arguments.next().ok_or("which plan?")?;
    let plan = Plan::open(&name).map_err(|error| error.to_string())?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut wanted =
        Wanted { plan, from: 1, seeds: 20, threads: cores, show: 5, mutant: None, ladder: false, json: false };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--ladder" => wanted.ladder = true,
            "--json" => wanted.json = true,
            _ => {
                let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
                let number = || value.parse::<u64>().map_err(|_| format!("{argument} needs a number, not {value}"));
                match argument.as_str() {
                    "--seeds" => wanted.seeds = number()?,
                    "--from" => wanted.from = number()?,
                    "--seed" => (wanted.from, wanted.seeds) = (number()?, 1),
                    "--threads" => wanted.threads = number()?.max(1) as usize,
                    "--show" => wanted.show = number()? as usize,
                    "--mutant" => {
                        wanted.mutant = Some(Mutant::named(&value).ok_or_else(|| format!("no mutant {value}"))?);
                    }
                    _ => return Err(format!("unknown argument {argument}")),
                }
            }
        }
    }
    Ok(wanted)
}

fn work(wanted: &Wanted, next: &AtomicU64, total: &Mutex<Total>, start: Instant) {
    loop {
        let seed = next.fetch_add(1, Relaxed);
        if seed >= wanted.from + wanted.seeds {
            return;
        }
        let outcome = match wanted.ladder {
            true => cluster::run_with_ladders(&wanted.plan, seed, wanted.mutant),
            false => cluster::run(&wanted.plan, seed, wanted.mutant),
        };
        // I32: one seed in twenty is run twice.
        let again = seed.is_multiple_of(20).then(|| cluster::run(&wanted.plan, seed, wanted.mutant).hash);
        let mut total = total.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        total.add(outcome, again, wanted);
        if wanted.seeds >= 10 && total.runs.is_multiple_of((wanted.seeds / 10).max(1)) {
            eprintln!("{:6} runs, {} bad, {:.1} s", total.runs, total.bad, start.elapsed().as_secs_f64());
        }
    }
}

#[derive(Default)]
struct Total {
    runs: u64,
    bad: u64,
    twice: u64,
    differing: u64,
    length_ms: u64,
    counts: BTreeMap<&'static str, u64>,
    faults: BTreeMap<String, (u64, u64)>,
    sometimes: BTreeMap<String, u64>,
    takeovers: Vec<u64>,
    effects: Vec<u64>,
    by_invariant: BTreeMap<String, (u64, u64)>,
    kept: Vec<Outcome>,
}

impl Total {
    fn add(&mut self, outcome: Outcome, again: Option<u64>, wanted: &Wanted) {
        self.runs += 1;
        self.length_ms += outcome.length_ms;
        if let Some(again) = again {
            self.twice += 1;
            self.differing += u64::from(again != outcome.hash);
        }
        for (name, count) in counts(&outcome.counts) {
            *self.counts.entry(name).or_default() += count;
        }
        for fault in &outcome.faults {
            let entry = self.faults.entry(fault.kind.clone()).or_default();
            entry.0 += 1;
            entry.1 += u64::from(fault.effect);
        }
        for (name, count) in &outcome.sometimes {
            *self.sometimes.entry(name.clone()).or_default() += count;
        }
        for takeover in outcome.takeovers.iter().filter(|takeover| !takeover.planned) {
            self.takeovers.push(takeover.owned_ms);
            self.effects.extend(takeover.effect_ms);
        }
        for failure in &outcome.failures {
            let entry = self.by_invariant.entry(failure.invariant.clone()).or_insert((0, outcome.seed));
            entry.0 += 1;
        }
        self.bad += u64::from(!outcome.is_good());
        if wanted.json || (!outcome.is_good() && self.kept.len() < wanted.show) || wanted.seeds == 1 {
            self.kept.push(outcome);
        }
    }

    fn missing(&self, wanted: &Wanted) -> Vec<String> {
        let asked = wanted.plan.must.happen.iter().map(|name| name.get_ref().clone());
        if wanted.seeds < 20 { Vec::new() } else { asked.filter(|name| !self.sometimes.contains_key(name)).collect() }
    }

    fn print(&self, wanted: &Wanted, start: Instant) {
        let seconds = start.elapsed().as_secs_f64();
        let last = wanted.from + wanted.seeds - 1;
        println!("plan {}, seeds {} to {last}: {}", wanted.plan.name, wanted.from, wanted.plan.about);
        println!(
            "  {:<24}{:>10}   {:.1} s, {:.2} s a run and core, {:.1} simulated hours",
            "runs",
            self.runs,
            seconds,
            seconds * wanted.threads.min(wanted.seeds as usize) as f64 / self.runs.max(1) as f64,
            self.length_ms as f64 / 3.6e6
        );
        println!("  {:<24}{:>10}   {} went another way (I32)", "run twice", self.twice, self.differing);
        for (name, count) in &self.counts {
            println!("  {name:<24}{count:>10}");
        }
        for (kind, (count, effect)) in &self.faults {
            println!("  fault {kind:<18}{count:>10}   {effect} with effect");
        }
        for (name, times) in [("taken over, ms", &self.takeovers), ("first effect, ms", &self.effects)] {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            if let (Some(last), count) = (sorted.last(), sorted.len()) {
                let at = |share: usize| sorted[(count * share / 100).min(count - 1)];
                println!("  {name:<24}{count:>10}   p50 {} p95 {} p99 {} max {last}", at(50), at(95), at(99));
            }
        }
        for (name, count) in &self.sometimes {
            println!("  * {name:<40}{count:>8}");
        }
        let names = simulations::cluster::sometimes::NAMES.iter();
        let not_met: Vec<&str> = names.copied().filter(|name| !self.sometimes.contains_key(*name)).collect();
        println!("  not met: {}", not_met.join(", "));
        for name in self.missing(wanted) {
            println!("  never happened: {name}");
        }
        println!("  {:<24}{:>10}", "bad runs", self.bad);
        for (invariant, (count, seed)) in &self.by_invariant {
            println!("    {invariant:<22}{count:>10}   first seen with seed {seed}");
        }
        for outcome in &self.kept {
            for failure in outcome.failures.iter().take(FAILURES_MAX) {
                let attempt = failure.attempt.map_or(String::new(), |attempt| format!(" attempt {attempt}"));
                println!(
                    "seed {} {}{attempt} at {} ms: {}",
                    outcome.seed, failure.invariant, failure.at_ms, failure.text
                );
            }
            if wanted.ladder {
                for moment in &outcome.timeline {
                    let node = moment.node.and_then(|node| outcome.nodes.get(node)).map_or("", |node| &node.name);
                    println!("{:9.3} {node:14} {} {}", moment.at_ms as f64 / 1e3, moment.event, moment.text);
                }
                for ladder in &outcome.ladders {
                    let whose = ladder.attempt.map_or("a phone".to_owned(), |attempt| format!("attempt {attempt}"));
                    println!("--- {whose}\n{}\n{}", ladder.about, ladder.text);
                }
            }
        }
    }
}

fn counts(counts: &Counts) -> Vec<(&'static str, u64)> {
    vec![
        ("1 offered", counts.offered),
        ("2 answered", counts.answered),
        ("3 rejected", counts.rejected),
        ("4 cancelled", counts.cancelled),
        ("5 failed by phone", counts.failed_by_phone),
        ("6 failed by switch", counts.failed_by_switch),
        ("registrations", counts.registrations),
        ("records", counts.records),
        ("take-overs", counts.take_overs),
        ("machines restored", counts.restored),
        ("cold starts", counts.cold_starts),
        ("unprotected", counts.unprotected),
        ("mail resent", counts.resent),
        ("mail given up", counts.given_up),
        ("stale letters", counts.stale_letters),
        ("stale records", counts.stale_records),
        ("parcels", counts.parcels),
        ("events", counts.events),
        ("letters", counts.letters),
        ("packets", counts.packets),
        ("packets lost", counts.packets_lost),
    ]
}

/// Failures shown of a run.
const FAILURES_MAX: usize = 12;
