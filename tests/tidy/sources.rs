//! Rules about single source files.

use std::path::{Path, PathBuf};

/// Longest file, lines.
const LINES_MAX: usize = 600;

/// Words that no room below floor 4 may use outside its tests: time, threads, I/O, randomness, unordered maps.
const FORBIDDEN_BELOW_HOSTS: &[&str] = &[
    "std::time::Instant",
    "std::time::SystemTime",
    "SystemTime::now",
    "std::thread",
    "std::fs",
    "std::env",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "tokio::",
    "async fn",
    "rand::",
    "collections::HashMap",
    "collections::HashSet",
    "RandomState",
];

/// Files that own a forbidden word because they are the place that tames it.
const TAMERS: &[&str] = &["actors/fabric/src/hash.rs"];

/// Where a foreign crate may be named: crate path and the files (by prefix) behind whose door it stands.
const DOORS: &[(&str, &[&str])] = &[
    ("rsip::", &["actors/sip/src/rsip_door"]),
    ("rusqlite::", &["nodes/ports/src/store"]),
    ("scylla::", &["nodes/ports/src/store"]),
    ("hickory_resolver::", &["nodes/ports/src/names"]),
    ("ractor::", &["actors/shell/src"]),
    ("axum::", &["nodes/web/src"]),
];

/// Which fault a build that tests the judges has: one per thread, and not there in any other build.
const MUTANTS: &str = "actors/fabric/src/mutant.rs";

/// Words that name a unit in a settings field or its doc comment.
const UNITS: &[&str] = &[
    "ms",
    "s",
    "us",
    "seconds",
    "second",
    "minutes",
    "hours",
    "milliseconds",
    "bytes",
    "byte",
    "count",
    "percent",
    "thousandths",
    "hops",
    "messages",
    "letters",
    "machines",
    "shards",
    "threads",
    "number",
    "port",
    "weight",
    "times",
    "contacts",
    "connections",
    "addresses",
    "rows",
    "files",
    "lines",
    "days",
    "sessions",
    "calls",
    "bits",
    "legs",
    "rounds",
    "kib",
    "responses",
    "records",
    "entries",
    "datagrams",
];

pub struct Source {
    /// Path from the repository's root, with `/`.
    pub path: String,
    pub text: String,
}

/// Every Rust source of ours.
pub fn read(root: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    for top in ["actors", "nodes", "geo", "simulations", "tests"] {
        walk(&root.join(top), &mut found);
    }
    found.sort();
    found
        .into_iter()
        .map(|path| Source {
            path: relative(&path, root),
            text: std::fs::read_to_string(&path).expect("a readable source"),
        })
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/")
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| {
            matches!(part, "tests" | "tests.rs" | "testing" | "testing.rs" | "examples" | "fuzz" | "benches")
        })
    }

    fn is_below_hosts(&self) -> bool {
        self.path.starts_with("actors/") && !self.path.starts_with("actors/shell/")
    }

    /// The part of the file that is not a test module at its end.
    fn shipped(&self) -> &str {
        match self.text.find("#[cfg(test)]\nmod ") {
            Some(place) if self.text[place..].contains("{\n") => &self.text[..place],
            _ => &self.text,
        }
    }
}

/// What this file breaks, one line each.
pub fn complaints(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{}: {lines} lines, at most {LINES_MAX}", source.path));
    }
    if source.path.starts_with("tests/tidy") {
        return found; // names what it forbids
    }
    for (number, line) in source.shipped().lines().enumerate() {
        let place = format!("{}:{}", source.path, number + 1);
        let code = line.split("//").next().unwrap_or_default();
        if is_mutable_static(code) && !source.is_test() && source.path != MUTANTS {
            found.push(format!("{place}: a mutable static: {}", code.trim()));
        }
        if source.is_below_hosts() && !source.is_test() && !TAMERS.contains(&source.path.as_str()) {
            for word in FORBIDDEN_BELOW_HOSTS.iter().filter(|word| code.contains(**word)) {
                found.push(format!("{place}: `{word}` below floor 4"));
            }
        }
    }
    if !source.is_test() {
        found.extend(unitless_settings(source));
    }
    found
}

