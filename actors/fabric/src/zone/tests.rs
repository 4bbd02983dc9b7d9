use std::collections::BTreeSet;

use super::*;
use crate::Keys;

#[test]
fn a_key_gets_a_slot_of_the_zone_and_keeps_the_rest() {
    let keys = Keys::new(*b"0123456789abcdef");
    for count in [1, 2, 3, 15] {
        for number in 0..=count {
            let zone = Zone::new(number, count);
            let mut used = BTreeSet::new();
            for place in 0..20_000u32 {
                let key = keys.call(&place.to_be_bytes(), b"tag");
                let placed = zone.place(key);
                assert_eq!(placed.0 << 12, key.0 << 12);
                assert!(placed.slot() < SLOTS && placed.slot().abs_diff(key.slot()) < 2 * count);
                assert!(number == 0 || of_slot(placed.slot(), count) == number, "{placed} in zone {number} of {count}");
                used.insert(placed.slot());
            }
            let all = if number == 0 || count < 2 { SLOTS } else { SLOTS / count };
            assert!(used.len() as u16 > all / 10 * 9, "{} of {all} slots of zone {number} of {count}", used.len());
        }
    }
    let key = keys.call(b"a", b"b");
    assert_eq!(Zone::default().place(key), key);
}

#[test]
fn a_pair_without_a_zone_has_the_number_that_it_always_had() {
    assert_eq!((numbered(7, 0), of_pair(7)), (7, (0, 7)));
    assert_eq!((numbered(7, 3), of_pair(numbered(7, 3))), (0x3007, (3, 7)));
    assert_eq!(of_pair(numbered(PAIR_MAX, ZONES_MAX)), (ZONES_MAX, PAIR_MAX));
    assert_eq!((of_slot(5, 0), of_slot(5, 2), of_slot(4, 2)), (0, 2, 1));
}
