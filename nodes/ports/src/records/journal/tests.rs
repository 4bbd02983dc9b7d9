use fabric::Key;

use super::*;
use crate::testing::Directory;

fn entries(count: u64) -> Vec<Entry> {
    (0..count).map(Entry::Alive).collect()
}

fn written(dir: &Path, entries: &[Entry]) -> Journal {
    let mut journal = Journal::begin(dir, &[]).unwrap();
    entries.iter().for_each(|entry| journal.append(entry));
    journal.commit().unwrap();
    journal
}

#[test]
fn reads_what_was_written() {
    let dir = Directory::new("journal");
    let mut expected = entries(3);
    expected.push(Entry::Exported(vec![RecordId { call: Key(7), init_ms: 8, leg: 9 }]));
    written(dir.path(), &expected);
    let found = Journal::read(dir.path()).unwrap();
    assert_eq!((found.entries, found.damaged_bytes), (expected, 0));
}

#[test]
fn a_torn_end_costs_only_itself() {
    let dir = Directory::new("journal");
    let journal = written(dir.path(), &entries(5));
    let bytes = std::fs::read(journal.path()).unwrap();
    let one = bytes.len() / 5;
    for cut in 1..one {
        std::fs::write(journal.path(), &bytes[..bytes.len() - cut]).unwrap();
        let found = Journal::read(dir.path()).unwrap();
        assert_eq!(found.entries, entries(4), "cut by {cut}");
        assert_eq!(found.damaged_bytes as usize, one - cut);
    }
}

#[test]
fn damage_in_the_middle_costs_what_it_hits() {
    let dir = Directory::new("journal");
    let journal = written(dir.path(), &entries(100));
    let whole = std::fs::read(journal.path()).unwrap();
    let one = whole.len() / 100;
    for place in [0, 1, one * 50, one * 50 + 5, one * 50 + 8] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x40;
        std::fs::write(journal.path(), &bytes).unwrap();
        let found = Journal::read(dir.path()).unwrap();
        assert_eq!(found.entries.len(), 99, "byte {place}");
        assert_eq!(found.damaged_bytes as usize, one);
    }
    let mut bytes = whole.clone();
    bytes[one * 20..one * 30].fill(0);
    std::fs::write(journal.path(), &bytes).unwrap();
    assert_eq!(Journal::read(dir.path()).unwrap().entries.len(), 90, "a hole of zeros");
}

#[test]
fn a_new_file_carries_over_and_replaces_the_old_when_told() {
    let dir = Directory::new("journal");
    written(dir.path(), &entries(2));
    let next = Journal::begin(dir.path(), &[Entry::Alive(77)]).unwrap();
    let both = [entries(2), vec![Entry::Alive(77)]].concat();
    assert_eq!(Journal::read(dir.path()).unwrap().entries, both, "oldest first");
    next.drop_older().unwrap();
    assert_eq!(Journal::read(dir.path()).unwrap().entries, [Entry::Alive(77)]);
    assert_eq!(next.length(), std::fs::metadata(next.path()).unwrap().len());
}
