//! `lab mutants`: which deliberate fault is found by which plan, seed and invariant.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use simulations::mutants::{Found, Mutant, hunt};

/// `--least`: so many must be found; all of them when it is left out.
pub const USAGE: &str = "lab mutants [--seeds N] [--only NAME] [--least N] [--threads N]";

struct Wanted {
    mutants: Vec<Mutant>,
    seeds: u64,
    threads: usize,
    least: Option<usize>,
}

pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let Wanted { mutants, seeds, threads, least } = match wanted(arguments) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|_| {}));
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let all = Mutex::new(Vec::new());
    println!("{:<28}{:<20}{:>5}  {:<13}what the judge said", "mutant", "plan", "seeds", "invariant");
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Relaxed)) {
                    let found = hunt(*mutant, seeds);
                    print(&found);
                    all.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(found);
                }
            });
        }
    });
    let all: Vec<Found> = all.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let missed = all.iter().filter(|found| found.by.is_none()).count();
    println!("{} mutants, {missed} not found, {:.1} s", all.len(), start.elapsed().as_secs_f64());
    let enough = least.map_or(missed == 0, |least| all.len() - missed >= least);
    if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut wanted = Wanted { mutants: Mutant::all(), seeds: 200, threads: cores, least: None };
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{argument} needs a number, not {value}"));
        match argument.as_str() {
            "--seeds" => wanted.seeds = number()?,
            "--threads" => wanted.threads = number()?.max(1) as usize,
            "--least" => wanted.least = Some(number()? as usize),
            "--only" => wanted.mutants = vec![Mutant::named(&value)?],
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(wanted)
}

fn print(found: &Found) {
    let (invariant, text) = match &found.by {
        Some((_, failure)) => (failure.invariant.as_str(), failure.text.as_str()),
        None => ("NOT FOUND", ""),
    };
    let text: String = text.chars().take(TEXT_MAX).collect();
    println!("{:<28}{:<20}{:>5}  {invariant:<13}{text}", found.mutant.name(), found.plan, found.seeds);
}

/// As much of a judge's words as a line holds.
const TEXT_MAX: usize = 90;
