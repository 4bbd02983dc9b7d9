use simulations::campaign::{Broken, Failed, FaultCount};
use simulations::cluster::outcome::Failure;

use super::*;

fn campaign() -> Campaign {
    let mut campaign = Campaign { first: 1, seeds: 100, wall_s: 50.0, simulated_s: 3_600.0, ..Campaign::default() };
    campaign.counts.offered = 22_000;
    campaign.counts.answered = 22_000;
    campaign.take_over_ms = (300..400).collect();
    campaign.faults.insert("kill-chassis".to_owned(), FaultCount { struck: 40, took_effect: 40 });
    campaign
}

fn failed() -> Campaign {
    let mut campaign = campaign();
    let text = "device 4 rang twice for one and the same call, and that is one time too many".to_owned();
    let failure = Failure { invariant: "I10".to_owned(), at_ms: 21_003, attempt: Some(3), text };
    campaign.failed.push(Failed { seed: 17, failures: vec![failure] });
    campaign.broken.insert("I10".to_owned(), Broken { seeds: 1, first_seed: 17 });
    campaign
}

fn text(campaign: &Campaign, width: usize) -> String {
    let plan = Plan::open("quiet-day").expect("a supplied plan");
    result(campaign, &plan, "quiet-day", None, None, width)
}

#[test]
fn a_good_campaign_says_so_and_how_fast_it_was() {
    let text = text(&campaign(), 100);
    for part in ["100 seeds, 1 to 100, in 50 s", "72 times faster", "no invariant broke", "p99 399 ms", "kill-chassis"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("again"));
}

#[test]
fn a_failure_names_its_invariant_its_seed_and_the_command() {
    let text = text(&failed(), 100);
    for part in ["1 of 100 seeds", "I10", "21003 ms", "tandem simulate quiet-day --from 17 --seeds 1"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn nothing_but_commands_is_wider_than_the_terminal() {
    for width in [40, 60, 100] {
        for campaign in [campaign(), failed()] {
            let wide = |line: &&str| line.chars().count() > width && !line.contains("tandem simulate");
            let text = text(&campaign, width);
            assert_eq!(text.lines().find(wide), None, "{width} columns");
        }
        assert!(plans(width).lines().all(|line| line.chars().count() <= width), "{width} columns");
    }
}

#[test]
fn every_supplied_plan_is_listed_with_a_sentence() {
    let text = plans(200);
    for name in Plan::supplied() {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert!(line.len() > name.len() + 20, "{name}: {line}");
    }
}
