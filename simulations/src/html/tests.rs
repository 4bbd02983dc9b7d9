use super::*;
use crate::campaign::{Broken, FaultCount};
use crate::cluster::outcome::{Failure, FaultReport, Ladder, Moment, NodeReport, Sample};

fn outcome() -> Outcome {
    let node = |number: u16, chassis: usize| NodeReport {
        node: number,
        name: format!("c{}.proxy1", chassis + 1),
        chassis,
        country: chassis,
        role: "proxy".to_owned(),
    };
    let moment = |at_ms: u64, node: usize, event: &str, text: &str| Moment {
        at_ms,
        node: Some(node),
        event: event.to_owned(),
        text: text.to_owned(),
    };
    Outcome {
        plan: "a <plan>".to_owned(),
        seed: 17,
        length_ms: 60_000,
        nodes: vec![node(1, 0), node(2, 1)],
        timeline: vec![
            moment(0, 0, "up", "start 1"),
            moment(0, 1, "up", "start 1"),
            moment(900, 0, "owns", "group 0 epoch 1"),
            moment(20_000, 0, "down", "process"),
            moment(20_400, 1, "owns", "group 0 epoch 2"),
            moment(25_000, 0, "up", "start 2"),
            moment(40_000, 1, "paused", ""),
            moment(41_000, 1, "resumed", "after 1000 ms"),
        ],
        samples: (0..60).map(|at_s| Sample { at_s, up: 5, ringing: 1, dialled: 1, nodes: 2 }).collect(),
        faults: vec![FaultReport {
            kind: "kill-process".to_owned(),
            target: "c1.proxy1".to_owned(),
            at_ms: 20_000,
            until_ms: 25_000,
            effect: true,
            what: "1 processes".to_owned(),
        }],
        ladders: vec![Ladder {
            attempt: Some(3),
            about: "user1 <calls> user2".to_owned(),
            text: "INVITE ->".to_owned(),
        }],
        ..Outcome::default()
    }
}

fn campaign() -> Campaign {
    let failure = Failure {
        invariant: "I10".to_owned(),
        at_ms: 21_003,
        attempt: Some(3),
        text: "device 4 rang <twice>".to_owned(),
    };
    let mut campaign = Campaign {
        plan: "a <plan>".to_owned(),
        first: 1,
        seeds: 1_234,
        simulated_s: 7_200.0,
        wall_s: 10.0,
        take_over_ms: (300..500).collect(),
        shown: Some(Box::new(outcome())),
        ..Campaign::default()
    };
    campaign.failed.push(Failed { seed: 17, failures: vec![failure] });
    campaign.broken.insert("I10".to_owned(), Broken { seeds: 1, first_seed: 17 });
    campaign.faults.insert("kill-process".to_owned(), FaultCount { struck: 3, took_effect: 3 });
    campaign.counts.offered = 10;
    campaign.counts.answered = 10;
    campaign
}

fn page(campaign: &Campaign) -> String {
    let (about, command) = ("Two chassis.", "tandem simulate quiet-day");
    let shrunk = Some(("[topology]\nchassis = 2", "tandem simulate short.toml"));
    Page { campaign, about, command, mutant: None, shrunk }.render()
}

#[test]
fn a_page_needs_nothing_from_outside_and_nothing_breaks_out_of_it() {
    let page = page(&campaign());
    for outside in ["http:", "https:", "src=", "<script", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("a &lt;plan&gt;") && page.contains("rang &lt;twice&gt;"), "texts are safe");
    assert!(!page.contains("<plan>") && !page.contains("NaN") && !page.contains("inf\""));
}

#[test]
fn a_page_tells_what_there_is_to_tell() {
    let page = page(&campaign());
    let parts = [
        "1 of 1,234 seeds broke an invariant",
        "Calls across the faults",
        "group 0, epoch 2: c2.proxy1 from 20.4 to 60.0 s",
        "paused 40.0 to 41.0 s",
        "kill-process",
        "How long take-overs took",
        "The shortest plan that still fails",
        "Call 3 as a ladder",
        "adds up",
        "take-over while ringing",
    ];
    for part in parts {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_page_of_nothing_is_a_page() {
    let page = page(&Campaign::default());
    assert!(page.contains("No seed was run"));
}

#[test]
fn a_nodes_life_falls_into_stretches() {
    let outcome = outcome();
    let moments: Vec<&Moment> = outcome.timeline.iter().filter(|moment| moment.node == Some(0)).collect();
    let lives = lanes::stretches(&moments, outcome.length_ms);
    let lives: Vec<_> = lives.into_iter().map(|(state, from, to, _)| (state, from, to)).collect();
    use lanes::State::{Down, Up};
    assert_eq!(lives, [(Up, 0, 20_000), (Down, 20_000, 25_000), (Up, 25_000, 60_000)]);
}

#[test]
fn axes_have_round_numbers() {
    assert_eq!(draw::ticks(47.0, 4), [0.0, 20.0, 40.0]);
    assert_eq!(draw::ticks(3.0, 4), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(tables::thousands(1_234_567), "1,234,567");
    assert_eq!(tables::thousands(12), "12");
}
