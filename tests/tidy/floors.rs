//! Floors and doors, read from `cargo metadata`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Floor of every crate of ours. A crate may use crates of lower numbers only.
const FLOORS: &[(&str, u32)] = &[
    ("sip", 0),
    ("sdp", 0),
    ("fabric", 10),
    ("transaction", 20),
    ("dialog", 20),
    ("auth", 20),
    ("office", 25),
    ("balancer", 30),
    ("anchor", 30),
    ("call", 30),
    ("media", 30),
    ("registration", 30),
    ("location", 30),
    ("director", 30),
    ("shell", 40),
    ("ports", 40),
    ("roles", 40),
    ("web", 50),
    ("node", 55),
    ("simulations", 57),
    ("tandem", 60),
    ("tandem-tests", 60),
];

/// Foreign crates that have one door, and whose it is.
const DOORS: &[(&str, &[&str])] = &[
    ("rsip", &["sip"]),
    ("ractor", &["shell"]),
    ("raft", &["director"]),
    ("prost", &["director"]),
    ("slog", &["director"]),
    ("rusqlite", &["ports"]),
    ("scylla", &["ports"]),
    ("hickory-resolver", &["ports"]),
    ("nix", &["ports"]),
    ("socket2", &["ports"]),
    ("axum", &["web"]),
    ("axum-server", &["web"]),
    ("rcgen", &["web", "ports"]),
    ("x509-parser", &["ports"]),
    ("rustls", &["web", "tandem", "ports"]),
    ("tokio-rustls", &["ports"]),
    ("clap", &["tandem"]),
    ("ureq", &["tandem"]),
    ("indicatif", &["tandem", "simulations"]),
    ("siphasher", &["fabric", "auth"]),
    ("lz4_flex", &["office"]),
    ("postcard", &["fabric", "ports", "location", "director"]),
];

/// Crates of ours and the names of what they depend on (not counting what only their tests use).
pub type Graph = BTreeMap<String, Vec<String>>;

/// The workspace's graph, from `cargo metadata`.
pub fn read_metadata(root: &Path) -> Graph {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(|package| (text(&package["name"]), dependencies(package))).collect()
}

fn dependencies(package: &Value) -> Vec<String> {
    let all = package["dependencies"].as_array().expect("dependencies");
    all.iter().filter(|dependency| dependency["kind"].is_null()).map(|dependency| text(&dependency["name"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a name").to_owned()
}

/// Broken floors and doors, one line each.
pub fn complaints(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for (name, dependencies) in graph {
        let Some(floor) = floor(name) else {
            found.push(format!("crate `{name}` has no floor: give it one in tests/tidy/floors.rs"));
            continue;
        };
        for dependency in dependencies {
            if graph.contains_key(dependency) && crate::floors::floor(dependency).is_none_or(|other| other >= floor) {
                found.push(format!("`{name}` (floor {floor}) uses `{dependency}`, which is not below it"));
            }
            if let Some((_, owners)) = DOORS.iter().find(|(foreign, _)| foreign == dependency) {
                if !owners.contains(&name.as_str()) {
                    found.push(format!("`{name}` uses `{dependency}`, whose door is `{}`", owners.join("`, `")));
                }
            }
        }
    }
    found
}

fn floor(name: &str) -> Option<u32> {
    FLOORS.iter().find(|(other, _)| *other == name).map(|(_, floor)| *floor)
}

#[test]
fn finds_a_broken_floor_a_broken_door_and_a_crate_without_floor() {
    let graph = |name: &str, uses: &[&str]| {
        let mut graph = Graph::new();
        for other in uses {
            graph.insert((*other).to_owned(), Vec::new());
        }
        graph.insert(name.to_owned(), uses.iter().map(|other| (*other).to_owned()).collect());
        graph
    };
    assert_eq!(complaints(&graph("call", &["media"])).len(), 1, "two minds");
    assert_eq!(complaints(&graph("sip", &["fabric"])).len(), 1, "upwards");
    assert_eq!(complaints(&graph("nobody", &[])).len(), 1, "no floor");
    assert_eq!(complaints(&graph("call", &["fabric", "sip"])), Vec::<String>::new());
    let mut door = Graph::new();
    door.insert("web".to_owned(), vec!["rusqlite".to_owned()]);
    assert_eq!(complaints(&door).len(), 1, "a door");
}