fn is_mutable_static(code: &str) -> bool {
    let code = code.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
    let Some(rest) = code.strip_prefix("static ") else { return code.contains("thread_local!") };
    rest.starts_with("mut ")
        || ["Mutex", "RwLock", "Atomic", "OnceLock", "LazyLock", "Cell<", "OnceCell"]
            .iter()
            .any(|word| rest.contains(word))
}

/// Numeric fields of `...Settings` structs whose name and doc comment name no unit.
fn unitless_settings(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    let mut doc = String::new();
    for (number, line) in source.text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with("pub struct ") {
            let name = trimmed["pub struct ".len()..].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            inside = name.ends_with("Settings") && trimmed.ends_with('{');
        } else if line == "}" {
            inside = false;
        } else if inside && trimmed.starts_with("///") {
            doc.push_str(trimmed.trim_start_matches('/'));
        } else if inside && trimmed.starts_with("pub ") {
            let (name, kind) = trimmed["pub ".len()..].split_once(':').unwrap_or((trimmed, ""));
            let kind = kind.trim().trim_end_matches(',');
            if matches!(kind, "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" | "f32" | "f64")
                && !names_unit(name, &doc)
            {
                found.push(format!("{}:{}: settings field `{name}: {kind}` without a unit", source.path, number + 1));
            }
            doc.clear();
        } else if !trimmed.starts_with("#[") {
            doc.clear();
        }
    }
    found
}

fn names_unit(name: &str, doc: &str) -> bool {
    let words = doc.split(|c: char| !c.is_alphabetic()).map(str::to_ascii_lowercase);
    let suffix = name.rsplit('_').find(|part| !matches!(*part, "max" | "min" | "default")).unwrap_or(name);
    UNITS.contains(&suffix) || words.into_iter().any(|word| UNITS.contains(&word.as_str()))
}

/// Foreign crates named outside the files of their door.
pub fn door_complaints(source: &Source) -> Vec<String> {
    if source.path.starts_with("tests/tidy") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in source.shipped().lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (word, owners) in DOORS {
            let named = code
                .match_indices(word)
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if named && !owners.iter().any(|owner| source.path.starts_with(owner)) {
                found.push(format!("{}:{}: `{word}` outside its door {}", source.path, number + 1, owners.join(", ")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn finds_what_each_rule_forbids() {
        let cases: &[(&str, &str, usize)] = &[
            ("actors/call/src/a.rs", &"x\n".repeat(601), 1),
            ("actors/call/src/a.rs", "static mut COUNT: u32 = 0;\n", 1),
            ("nodes/web/src/a.rs", "pub static COUNT: AtomicU64 = AtomicU64::new(0);\n", 1),
            ("actors/call/src/a.rs", "static NAME: &str = \"fine\";\n", 0),
            ("actors/call/src/a.rs", "use std::time::Instant;\n", 1),
            ("nodes/ports/src/a.rs", "use std::time::Instant;\n", 0),
            ("actors/call/src/a.rs", "use std::collections::HashMap;\n", 1),
            ("actors/call/src/a.rs", "pub struct Settings {\n    pub speed: u32,\n}\n", 1),
            ("actors/call/src/a.rs", "pub struct Settings {\n    pub length_max_s: u32,\n}\n", 0),
            (
                "actors/call/src/a.rs",
                "pub struct Settings {\n    /// Most contacts, count.\n    pub most: u32,\n}\n",
                0,
            ),
        ];
        for (path, text, wanted) in cases {
            assert_eq!(complaints(&at(path, text)).len(), *wanted, "{path}: {text:.60}");
        }
    }

    #[test]
    fn finds_a_foreign_crate_outside_its_door() {
        assert_eq!(door_complaints(&at("nodes/web/src/a.rs", "let c = rusqlite::Connection::open(p);\n")).len(), 1);
        assert_eq!(door_complaints(&at("nodes/ports/src/store/a.rs", "use rusqlite::Connection;\n")).len(), 0);
    }
}
