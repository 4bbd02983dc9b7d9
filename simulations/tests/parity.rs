//! The shell and the lab are two hosts of the same machines: what every phone saw and what was billed must be equal.

use simulations::{Menu, parity, run_seed};

const SEEDS: u64 = 30;

#[test]
fn the_shell_equals_the_lab() {
    let menu = Menu::mixed();
    let seeds: u64 = std::env::var("PARITY_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let mut differing = Vec::new();
    for seed in 1..=seeds {
        let (lab, shell) = (run_seed(seed, &menu), parity::run_seed(seed, &menu));
        assert!(lab.is_good(), "in the lab:\n{}", lab.text());
        assert!(shell.is_good(), "under the shell:\n{}", shell.text());
        assert_eq!(lab.tally, shell.tally, "seed {seed}");
        let differences: Vec<_> = lab.outcome.iter().zip(&shell.outcome).filter(|(lab, shell)| lab != shell).collect();
        for (lab, shell) in &differences {
            println!("seed {seed}\n  lab   {lab}\n  shell {shell}");
        }
        if !differences.is_empty() || lab.outcome.len() != shell.outcome.len() {
            differing.push(seed);
        }
    }
    assert!(differing.is_empty(), "seeds that differ: {differing:?}");
}
