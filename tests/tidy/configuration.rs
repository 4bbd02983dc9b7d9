//! Collects the documented fields of every `Settings` into one page: what a configuration file may say.

use crate::sources::Source;

/// Section of the file, the source and the struct that describe it.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("the top of the file", "nodes/node/src/config.rs", "Config"),
    ("`[[listen]]`", "nodes/node/src/config.rs", "Listen"),
    ("`[balancer]`", "actors/balancer/src/settings.rs", "Settings"),
    ("`[registration]`", "actors/registration/src/settings.rs", "Settings"),
    ("`[registration.digest]`", "actors/auth/src/server.rs", "Policy"),
    ("`[location]`", "actors/location/src/settings.rs", "Settings"),
    ("`[call]`", "actors/call/src/settings.rs", "Settings"),
    ("`[call.timings]`", "actors/transaction/src/timings.rs", "Timings"),
    ("`[media]`", "actors/media/src/settings.rs", "Settings"),
    ("`[anchor]`", "actors/anchor/src/settings.rs", "Settings"),
    ("`[[anchor.relays]]`", "actors/anchor/src/settings.rs", "RelaySettings"),
    ("`[shell]`", "actors/shell/src/settings.rs", "Settings"),
    ("`[store]`", "nodes/ports/src/store.rs", "Settings"),
    ("`[records]`", "nodes/ports/src/records.rs", "Settings"),
    ("`[names]`", "nodes/ports/src/names.rs", "Settings"),
    ("`[udp]`", "nodes/ports/src/udp.rs", "Settings"),
    ("`[tcp]`", "nodes/ports/src/tcp.rs", "Settings"),
    ("`[api]`", "nodes/web/src/settings.rs", "ApiSettings"),
    ("`[control]`", "nodes/web/src/settings.rs", "ControlSettings"),
    ("`[cluster]`", "nodes/node/src/config/cluster.rs", "Cluster"),
    ("`[[cluster.nodes]]`", "nodes/node/src/config/cluster.rs", "Member"),
    ("`[[cluster.pairs]]`", "nodes/node/src/config/cluster.rs", "Pair"),
    ("`[[cluster.sites]]`", "nodes/node/src/config/cluster.rs", "Site"),
    ("`[cluster.office]`", "actors/office/src/settings.rs", "Settings"),
    ("`[cluster.director]`", "actors/director/src/settings.rs", "Settings"),
    ("`[cluster.links]`", "nodes/ports/src/links.rs", "Settings"),
    ("`[trace]`", "nodes/ports/src/tracer.rs", "Settings"),
    ("`[log]`", "nodes/node/src/config.rs", "LogSettings"),
];

/// The page `docs/CONFIGURATION.md`.
pub fn page(sources: &[Source]) -> String {
    let mut page = String::from(
        "# Configuration\n\nOne TOML file a node. Unknown keys are refused with their line; `tandem check FILE` says what is wrong. Everything has a default\n\
         but `[[listen]]`. Written by `tests/run tidy --write` from the sources.\n",
    );
    for (section, path, name) in SECTIONS {
        let source = sources.iter().find(|source| source.path == *path).unwrap_or_else(|| panic!("{path} is gone"));
        let fields = fields(&source.text, name);
        assert!(!fields.is_empty(), "{path} has no documented `{name}`");
        page.push_str(&format!("\n## {section}\n\n| key | meaning |\n|---|---|\n"));
        for (field, doc) in fields {
            page.push_str(&format!("| `{field}` | {} |\n", doc.replace('|', "\\|")));
        }
    }
    page
}

/// Documented public fields of a struct that a file may set (`#[serde(skip)]` ones are not), with their doc comments.
fn fields(text: &str, name: &str) -> Vec<(String, String)> {
    let start = format!("pub struct {name} {{");
    let lines = text.lines().skip_while(|line| *line != start).skip(1).take_while(|line| *line != "}");
    let (mut found, mut doc, mut skipped) = (Vec::new(), Vec::new(), false);
    for line in lines.map(str::trim) {
        if let Some(more) = line.strip_prefix("///") {
            doc.push(more.trim());
        } else if line.starts_with("#[serde(skip") {
            skipped = true;
        } else if let Some((field, _)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(':')) {
            if !skipped && !doc.is_empty() {
                found.push((field.to_owned(), doc.join(" ")));
            }
            doc.clear();
            skipped = false;
        }
    }
    found
}

#[test]
fn takes_documented_fields_only() {
    let text = "pub struct S {\n    /// Speed, bytes\n    /// a second.\n    pub speed: u32,\n    #[serde(skip)]\n    /// Not for files.\n    pub own: u32,\n    pub bare: u32,\n}\n";
    assert_eq!(fields(text, "S"), vec![("speed".to_owned(), "Speed, bytes a second.".to_owned())]);
}
