//! Collects the citations (`RFC 3261 17.1.1`) of all sources into one page.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::Source;

/// The page `docs/rfc.md`: which file follows which section.
pub fn page(sources: &[Source]) -> String {
    let mut all: BTreeMap<u32, BTreeMap<String, BTreeSet<&str>>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.path.starts_with("tests/tidy")) {
        for (rfc, section) in citations(&source.text) {
            all.entry(rfc).or_default().entry(section).or_default().insert(&source.path);
        }
    }
    let mut page = String::from(
        "# Where the code follows which RFC\n\nWritten by `tests/run tidy --write` from the comments of the sources.\n",
    );
    for (rfc, sections) in all {
        page.push_str(&format!("\n## RFC {rfc}\n\n| section | followed in |\n|---|---|\n"));
        let mut sections: Vec<_> = sections.into_iter().collect();
        sections.sort_by_key(|(section, _)| {
            section.split('.').map(|part| part.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>()
        });
        for (section, files) in sections {
            let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
            page.push_str(&format!("| {} | {} |\n", if section.is_empty() { "–" } else { &section }, files.join(", ")));
        }
    }
    page
}

/// Every `RFC number section` in a text; the section is empty where none is named.
fn citations(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for (place, _) in text.match_indices("RFC ") {
        let mut words = text[place + 4..].split([' ', '\n']);
        let digits = |word: &str| word.chars().take_while(char::is_ascii_digit).collect::<String>();
        let first = words.next().unwrap_or_default();
        let number = digits(first);
        let Ok(rfc) = number.parse::<u32>() else { continue };
        if !(700..=99_999).contains(&rfc) {
            continue;
        }
        let section = if first.len() == number.len() { words.next().unwrap_or_default() } else { "" };
        let section: String = section.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        found.push((rfc, section.trim_end_matches('.').to_owned()));
    }
    found
}

#[test]
fn reads_number_and_section() {
    assert_eq!(
        citations("see RFC 3261 17.1.1. And (RFC 6026), RFC 12"),
        vec![(3261, "17.1.1".to_owned()), (6026, String::new())]
    );
}
