use std::sync::atomic::AtomicBool;

use super::*;
use crate::cluster::outcome::{FaultReport, Takeover};

/// A seed that fails when it is a multiple of seven.
fn play(seed: u64) -> Outcome {
    let mut outcome = Outcome { seed, plan: "fake".to_owned(), length_ms: 60_000, hash: seed, ..Outcome::default() };
    outcome.counts.offered = 10;
    outcome.takeovers = vec![takeover(seed, false), takeover(1, true)];
    let (kind, target, what) = ("pause".to_owned(), "c1.proxy1".to_owned(), String::new());
    outcome.faults.push(FaultReport { kind, target, at_ms: 5, until_ms: 9, effect: seed > 3, what });
    outcome.sometimes.push(("glare".to_owned(), seed % 2));
    if seed.is_multiple_of(7) {
        outcome.failures = ["I7", "I7", "I23"].map(|name| failure(name, "broken".to_owned())).to_vec();
    }
    outcome
}

fn takeover(owned_ms: u64, planned: bool) -> Takeover {
    let (what, from, to) = ("group 1".to_owned(), "c1.proxy1".to_owned(), "c2.proxy1".to_owned());
    Takeover { what, from, to, at_ms: 5, owned_ms, effect_ms: None, planned }
}

fn run(seeds: &Seeds, play: Play<'_>) -> Campaign {
    Campaign::run(seeds, play, &AtomicBool::new(false), &|_| {})
}

fn quick(count: u64) -> Seeds {
    Seeds { jobs: 3, ..Seeds::new(1, count) }
}

#[test]
fn seeds_are_summed_up() {
    let all = run(&quick(20), &play);
    assert_eq!((all.seeds, all.counts.offered, all.cut_short), (20, 200, false));
    assert_eq!(all.failed.iter().map(|failed| failed.seed).collect::<Vec<_>>(), [7, 14]);
    assert_eq!(all.broken["I7"], Broken { seeds: 2, first_seed: 7 });
    assert_eq!(all.broken["I23"], Broken { seeds: 2, first_seed: 7 });
    assert_eq!(all.faults["pause"], FaultCount { struck: 20, took_effect: 17 });
    assert_eq!((all.sometimes["glare"], all.hand_over_ms.len()), (10, 20));
    assert_eq!((all.take_over_at(0.5), all.take_over_at(1.0)), (Some(11), Some(20)));
    assert_eq!(all.shown.as_ref().map(|shown| shown.seed), Some(7), "the first that failed is shown");
    assert!(!all.is_good());
}

#[test]
fn the_first_seed_is_shown_when_none_failed() {
    let all = run(&quick(6), &play);
    assert_eq!(all.shown.as_ref().map(|shown| shown.seed), Some(1));
    assert!(all.is_good());
}

#[test]
fn what_never_happened_is_missing() {
    let mut all = run(&quick(2), &play);
    all.demand(&["glare".to_owned(), "forked double 2xx".to_owned()]);
    assert_eq!(all.missing, ["never happened: forked double 2xx", "never took effect: pause"]);
    assert!(!all.is_good());
}

#[test]
fn a_seed_that_goes_two_ways_breaks_determinism() {
    let toss = AtomicU64::new(0);
    let all =
        run(&Seeds { twice_every: 2, ..quick(2) }, &|seed| Outcome { hash: toss.fetch_add(1, Relaxed), ..play(seed) });
    assert_eq!((all.twice, all.broken.get("I32").map(|broken| broken.seeds)), (1, Some(1)));
}

#[test]
fn a_panic_is_a_failure_of_its_seed() {
    let all = run(&quick(3), &|seed| if seed == 2 { panic!("lost the thread") } else { play(seed) });
    assert_eq!((all.seeds, all.failed.len()), (3, 1));
    assert!(all.failed[0].failures[0].text.contains("lost the thread"));
}

#[test]
fn enough_failures_end_it() {
    let all = run(&Seeds { jobs: 1, failed_max: 1, ..Seeds::new(1, 1_000) }, &play);
    assert_eq!((all.seeds, all.cut_short), (7, true));
}

#[test]
fn a_stop_ends_it_with_what_there_is() {
    let stop = AtomicBool::new(false);
    let told = |progress: Progress| stop.store(progress.done >= 4, Relaxed);
    let all = Campaign::run(&Seeds { jobs: 1, ..Seeds::new(1, 1_000) }, &play, &stop, &told);
    assert_eq!((all.seeds, all.cut_short), (4, true));
}

#[test]
fn a_limit_of_time_lets_no_seed_begin_afterwards() {
    let all = run(&Seeds { length: Some(Duration::ZERO), ..quick(50) }, &play);
    assert_eq!((all.seeds, all.is_good()), (0, false), "nothing was shown");
}
