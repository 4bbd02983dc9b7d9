use fabric::Key;
use fabric::letters::media::MediaStats;
use fabric::letters::record::{CallStop, RecordId, StopCause};

use super::*;

fn record(call: u128) -> Record {
    let stop = CallStop {
        end_ms: 5,
        duration_ms: 3,
        cause: StopCause::CallerHangup,
        status: 200,
        reason: "x".repeat(300),
        media: MediaStats::default(),
    };
    Record::Stop { id: RecordId { call: Key(call), init_ms: 1, leg: 1 }, stop }
}

fn log(index: u64) -> Vec<JournalEntry> {
    vec![JournalEntry::Hard(vec![index as u8; 9].into()), JournalEntry::Log(index, vec![7; 700].into())]
}

/// Whatever a crash leaves, a record is whole or not there, and the journal is what was written up to some write.
#[test]
fn a_crash_in_mid_write_tears_and_what_is_whole_is_found() {
    let (mut torn, mut lost, mut holes) = (0, 0, 0);
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let mut disk = Disk::default();
        for number in 1..=WRITTEN {
            let (ticket, _) = disk.write_record(record(u128::from(number)), 0, &mut dice);
            if number == 1 {
                disk.synced(ticket);
            }
        }
        let was = disk.crash(&mut dice);
        let left: Vec<u64> = disk.waiting(99).into_iter().map(|(number, _)| number).collect();
        assert_eq!(left[0], 1, "what was synced stays");
        for (number, left) in disk.waiting(99) {
            assert_eq!(left, record(u128::from(number)));
        }
        assert_eq!(was.entries_lost, WRITTEN as usize - left.len());
        torn += usize::from(was.bytes > 0);
        lost += was.entries_lost;
        holes += usize::from(left.windows(2).any(|pair| pair[1] > pair[0] + 1));

        let mut disk = Disk::default();
        for index in 1..=3 {
            disk.write_journal(log(index), 0, &mut dice);
        }
        let was = disk.crash(&mut dice);
        let whole = 3 - was.entries_lost as u64;
        assert_eq!(disk.journal(), (1..=whole).flat_map(log).collect::<Vec<_>>());
    }
    assert!(torn > 200 && lost > 300 && holes > 20, "{torn} torn, {lost} lost, {holes} holes");
}

#[test]
fn a_snapshot_takes_the_place_of_the_file_in_one_step() {
    let snapshot = || vec![JournalEntry::Snapshot(9, vec![1; 40].into()), JournalEntry::Hard(vec![2].into())];
    let (mut old, mut new) = (0, 0);
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut disk = Disk::default();
        let (ticket, _) = disk.write_journal(log(1), 0, &mut dice);
        disk.synced(ticket);
        disk.write_journal(snapshot(), 0, &mut dice);
        disk.crash(&mut dice);
        let after = disk.journal();
        assert!(after == log(1) || after == snapshot(), "{after:?}");
        (old, new) = (old + usize::from(after == log(1)), new + usize::from(after == snapshot()));
    }
    assert!(old > 5 && new > 5, "{old} old, {new} new");
}

#[test]
fn a_lost_disk_is_empty() {
    let mut dice = Dice::new(1);
    let mut disk = Disk::default();
    let (ticket, _) = disk.write_record(record(1), 0, &mut dice);
    disk.synced(ticket);
    disk.lose();
    assert!(disk.waiting(9).is_empty());
}

/// Records of a test, count: more than a sector holds.
const WRITTEN: u64 = 12;
