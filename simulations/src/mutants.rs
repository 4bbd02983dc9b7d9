//! Mutants: the switch, or what passes between its nodes, made wrong on purpose. A judge that notices none of them is blind.
//!
//! Those of the switch are compiled in with the feature `mutants` only; those of the links work in every build.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cluster::outcome::{Failure, Outcome};
use crate::cluster::{self, Plan};

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Of the switch's own code.
    Switch(fabric::mutant::Mutant),
    /// Of a parcel or a record on its way.
    Link(cluster::Mutant),
}

impl Mutant {
    /// Those that this build can put to work.
    pub fn all() -> Vec<Mutant> {
        let switch =
            fabric::mutant::Mutant::ALL.into_iter().filter(|_| fabric::mutant::IS_POSSIBLE).map(Mutant::Switch);
        switch.chain(cluster::Mutant::ALL.into_iter().map(Mutant::Link)).collect()
    }

    pub fn name(self) -> String {
        match self {
            Mutant::Switch(mutant) => mutant.name().to_owned(),
            Mutant::Link(mutant) => format!("link-{}", mutant.name()),
        }
    }

    /// The mutant of this name.
    ///
    /// Errors: why there is none; one that needs another build says so.
    pub fn named(name: &str) -> Result<Mutant, String> {
        if let Some(mutant) = Mutant::all().into_iter().find(|mutant| mutant.name() == name) {
            return Ok(mutant);
        }
        if fabric::mutant::Mutant::named(name).is_some() {
            return Err(format!(
                "{name} needs a build with the mutants: cargo run --release -p tandem --features mutants"
            ));
        }
        let names: Vec<String> = Mutant::all().into_iter().map(Mutant::name).collect();
        Err(format!("there is no mutant {name}; there are: {}", names.join(", ")))
    }

    /// The plan that gives it most to do.
    pub fn plan(self) -> &'static str {
        use cluster::Mutant as Link;
        use fabric::mutant::Mutant as Own;
        match self {
            Mutant::Switch(Own::NonceReused | Own::CounterLeaked | Own::MediaLeft) => "quiet-day",
            Mutant::Switch(Own::LeaseIgnored | Own::EpochUnchecked) => "split-brain",
            Mutant::Link(Link::KeepAliveForgotten) => "quiet-day",
            Mutant::Link(Link::VersionRaised) => "rolling-upgrade",
            Mutant::Switch(Own::QuestionsForgotten) | Mutant::Link(Link::QuestionsForgotten) => "slow-answers",
            Mutant::Link(Link::MediaCrossed) => "quiet-day",
            Mutant::Link(Link::BansUntold | Link::BansRestarted | Link::VouchForgotten) => "scanners",
            _ => "everything-at-once",
        }
    }
}

/// Plays a seed, with a mutant at work, and with the ladders of calls that went wrong if they are wanted.
pub fn play(plan: &Plan, seed: u64, mutant: Option<Mutant>, ladders: bool) -> Outcome {
    let (own, link) = match mutant {
        Some(Mutant::Switch(own)) => (Some(own), None),
        Some(Mutant::Link(link)) => (None, Some(link)),
        None => (None, None),
    };
    let _at_work = AtWork::new(own);
    match ladders {
        true => cluster::run_with_ladders(plan, seed, link),
        false => cluster::run(plan, seed, link),
    }
}

/// What a mutant was found by.
#[derive(Clone, Debug)]
pub struct Found {
    pub mutant: Mutant,
    pub plan: &'static str,
    /// Seeds that were tried.
    pub seeds: u64,
    /// The seed that failed, and how; `None` when no judge noticed anything.
    pub by: Option<(u64, Failure)>,
}

/// Tries seeds until a judge notices the mutant: an invariant breaks that holds without it.
pub fn hunt(mutant: Mutant, seeds_max: u64) -> Found {
    let name = mutant.plan();
    let mut found = Found { mutant, plan: name, seeds: 0, by: None };
    let Ok(plan) = Plan::open(name) else { return found };
    for seed in 1..=seeds_max {
        found.seeds = seed;
        let wrong = failures(&plan, seed, Some(mutant));
        if wrong.is_empty() {
            continue;
        }
        let known = failures(&plan, seed, None);
        let is_new = |failure: &Failure| known.iter().all(|known| known.invariant != failure.invariant);
        if let Some(failure) = wrong.into_iter().find(is_new) {
            found.by = Some((seed, failure));
            return found;
        }
    }
    found
}

fn failures(plan: &Plan, seed: u64, mutant: Option<Mutant>) -> Vec<Failure> {
    let run = catch_unwind(AssertUnwindSafe(|| play(plan, seed, mutant, false).failures));
    run.unwrap_or_else(|_| {
        let (invariant, text) = ("panic".to_owned(), "the run panicked".to_owned());
        vec![Failure { invariant, at_ms: 0, attempt: None, text }]
    })
}

/// A mutant of the switch is at work in this thread while this lives.
struct AtWork;

impl AtWork {
    fn new(mutant: Option<fabric::mutant::Mutant>) -> AtWork {
        choose(mutant);
        AtWork
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        choose(None);
    }
}

#[cfg(feature = "mutants")]
fn choose(mutant: Option<fabric::mutant::Mutant>) {
    fabric::mutant::choose(mutant);
}

#[cfg(not(feature = "mutants"))]
fn choose(_: Option<fabric::mutant::Mutant>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutants_have_names_of_their_own() {
        let mut names: Vec<String> = Mutant::all().into_iter().map(Mutant::name).collect();
        assert!(names.iter().all(|name| Mutant::named(name).is_ok_and(|mutant| mutant.name() == *name)));
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(Mutant::named("nobody").is_err());
    }

    #[test]
    fn a_mutant_that_this_build_lacks_is_not_taken_for_nobody() {
        if !fabric::mutant::IS_POSSIBLE {
            let why = Mutant::named("epoch-unchecked").unwrap_err();
            assert!(why.contains("--features mutants"), "{why}");
        }
    }

    #[test]
    fn plans_of_mutants_are_supplied() {
        for mutant in Mutant::all() {
            assert!(Plan::open(mutant.plan()).is_ok(), "{}", mutant.name());
        }
    }
}
