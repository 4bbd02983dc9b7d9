use super::*;
use crate::record::{Contents, Tombstone};

#[test]
fn thousands_come_and_go() {
    let mut shelf = Shelf::new();
    for number in 0..5_000 {
        shelf.put(record(number, 1), None);
    }
    assert_eq!(shelf.len(), 5_000);
    for number in (0..5_000).step_by(3) {
        shelf.remove(&aor(number));
    }
    for number in 0..5_000 {
        assert_eq!(shelf.get(&aor(number)).is_some(), number % 3 != 0, "{number}");
    }
    for number in 0..5_000 {
        shelf.put(record(number, 2), None);
    }
    assert_eq!(shelf.len(), 5_000);
    assert_eq!(shelf.slots.len(), 5_000, "slots are used again");
    assert!((0..5_000).all(|number| shelf.get(&aor(number)) == Some(&record(number, 2))));
    shelf.remove("nobody@example.test");
    assert_eq!(shelf.records().count(), 5_000);
}

#[test]
fn alarms_ring_once_and_in_order() {
    let mut shelf = Shelf::new();
    shelf.put(record(1, 1), Some(10_001));
    shelf.put(record(2, 1), Some(5_000));
    shelf.put(record(3, 1), None);
    assert_eq!(shelf.earliest_ms(), Some(5_000));
    assert_eq!(shelf.pop_due(4_999), None);
    assert_eq!(shelf.pop_due(20_000).as_deref(), Some(&*aor(2)));
    assert_eq!(shelf.earliest_ms(), Some(11_000), "rounded up to a second");
    assert_eq!(shelf.pop_due(20_000).as_deref(), Some(&*aor(1)));
    assert_eq!(shelf.pop_due(20_000), None);
    assert_eq!(shelf.earliest_ms(), None);
}

#[test]
fn a_later_end_keeps_its_alarm_and_an_earlier_one_moves_it() {
    let mut shelf = Shelf::new();
    shelf.put(record(1, 1), Some(5_000));
    shelf.put(record(1, 2), Some(9_000));
    assert_eq!(shelf.pop_due(5_000).as_deref(), Some(&*aor(1)), "the owner looks and puts it back");
    shelf.put(record(1, 2), Some(9_000));
    shelf.put(record(1, 3), Some(7_000));
    assert_eq!(shelf.pop_due(7_000).as_deref(), Some(&*aor(1)));
    assert_eq!(shelf.pop_due(9_000), None, "the alarm that was moved is void");
}

#[test]
fn alarms_of_the_gone_are_void() {
    let mut shelf = Shelf::new();
    shelf.put(record(1, 1), Some(5_000));
    shelf.remove(&aor(1));
    assert_eq!(shelf.pop_due(60_000), None);
    shelf.put(record(2, 1), Some(70_000));
    assert_eq!(shelf.pop_due(70_000).as_deref(), Some(&*aor(2)), "the same slot rings again");
}

#[test]
fn alarms_do_not_pile_up() {
    let mut shelf = Shelf::new();
    shelf.put(record(1, 1), Some(90_000_000));
    for earlier in 0..10_000 {
        shelf.put(record(2, 1), Some(80_000_000 - earlier * 1_000));
    }
    assert!(shelf.alarms.len() <= 2 * 2 + ALARMS_SPARE + 1);
    assert_eq!(shelf.pop_due(70_001_000).as_deref(), Some(&*aor(2)));
    assert_eq!(shelf.pop_due(90_000_000).as_deref(), Some(&*aor(1)), "nobody's only alarm is lost");
}

fn aor(number: u32) -> String {
    format!("u{number:06}@example.test")
}

fn record(number: u32, version: u32) -> Record {
    let tombstones = vec![Tombstone { call_id: 0, cseq: version, until_ms: 0 }];
    Record::pack(&aor(number), &Contents { entries: Vec::new(), tombstones })
}
