use std::cell::Cell;

use super::*;
use crate::cluster::plan::FaultKind;

fn plan() -> Plan {
    let text = r#"
        name = "fake"
        about = "For a test."
        busy_s = 60
        [workload]
        phones = 40
        calls = 64
        [[fault]]
        kind = "pause"
        target = "any proxy"
        at_s = [5, 50]
        for_s = [1, 2]
        times = 6
        [[fault]]
        kind = "kill-process"
        target = "active"
        at_s = 20
        for_s = 3
        [[fault]]
        kind = "loss"
        at_s = [10, 40]
        for_s = [2, 9]
        much = [10, 20]
        times = 5
    "#;
    Plan::parse(text, "fake.toml").expect("a plan")
}

fn has(plan: &Plan, kind: FaultKind) -> bool {
    plan.faults.iter().any(|fault| *fault.kind.get_ref() == kind)
}

#[test]
fn one_fault_is_left_when_one_is_to_blame() {
    let shrunk = shrink(&plan(), 3, 200, &|plan| has(plan, FaultKind::KillProcess));
    assert_eq!(shrunk.plan.faults.len(), 1);
    assert_eq!(shrunk.plan.workload.phones, 2, "nothing else mattered");
    assert_eq!(shrunk.plan.workload.calls, 1);
}

#[test]
fn two_are_left_when_it_takes_both() {
    let both = |plan: &Plan| has(plan, FaultKind::KillProcess) && has(plan, FaultKind::Loss);
    let shrunk = shrink(&plan(), 3, 200, &both);
    assert_eq!(shrunk.plan.faults.len(), 2);
}

#[test]
fn calls_that_matter_stay() {
    let shrunk = shrink(&plan(), 3, 200, &|plan| plan.workload.calls >= 16);
    assert_eq!((shrunk.plan.workload.calls, shrunk.plan.faults.len()), (16, 0));
}

#[test]
fn the_number_of_runs_is_bounded() {
    let runs = Cell::new(0);
    let count = |_: &Plan| {
        runs.set(runs.get() + 1);
        false
    };
    let shrunk = shrink(&plan(), 3, 5, &count);
    assert_eq!((shrunk.runs, runs.get()), (5, 5));
    assert_eq!(shrunk.plan.faults.len(), plan().faults.len(), "as it was");
}

#[test]
fn a_frozen_plan_draws_the_same_scene() {
    let plan = plan();
    for seed in 1..20 {
        let scene = Scene::new(&Arc::new(plan.clone()), seed);
        let text = freeze(&plan, seed).to_toml();
        let again = Plan::parse(&text, "frozen").unwrap_or_else(|error| panic!("{error}\n{text}"));
        let frozen = Scene::new(&Arc::new(again), seed);
        let times = |scene: &Scene| -> Vec<_> {
            scene.strikes.iter().map(|one| (one.kind, one.at_ms, one.until_ms, one.much_milli, one.target)).collect()
        };
        assert_eq!(times(&scene), times(&frozen), "seed {seed}");
        assert_eq!(scene.healed_ms, frozen.healed_ms);
        let calls = |scene: &Scene| format!("{:?}", scene.script.attempts);
        assert_eq!(calls(&scene), calls(&frozen), "the same phones call");
    }
}

#[test]
fn what_is_by_default_is_not_written() {
    let text = plan().to_toml();
    assert!(text.contains("phones = 40") && text.contains("kind = \"pause\""), "{text}");
    assert!(!text.contains("[topology]") && !text.contains("tcp_permille") && !text.contains("disk_lost"), "{text}");
}
