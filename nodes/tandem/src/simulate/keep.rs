//! Failures that are kept: a plan that names its seed.

use std::path::{Path, PathBuf};

use simulations::cluster::Plan;

use crate::Failure;

/// The plan with its seed, as a file.
pub fn text(plan: &Plan, seed: u64, from: &str, invariant: &str) -> String {
    let about = format!("{invariant} broke with seed {seed} of {from}.");
    let plan = Plan { seed: Some(seed), about, ..plan.clone() };
    plan.to_toml()
}

/// Stores it as simulations/regressions/NAME.toml; where it is now.
///
/// Errors: a name that is none, a file that is there already, a tree that is not this one.
pub fn store(name: &str, text: &str) -> Result<PathBuf, Failure> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
        return Err(Failure::usage(format!("--keep {name}: letters, digits, - and _ make a name")));
    }
    let folder = Path::new("simulations/regressions");
    if !folder.is_dir() {
        return Err(Failure::usage("--keep: run it where simulations/regressions is"));
    }
    let file = folder.join(format!("{}.toml", name.trim_end_matches(".toml")));
    if file.exists() {
        return Err(Failure::usage(format!("{} is there already", file.display())));
    }
    let failed = |error| Failure::usage(format!("{} cannot be written: {error}", file.display()));
    std::fs::write(&file, text).map_err(failed)?;
    Ok(file)
}
