use raft::eraftpb::EntryType;

use super::*;

#[test]
fn the_journal_is_read_as_it_was_written() {
    let mut log = Log::new(&[1, 2, 3]);
    log.append((1..=5).map(|index| entry(index, 1)).collect());
    log.hard = HardState { term: 2, vote: 3, commit: 4 };
    log.compact(2, b"state".to_vec());
    assert_eq!((log.snapshot_index(), log.last(), log.term(2).unwrap()), (2, 5, 1));
    let mut journal = vec![written_entry(&entry(1, 1)), written_hard(&HardState::default())];
    journal.extend(log.written());
    journal.push(written_entry(&entry(4, 2)));
    let read = Log::read(&[1, 2, 3], journal);
    assert_eq!((read.snapshot_index(), read.last(), read.hard.clone()), (2, 4, log.hard.clone()));
    assert_eq!((read.term(3).unwrap(), read.term(4).unwrap()), (1, 2), "what stood at 4 and behind is gone");
    assert_eq!(read.snapshot.data, b"state");
}

#[test]
fn a_journal_that_was_cut_short_is_mended() {
    let hard = HardState { term: 1, vote: 2, commit: 9 };
    let read = Log::read(&[1], vec![written_hard(&hard), written_entry(&entry(1, 3))]);
    assert_eq!(read.hard, HardState { term: 3, vote: 0, commit: 1 });
    assert!(Log::read(&[1], vec![JournalEntry::Log(1, b"nonsense"[..].into())]).is_empty());
}

#[test]
fn entries_are_given_as_raft_asks() {
    let mut log = Log::new(&[1]);
    log.append((1..=5).map(|index| entry(index, 1)).collect());
    log.append(vec![entry(9, 1)]);
    assert_eq!(log.last(), 5, "no gaps");
    let some = |low, high, max| log.entries(low, high, max, GetEntriesContext::empty(false));
    assert_eq!(some(2, 4, None).unwrap().len(), 2);
    assert_eq!(some(2, 6, Some(1)).unwrap().len(), 1, "at least one");
    assert!(some(2, 7, None).is_err());
    log.compact(5, Vec::new());
    assert!(log.entries(5, 6, None, GetEntriesContext::empty(false)).is_err());
    assert!(log.term(4).is_err() && log.term(6).is_err() && log.snapshot(6, 1).is_err());
}

fn entry(index: u64, term: u64) -> Entry {
    let mut entry = Entry { index, term, data: vec![index as u8], ..Entry::default() };
    entry.set_entry_type(EntryType::EntryNormal);
    entry
}
