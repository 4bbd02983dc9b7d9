//! Many seeds of one plan on all cores, and what they say together.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cluster::outcome::{Counts, Failure, Outcome};

/// Which seeds, and how.
#[derive(Clone, Debug)]
pub struct Seeds {
    pub first: u64,
    pub count: u64,
    /// Threads.
    pub jobs: usize,
    /// Every so many seeds are run twice, and must go the same way (I32); 0: none.
    pub twice_every: u64,
    /// No seed begins after this; `None`: all of them do.
    pub length: Option<Duration>,
    /// Enough when so many seeds have failed; 0: never.
    pub failed_max: u64,
}

impl Seeds {
    /// `count` seeds from `first` on, on all cores.
    pub fn new(first: u64, count: u64) -> Seeds {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        Seeds { first, count, jobs, twice_every: 100, length: None, failed_max: 0 }
    }
}

/// Plays one seed.
pub type Play<'a> = &'a (dyn Fn(u64) -> Outcome + Sync);

/// What is known while seeds run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub done: u64,
    pub failed: u64,
}

/// What the seeds of a plan say together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Campaign {
    pub plan: String,
    pub first: u64,
    pub seeds: u64,
    /// Seeds that were run twice (I32).
    pub twice: u64,
    pub wall_s: f64,
    pub simulated_s: f64,
    pub counts: Counts,
    /// Seeds in which each invariant broke, and the first of them.
    pub broken: BTreeMap<String, Broken>,
    pub faults: BTreeMap<String, FaultCount>,
    pub sometimes: BTreeMap<String, u64>,
    /// What the plan wants to have happened and what never did, and kinds of faults that never had an effect.
    pub missing: Vec<String>,
    /// From a fault until the next owner acts, of each group and address that was taken over; in order of size.
    pub take_over_ms: Vec<u64>,
    /// The same where an operator or a leaving node asked for it.
    pub hand_over_ms: Vec<u64>,
    /// Seeds that failed, and how.
    pub failed: Vec<Failed>,
    /// It ended before all seeds were run.
    pub cut_short: bool,
    /// The run that a picture is worth: the first one that failed, else the first one.
    #[serde(skip)]
    pub shown: Option<Box<Outcome>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Broken {
    pub seeds: u64,
    pub first_seed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultCount {
    pub struck: u64,
    pub took_effect: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failed {
    pub seed: u64,
    pub failures: Vec<Failure>,
}

impl Campaign {
    /// Runs the seeds; `told` hears after each. Ends early when `stop` is set, with what there is.
    pub fn run(seeds: &Seeds, play: Play<'_>, stop: &AtomicBool, told: &(dyn Fn(Progress) + Sync)) -> Campaign {
        let (start, next) = (Instant::now(), AtomicU64::new(0));
        let all = Mutex::new(Campaign { first: seeds.first, ..Campaign::default() });
        let work = || {
            loop {
                let late = seeds.length.is_some_and(|length| start.elapsed() >= length);
                let number = next.fetch_add(1, Relaxed);
                if late || stop.load(Relaxed) || number >= seeds.count {
                    return;
                }
                let twice = seeds.twice_every > 0 && number.is_multiple_of(seeds.twice_every);
                let outcome = once_or_twice(seeds.first + number, twice, play);
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.twice += u64::from(twice);
                all.add(outcome);
                let progress = Progress { done: all.seeds, failed: all.failed.len() as u64 };
                if seeds.failed_max > 0 && progress.failed >= seeds.failed_max {
                    stop.store(true, Relaxed);
                }
                told(progress);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..seeds.jobs.max(1) {
                scope.spawn(work);
            }
        });
        let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.wall_s = start.elapsed().as_secs_f64();
        all.cut_short = all.seeds < seeds.count;
        all.take_over_ms.sort_unstable();
        all.hand_over_ms.sort_unstable();
        all.failed.sort_by_key(|failed| failed.seed);
        all
    }

    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.plan.clone_from(&outcome.plan);
        self.simulated_s += outcome.length_ms as f64 / 1e3;
        self.counts.add(&outcome.counts);
        for fault in &outcome.faults {
            let count = self.faults.entry(fault.kind.clone()).or_default();
            count.struck += 1;
            count.took_effect += u64::from(fault.effect);
        }
        for (name, hits) in &outcome.sometimes {
            *self.sometimes.entry(name.clone()).or_default() += hits;
        }
        for takeover in &outcome.takeovers {
            let times = if takeover.planned { &mut self.hand_over_ms } else { &mut self.take_over_ms };
            times.push(takeover.owned_ms);
        }
        let kinds: BTreeSet<String> = outcome.failures.iter().map(|failure| failure.invariant.clone()).collect();
        for kind in kinds {
            let broken = self.broken.entry(kind).or_insert(Broken { seeds: 0, first_seed: outcome.seed });
            broken.seeds += 1;
            broken.first_seed = broken.first_seed.min(outcome.seed);
        }
        if !outcome.is_good() {
            self.failed.push(Failed { seed: outcome.seed, failures: outcome.failures.clone() });
        }
        let rank = |outcome: &Outcome| (outcome.is_good(), outcome.seed);
        if self.shown.as_ref().is_none_or(|shown| rank(&outcome) < rank(shown)) {
            self.shown = Some(Box::new(outcome));
        }
    }

    /// Notes what the plan demands and what no seed brought. Meaningful after enough seeds only.
    pub fn demand(&mut self, wanted: &[String]) {
        let never = wanted.iter().filter(|name| self.sometimes.get(*name).copied().unwrap_or(0) == 0);
        let missing: Vec<String> = never.map(|name| format!("never happened: {name}")).collect();
        let inert = self.faults.iter().filter(|(_, count)| count.took_effect == 0);
        let inert: Vec<String> = inert.map(|(kind, _)| format!("never took effect: {kind}")).collect();
        self.missing = missing.into_iter().chain(inert).collect();
    }

    /// Nothing broke and nothing is missing.
    pub fn is_good(&self) -> bool {
        self.failed.is_empty() && self.missing.is_empty() && self.seeds > 0
    }

    /// The time that this share of the take-overs kept, milliseconds; `None` when there was none.
    pub fn take_over_at(&self, share: f64) -> Option<u64> {
        share_of(&self.take_over_ms, share)
    }

    /// Seconds of the carrier's life in a second of ours.
    pub fn speed(&self) -> f64 {
        if self.wall_s > 0.0 { self.simulated_s / self.wall_s } else { 0.0 }
    }
}

/// The value below or at which `share` of the sorted `times` lie.
pub fn share_of(times: &[u64], share: f64) -> Option<u64> {
    let last = times.len().checked_sub(1)?;
    times.get((share * last as f64).ceil() as usize).copied()
}

fn once_or_twice(seed: u64, twice: bool, play: Play<'_>) -> Outcome {
    let mut outcome = guarded(seed, play);
    if twice {
        let again = guarded(seed, play);
        if again.hash != outcome.hash {
            let text = format!("the same seed went another way: {:016x}, then {:016x}", outcome.hash, again.hash);
            outcome.failures.push(failure("I32", text));
        }
    }
    outcome
}

/// A panic of the simulator itself is a failure of the seed, not the end of the campaign.
fn guarded(seed: u64, play: Play<'_>) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| play(seed))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let failures = vec![failure("panic", format!("the run panicked: {text}"))];
        Outcome { seed, failures, ..Outcome::default() }
    })
}

fn failure(invariant: &str, text: String) -> Failure {
    Failure { invariant: invariant.to_owned(), at_ms: 0, attempt: None, text }
}

macro_rules! counts {
    ($($name:ident),* $(,)?) => {
        impl Counts {
            /// Every count by name.
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }

            /// Adds another run's.
            pub fn add(&mut self, other: &Counts) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counts!(
    offered,
    answered,
    rejected,
    cancelled,
    failed_by_phone,
    failed_by_switch,
    registrations,
    records,
    duplicate_records,
    take_overs,
    restored,
    cold_starts,
    unprotected,
    resent,
    given_up,
    stale_letters,
    stale_records,
    fills,
    parcels,
    links_broken,
    letters,
    events,
    packets,
    packets_lost,
);

#[cfg(test)]
mod tests;
