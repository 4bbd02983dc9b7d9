use super::*;
use crate::Key;

#[test]
fn finds_the_group_of_every_slot() {
    let groups = (0..SLOTS).map(|slot| GroupId(slot / 1000));
    let table = Table { slots: Table::runs(groups), ..Table::default() };
    assert_eq!(
        table.slots,
        [(1000, GroupId(0)), (1000, GroupId(1)), (1000, GroupId(2)), (1000, GroupId(3)), (96, GroupId(4))]
    );
    for slot in 0..SLOTS {
        assert_eq!(table.group_of_slot(slot), Some(GroupId(slot / 1000)));
    }
    assert_eq!(Table::default().group_of_slot(3), None);
}

#[test]
fn shards_of_locations_are_spread_over_the_slots() {
    let slots: std::collections::BTreeSet<_> = (0..64).filter_map(|shard| Address::Location(shard).slot()).collect();
    assert_eq!(slots.len(), 64);
    assert!(slots.iter().all(|slot| *slot < SLOTS));
    let low = slots.iter().filter(|slot| **slot < SLOTS / 2).count();
    assert!((24..40).contains(&low), "{low} of 64 in the lower half");
}

#[test]
fn a_call_its_media_and_its_table_row_go_together() {
    let key = Key(0x123 << 116 | 7);
    assert_eq!(Address::Call(key).slot(), Some(0x123));
    assert_eq!(Address::Media(key).slot(), Address::Call(key).slot());
    assert_eq!(Address::Balancer(NodeId(1), 0).slot(), None);
}
