//! Licences and origins of everything that is built in, against what `deny.toml` allows; `cargo deny check` adds advisories where it
//! is installed and has a network.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Crates whose licence stands in a file only, and what the file says.
const CLARIFIED: &[(&str, &str)] = &[("rsip", "MIT"), ("rsip-derives", "MIT")];

/// Packages with a licence or origin that is not allowed, one line each.
pub fn complaints(root: &Path) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root)
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let allowed = allowed(&std::fs::read_to_string(root.join("deny.toml")).expect("deny.toml"));
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 100, "only {} packages found", packages.len());
    packages.iter().filter_map(|package| complaint(package, &allowed)).collect()
}

fn complaint(package: &Value, allowed: &[String]) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    if let Some(source) = package["source"].as_str().filter(|source| !source.starts_with("registry+")) {
        return Some(format!("`{name}` comes from {source}"));
    }
    let clarified = CLARIFIED.iter().find(|(other, _)| *other == name).map(|(_, license)| *license);
    let license = clarified.or(package["license"].as_str()).unwrap_or("none");
    (!is_allowed(license, allowed)).then(|| format!("`{name}` has licence {license}"))
}

/// Whether one alternative of an SPDX expression is allowed in all its parts.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain
        .split(" OR ")
        .any(|alternative| alternative.split(" AND ").all(|part| allowed.iter().any(|one| one == part.trim())))
}

/// The `allow` list of `deny.toml`.
fn allowed(text: &str) -> Vec<String> {
    let list = text.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    list.split(',').map(|item| item.trim().trim_matches('"').to_owned()).collect()
}

#[test]
fn reads_expressions() {
    let allowed = allowed("allow = [\"MIT\", \"ISC\"]");
    assert!(is_allowed("MIT OR GPL-3.0", &allowed) && is_allowed("ISC AND (MIT OR GPL-3.0)", &allowed));
    assert!(
        !is_allowed("GPL-3.0", &allowed) && !is_allowed("MIT AND GPL-3.0", &allowed) && !is_allowed("none", &allowed)
    );
}
