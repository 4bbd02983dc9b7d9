//! Failures that the simulator found: each is played again, with its seed, and must not come back.

use std::path::Path;

use simulations::cluster::{Plan, run};

#[test]
fn what_was_mended_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let entries = std::fs::read_dir(&folder).expect("the folder of regressions is there");
    let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut broken = Vec::new();
    for file in &files {
        let plan = Plan::read(file).unwrap_or_else(|error| panic!("{error}"));
        let seed = plan.seed.unwrap_or_else(|| panic!("{}: names no seed", file.display()));
        for failure in run(&plan, seed, None).failures {
            broken.push(format!("{}: {} at {} ms: {}", plan.name, failure.invariant, failure.at_ms, failure.text));
        }
    }
    assert!(broken.is_empty(), "{} of {} regressions are back:\n{}", broken.len(), files.len(), broken.join("\n"));
}
