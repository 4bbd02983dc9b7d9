//! Runs seeds and says what broke.

mod carrier;
mod mutants;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use simulations::{Menu, Report, run_seed, run_with_ladder};

const USAGE: &str = "lab [--seeds N] [--first SEED] [--seed SEED] [--menu mixed|calm|weather|panics] [--threads N] [--ladder] [--show N]";

struct Wanted {
    first: u64,
    seeds: u64,
    menu: Menu,
    menu_name: String,
    threads: usize,
    ladder: bool,
    show: usize,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "cluster").is_some() {
        return carrier::main(arguments);
    }
    if arguments.next_if(|first| first == "mutants").is_some() {
        return mutants::main(arguments);
    }
    let wanted = match wanted(arguments) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if wanted.seeds == 1 {
        return one(&wanted);
    }
    // A panic of a machine is caught and reported; its backtrace would drown the table.
    std::panic::set_hook(Box::new(|_| {}));
    let start = Instant::now();
    let next = AtomicU64::new(wanted.first);
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for _ in 0..wanted.threads {
            scope.spawn(|| work(&wanted, &next, &total, start));
        }
    });
    let total = total.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    total.print(&wanted, start);
    if total.bad.is_empty() && total.runs == wanted.seeds && total.inert(&wanted).is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let from_env = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut wanted = Wanted {
        first: from_env("LAB_FIRST").unwrap_or(1),
        seeds: from_env("LAB_SEEDS").unwrap_or(1_000),
        menu: Menu::mixed(),
        menu_name: "mixed".to_owned(),
        threads: cores,
        ladder: false,
        show: 10,
    };
    while let Some(argument) = arguments.next() {
        if argument == "--ladder" {
            wanted.ladder = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{argument} needs a number, not {value}"));
        match argument.as_str() {
            "--seeds" => wanted.seeds = number()?,
            "--first" => wanted.first = number()?,
            "--seed" => (wanted.first, wanted.seeds) = (number()?, 1),
            "--threads" => wanted.threads = number()?.max(1) as usize,
            "--show" => wanted.show = number()? as usize,
            "--menu" => {
                wanted.menu = Menu::named(&value).ok_or_else(|| format!("no menu {value}"))?;
                wanted.menu_name = value;
            }
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(wanted)
}

fn one(wanted: &Wanted) -> ExitCode {
    let report =
        if wanted.ladder { run_with_ladder(wanted.first, &wanted.menu) } else { run_seed(wanted.first, &wanted.menu) };
    print!("{}{}", report.ladders, report.text());
    println!("{:?}\n{:?}", report.tally, report.weather);
    println!("{} events, {} letters, trace {:016x}", report.events, report.letters, report.trace);
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What all runs together did.
#[derive(Default)]
struct Total {
    runs: u64,
    twice: u64,
    events: u64,
    letters: u64,
    killed: u64,
    packets: u64,
    lost: u64,
    duplicated: u64,
    reordered: u64,
    cut: u64,
    sums: Vec<(&'static str, u64)>,
    bad: Vec<Report>,
}

fn work(wanted: &Wanted, next: &AtomicU64, total: &Mutex<Total>, start: Instant) {
    loop {
        let seed = next.fetch_add(1, Relaxed);
        if seed >= wanted.first + wanted.seeds {
            return;
        }
        let mut report = run_seed(seed, &wanted.menu);
        // I32: one seed in a hundred is run twice.
        let twice = seed.is_multiple_of(100);
        if twice && run_seed(seed, &wanted.menu).trace != report.trace {
            let what = "the same seed went another way".to_owned();
            report.violations.push(simulations::report::violation(32, what));
        }
        let mut total = total.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        total.add(report, twice);
        if total.runs.is_multiple_of((wanted.seeds / 10).max(1)) {
            eprintln!("{:6} runs, {} bad, {:.1} s", total.runs, total.bad.len(), start.elapsed().as_secs_f64());
        }
    }
}

impl Total {
    fn add(&mut self, report: Report, twice: bool) {
        self.runs += 1;
        self.twice += u64::from(twice);
        self.events += report.events;
        self.letters += report.letters;
        self.killed += report.killed;
        self.packets += report.weather.packets;
        self.lost += report.weather.lost;
        self.duplicated += report.weather.duplicated;
        self.reordered += report.weather.reordered;
        self.cut += report.weather.cut;
        for (place, (name, count)) in report.tally.all().into_iter().enumerate() {
            match self.sums.get_mut(place) {
                Some((_, sum)) => *sum += count,
                None => self.sums.push((name, count)),
            }
        }
        if !report.is_good() {
            self.bad.push(report);
        }
    }

    /// What should have happened and never did: a menu without effect proves nothing.
    fn inert(&self, wanted: &Wanted) -> Vec<&'static str> {
        if wanted.seeds < 200 {
            return Vec::new();
        }
        let menu = &wanted.menu;
        let weather = [
            ("lost", self.lost, menu.loss_permille),
            ("duplicated", self.duplicated, menu.duplicate_permille),
            ("reordered", self.reordered, menu.reorder_permille),
            ("cut off", self.cut, menu.cut_permille),
            ("killed", self.killed, menu.panic_per_million),
        ];
        let weather = weather.into_iter().filter(|(_, count, share)| *share > 0 && *count == 0).map(|(name, ..)| name);
        weather.chain(self.sums.iter().filter(|(_, count)| *count == 0).map(|(name, _)| *name)).collect()
    }

    fn print(&self, wanted: &Wanted, start: Instant) {
        let seconds = start.elapsed().as_secs_f64();
        println!("menu {}, seeds {} to {}", wanted.menu_name, wanted.first, wanted.first + wanted.seeds - 1);
        println!("  {:<14}{:>12}   in {seconds:.1} s, {:.1} runs/s", "runs", self.runs, self.runs as f64 / seconds);
        println!("  {:<14}{:>12}   run twice, same trace (I32)", "checked", self.twice);
        let rows = [
            ("events", self.events),
            ("letters", self.letters),
            ("packets", self.packets),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("cut off", self.cut),
            ("actors killed", self.killed),
        ];
        for (name, count) in rows.into_iter().chain(self.sums.iter().copied()) {
            println!("  {name:<14}{count:>12}");
        }
        for name in self.inert(wanted) {
            println!("  never happened: {name}");
        }
        println!("  {:<14}{:>12}", "bad runs", self.bad.len());
        let mut by_invariant = std::collections::BTreeMap::<u8, (u64, u64)>::new();
        for report in &self.bad {
            for wrong in &report.violations {
                let entry = by_invariant.entry(wrong.invariant).or_insert((0, report.seed));
                entry.0 += 1;
            }
        }
        for (invariant, (count, seed)) in by_invariant {
            let name = if invariant == 0 { "conservation".to_owned() } else { format!("I{invariant}") };
            println!("    {name:<12}{count:>12}   first seen with seed {seed}");
        }
        for report in self.bad.iter().take(wanted.show) {
            print!("{}", report.text());
            if wanted.ladder {
                print!("{}", run_with_ladder(report.seed, &wanted.menu).ladders);
            }
        }
        if let Some(report) = self.bad.first() {
            println!(
                "again: cargo run --release -p simulations --bin lab -- --menu {} --seed {} --ladder",
                wanted.menu_name, report.seed
            );
        }
    }
}
