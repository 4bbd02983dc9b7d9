//! A carrier in short: quiet, then with an owner killed. The full menu is `lab cluster everything-at-once`.

use simulations::cluster::{Outcome, Plan, run};

const SMALL: &str = r#"
name = "small"
about = "Two chassis in one country and a witness."
busy_s = 30
drain_s = 110

[topology]
countries = 1
chassis = 2
balancers_per_chassis = 1
proxies_per_chassis = 1

[workload]
phones = 24
calls = 30
talk_s = [0.5, 15]
replays = 2
"#;

fn plan(more: &str) -> Plan {
    Plan::parse(&format!("{SMALL}{more}"), "small").unwrap_or_else(|error| panic!("{error}"))
}

fn assert_good(outcome: &Outcome) {
    let all: Vec<String> = outcome
        .failures
        .iter()
        .map(|failure| format!("{} {:?} at {} ms: {}", failure.invariant, failure.attempt, failure.at_ms, failure.text))
        .collect();
    assert!(all.is_empty(), "seed {}:\n{}", outcome.seed, all.join("\n"));
}

#[test]
fn a_quiet_carrier_completes_its_calls() {
    let outcome = run(&plan(""), 1, None);
    assert_good(&outcome);
    assert!(outcome.counts.answered > 10, "{:?}", outcome.counts);
    assert_eq!(outcome.counts.failed_by_switch, 0);
    assert!(outcome.takeovers.is_empty(), "nobody had a reason");
}

#[test]
fn the_loss_of_an_owner_is_taken_over_within_a_second() {
    let fault = "[[fault]]\nkind = \"kill-process\"\ntarget = \"active\"\nat_s = 12\nfor_s = 5\n";
    let outcome = run(&plan(fault), 2, None);
    assert_good(&outcome);
    assert!(outcome.takeovers.iter().any(|takeover| takeover.owned_ms < 1_000), "{:?}", outcome.takeovers);
    assert!(outcome.counts.restored > 0);
}

#[test]
fn the_same_seed_goes_the_same_way() {
    let fault = "[[fault]]\nkind = \"kill-chassis\"\ntarget = \"any chassis\"\nat_s = 10\nfor_s = 4\n";
    let (one, other) = (run(&plan(fault), 3, None), run(&plan(fault), 3, None));
    assert_eq!(one, other);
}

#[test]
fn an_inert_fault_fails_the_run() {
    // A relay hang of a proxy means nobody's relay.
    let fault = "[[fault]]\nkind = \"relay-hang\"\ntarget = \"any proxy\"\nat_s = 5\nfor_s = 4\n";
    let outcome = run(&plan(fault), 1, None);
    assert!(outcome.failures.iter().any(|failure| failure.invariant == "plan" && failure.text.contains("no effect")));
}
