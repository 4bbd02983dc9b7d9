//! Everything in the simulated world that may go wrong around the switch: it takes effect, and the switch bears it.

use simulations::cluster::{Mutant, Outcome, Plan, run};

const SMALL: &str = r#"
name = "small"
about = "Two chassis in one country and a witness."
busy_s = 60
drain_s = 120

[topology]
countries = 1
chassis = 2
balancers_per_chassis = 1
proxies_per_chassis = 1

[weather]
loss_permille = 0
"#;

fn play(more: &str, seed: u64, mutant: Option<Mutant>) -> Outcome {
    let plan = Plan::parse(&format!("{SMALL}{more}"), "small").unwrap_or_else(|error| panic!("{error}"));
    run(&plan, seed, mutant)
}

fn met(outcome: &Outcome, name: &str) -> u64 {
    outcome.sometimes.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count)
}

fn good(more: &str, seed: u64) -> Outcome {
    let outcome = play(more, seed, None);
    let failures = outcome.failures.iter();
    let all: Vec<String> = failures
        .map(|failure| format!("{} {:?} at {} ms: {}", failure.invariant, failure.attempt, failure.at_ms, failure.text))
        .collect();
    assert!(all.is_empty(), "seed {seed}:\n{}", all.join("\n"));
    outcome
}

const BEHIND_NATS: &str =
    "[workload]\nphones = 30\ncalls = 60\nnat_permille = 1000\ntcp_permille = 0\nnat_idle_s = 40\n";

#[test]
fn keep_alives_hold_nat_mappings_open() {
    for kind in ["full-cone", "restricted", "port-restricted", "symmetric"] {
        let more = format!("{BEHIND_NATS}nat_kinds = [\"{kind}\"]\n");
        let outcome = good(&more, 1);
        assert!(met(&outcome, "NAT mapping held open") > 10, "{kind}: {:?}", outcome.sometimes);
        // Without them the mappings run out, and phones are not found.
        let outcome = play(&more, 1, Some(Mutant::KeepAliveForgotten));
        assert!(met(&outcome, "NAT mapping ran out") > 3, "{kind}: {:?}", outcome.sometimes);
        assert!(outcome.failures.iter().any(|failure| failure.invariant == "conservation"), "{kind}");
    }
}

#[test]
fn a_nat_box_that_restarts_costs_the_phones_behind_it_and_no_others() {
    let fault = "[[fault]]\nkind = \"nat-reset\"\nat_s = 30\nfor_s = 1\nmuch = 300\n";
    let outcome = good(&format!("{BEHIND_NATS}{fault}"), 2);
    assert!(met(&outcome, "NAT box forgot a phone") > 3 && met(&outcome, "NAT box kept a message out") > 0);
}

#[test]
fn power_goes_in_mid_write() {
    let mut torn = 0;
    for seed in 1..=3 {
        let outcome = good("[[fault]]\nkind = \"torn-write\"\ntarget = \"active\"\nat_s = 20\nfor_s = 12\n", seed);
        assert!(outcome.faults[0].effect, "{:?}", outcome.faults);
        torn += met(&outcome, "write torn by a crash");
    }
    assert!(torn > 0, "not one of them was caught in the middle");
}

/// The leading director writes when an owner has died, and dies of it: calls wait for the next one, ownership stays right.
#[test]
fn power_goes_in_the_middle_of_a_decision() {
    let faults = "[[fault]]\nkind = \"torn-write\"\ntarget = \"leader\"\nat_s = 10\nfor_s = 40\n\n\
                  [[fault]]\nkind = \"kill-process\"\ntarget = \"active\"\nat_s = 20\nfor_s = 5\ntogether = true\n";
    for seed in 1..=3 {
        let outcome = play(faults, seed, None);
        assert!(outcome.faults.iter().all(|fault| fault.effect), "{:?}", outcome.faults);
        let wrong =
            outcome.failures.iter().find(|failure| ["I1", "I2", "I3", "I4", "I5"].contains(&&*failure.invariant));
        assert_eq!(wrong, None, "seed {seed}");
    }
}

#[test]
fn a_trap_that_nothing_springs_has_no_effect() {
    // A balancer writes nothing.
    let fault = "[[fault]]\nkind = \"torn-write\"\ntarget = \"any balancer\"\nat_s = 20\nfor_s = 9\n";
    let outcome = play(fault, 1, None);
    assert!(
        outcome
            .failures
            .iter()
            .any(|failure| failure.text.contains("torn-write") && failure.text.contains("no effect"))
    );
}

#[test]
fn one_replica_of_the_store_may_lag_or_be_gone() {
    let faults = "[[fault]]\nkind = \"store-lag\"\nat_s = 1\nfor_s = 50\nmuch = 3000\n\n\
                  [[fault]]\nkind = \"store-replica-loss\"\nat_s = 5\nfor_s = 30\ndisk_lost = true\n";
    let outcome = good(faults, 1);
    assert!(outcome.faults.iter().all(|fault| fault.effect && fault.what.contains("writes")), "{:?}", outcome.faults);
}

#[test]
fn a_call_that_its_phone_forgot_ends_by_the_session_timer() {
    let outcome = good("[workload]\nphones = 30\ncalls = 30\ndrop_permille = 1000\n", 1);
    assert!(met(&outcome, "call forgotten by its phone") > 10, "{:?}", outcome.sometimes);
}

#[test]
fn calls_are_transferred() {
    let outcome = good("[workload]\nphones = 40\ncalls = 40\ntransfer_permille = 1000\n", 1);
    let (done, failed) = (met(&outcome, "call transferred"), met(&outcome, "transfer that came to nothing"));
    assert!(done > 5 && failed > 0, "{done} transferred, {failed} not");
}

const UPGRADE: &str = "[[fault]]\nkind = \"rolling-upgrade\"\nat_s = 2\nfor_s = 14\n\n\
                       [[fault]]\nkind = \"rolling-rollback\"\nat_s = 30\nfor_s = 25\n";

#[test]
fn two_releases_run_side_by_side_and_go_back() {
    let outcome = good(UPGRADE, 1);
    assert!(met(&outcome, "two releases side by side") > 0);
    // A release that writes what its neighbour cannot read: one node of it is as good as dead, several cost calls.
    let forward = "[[fault]]\nkind = \"rolling-upgrade\"\nat_s = 2\nfor_s = 57\n";
    let outcome = play(forward, 1, Some(Mutant::VersionRaised));
    assert!(outcome.failures.iter().any(|failure| failure.invariant == "conservation"), "{:?}", outcome.faults);
}
