//! The house rules, checked: floors, doors, sizes, determinism below floor 4, units of settings, collected citations.
//! Each rule is a function from text to complaints, and each is shown a broken sample, so that a rule that finds
//! nothing is known to be able to.

mod citations;
mod configuration;
mod floors;
mod licenses;
mod sources;

use tandem_tests::root;

fn complain(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn crates_use_lower_floors_and_foreign_crates_have_one_door() {
    complain(floors::complaints(&floors::read_metadata(&root())));
}

#[test]
fn sources_keep_the_house_rules() {
    let sources = sources::read(&root());
    assert!(sources.len() > 50, "only {} source files found", sources.len());
    complain(sources.iter().flat_map(sources::complaints).collect());
}

#[test]
fn files_of_a_foreign_crate_stand_behind_its_door() {
    complain(sources::read(&root()).iter().flat_map(sources::door_complaints).collect());
}

#[test]
fn everything_built_in_may_be() {
    complain(licenses::complaints(&root()));
}

#[test]
fn citations_are_collected() {
    is_written("docs/rfc.md", &citations::page(&sources::read(&root())));
}

#[test]
fn settings_are_described() {
    is_written("docs/CONFIGURATION.md", &configuration::page(&sources::read(&root())));
}

/// Whether a page is what the sources say; writes it first when asked to.
fn is_written(page: &str, wanted: &str) {
    let path = root().join(page);
    if std::env::var_os("TIDY_WRITE").is_some() {
        std::fs::write(&path, wanted).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{page} is not what the sources say; write it with `tests/run tidy --write`");
}
