use proptest::prelude::*;

use super::*;
use Count::{First, Replayed, Retired};

#[test]
fn each_count_is_taken_once() {
    // (issued, nc, what becomes of it), one after the other
    let rows: &[(u64, u32, Count)] = &[
        (100, 1, First),
        (100, 1, Replayed),
        (100, 2, First),
        (100, 5, First),
        (100, 3, First),
        (100, 3, Replayed),
        (100, 5, Replayed),
        (100, 36, First),
        (100, 4, Replayed), // 32 behind: too far to know
        (100, 6, First),    // 30 behind
        (200, 1, First),    // next nonce
        (100, 37, First),   // the one before still counts
        (200, 1, Replayed),
        (300, 1, First), // retires 100
        (100, 38, Retired),
        (200, 2, First),
    ];
    let mut counts = NonceCounts::new();
    for (step, (issued, nc, expected)) in rows.iter().enumerate() {
        assert_eq!(counts.take(*issued, *nc), *expected, "step {step}");
    }
    assert_eq!(counts.take(150, 1), Retired, "older than both that are kept");
    assert_eq!(counts.remember_until_ms(1_000), Some(1_300));
    assert_eq!(NonceCounts::new().remember_until_ms(1_000), None);
}

#[test]
fn an_older_nonce_may_come_second() {
    let mut counts = NonceCounts::new();
    assert_eq!(counts.take(200, 1), First);
    assert_eq!(counts.take(100, 1), First);
    assert_eq!(counts.take(100, 1), Replayed);
    assert_eq!(counts.take(150, 1), First, "takes the place of 100");
    assert_eq!(counts.take(100, 2), Retired);
    assert_eq!(counts.remember_until_ms(50), Some(250));
}

#[test]
fn the_highest_count_is_no_end_of_the_world() {
    let mut counts = NonceCounts::new();
    assert_eq!(counts.take(1, u32::MAX), First);
    assert_eq!(counts.take(1, u32::MAX), Replayed);
    assert_eq!(counts.take(1, 1), Replayed);
}

#[test]
fn it_is_small() {
    assert!(size_of::<NonceCounts>() <= 56, "{}", size_of::<NonceCounts>());
}

proptest! {
    /// I26: whatever the order, no (nonce, nc) is accepted twice.
    #[test]
    fn nothing_is_accepted_twice(takes in proptest::collection::vec((0u64..6, 1u32..80), 0..400)) {
        let mut counts = NonceCounts::new();
        let mut taken = std::collections::BTreeSet::new();
        for (issued, nc) in takes {
            if counts.take(issued * 10, nc) == First {
                prop_assert!(taken.insert((issued, nc)), "{issued} {nc} twice");
            }
        }
    }
}
