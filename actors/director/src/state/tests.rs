use super::*;
use crate::settings::MemberSetting;

#[test]
fn slots_are_spread_evenly_and_always_the_same() {
    let plan = Plan::of(&settings(3));
    let mut counts = [0u32; 3];
    (0..SLOTS).for_each(|slot| counts[usize::from(plan.pair_of_slot(slot).unwrap()) - 1] += 1);
    assert_eq!(counts.iter().sum::<u32>(), 4096);
    assert!(counts.iter().all(|count| (1_280..1_450).contains(count)), "{counts:?}");
    // Golden: nodes of two releases must agree.
    let first: Vec<u16> = (0..12).map(|slot| plan.pair_of_slot(slot).unwrap()).collect();
    assert_eq!(first, GOLDEN, "{first:?}");
}

#[test]
fn a_new_pair_gets_groups_of_exactly_what_moves() {
    let mut decided = Decided::default();
    decided.adopt(&Plan::of(&settings(2)));
    assert_eq!(decided.table.groups.len(), 2);
    for row in &mut decided.table.groups {
        (row.active, row.standby, row.full, row.epoch) =
            (Some(NodeId(row.pair)), Some(NodeId(10 + row.pair)), true, Epoch(3));
    }
    let before = decided.clone();
    decided.adopt(&Plan::of(&settings(3)));
    assert_eq!(decided.table.groups.len(), 4, "a part of each of two groups");
    for slot in 0..SLOTS {
        let (old, new) = (row(&before, slot), row(&decided, slot));
        assert_eq!((old.active, old.standby, old.full, old.epoch), (new.active, new.standby, new.full, new.epoch));
        assert_eq!(Some(new.pair), decided.plan.pair_of_slot(slot));
        let stays = old.pair == new.pair;
        assert_eq!(stays, old.group == new.group, "who stays keeps its group");
        assert_eq!(before.seat(old.group).unwrap().nodes, decided.seat(new.group).unwrap().nodes);
    }
    let third = (0..SLOTS).filter(|slot| row(&decided, *slot).pair == 3).count();
    assert!((1_280..1_450).contains(&third), "{third}");
    // And back: no slot belongs to a pair that is not there.
    decided.adopt(&Plan::of(&settings(2)));
    assert!((0..SLOTS).all(|slot| row(&decided, slot).pair == row(&before, slot).pair));
    assert_eq!(decided.seats.len(), decided.table.groups.len());
}

#[test]
fn slots_of_a_zone_go_to_pairs_of_the_zone_and_a_new_pair_takes_from_its_own_only() {
    let mut settings = settings(3);
    for (pair, zone) in settings.pairs.iter_mut().zip([1, 2, 2]) {
        pair.pair = zone::numbered(pair.pair, zone);
    }
    let third = settings.pairs.pop().unwrap();
    let before = Plan::of(&settings);
    settings.pairs.push(third.clone());
    let after = Plan::of(&settings);
    let mut taken = 0;
    for slot in 0..SLOTS {
        let (old, new) = (before.pair_of_slot(slot).unwrap(), after.pair_of_slot(slot).unwrap());
        assert_eq!(zone::of_pair(new).0, zone::of_slot(slot, 2));
        assert!(old == new || new == third.pair && zone::of_pair(old).0 == 2, "{old:x} to {new:x}");
        taken += u32::from(old != new);
    }
    assert!((930..1_120).contains(&taken), "{taken} of 2048");
}

#[test]
fn members_go_when_nothing_depends_on_them() {
    let mut decided = Decided::default();
    decided.adopt(&Plan::of(&settings(2)));
    decided.table.groups[0].active = Some(NodeId(2));
    decided.adopt(&Plan::of(&settings(1)));
    decided.drop_members();
    assert!(decided.is_member(NodeId(2)) && !decided.is_member(NodeId(12)));
    decided.table.groups[0].active = Some(NodeId(1));
    decided.table.groups.iter_mut().for_each(|row| row.active = Some(NodeId(1)));
    decided.drop_members();
    assert!(!decided.is_member(NodeId(2)));
}

#[test]
fn a_proposal_for_another_version_changes_nothing() {
    let mut decided = Decided::default();
    decided.adopt(&Plan::of(&settings(1)));
    decided.table.version = 4;
    let mut next = decided.clone();
    next.table.version = 5;
    let data = |instead_of| postcard::to_allocvec(&Proposal { instead_of, decided: next.clone() }).unwrap();
    assert_eq!(decided.after(&data(4)), Some(next.clone()));
    assert_eq!(decided.after(&data(3)), None);
    assert_eq!(decided.after(b"nonsense"), None);
}

/// Pairs (1, 11), (2, 12) ...
fn settings(pairs: u16) -> Settings {
    let member = |node, chassis| MemberSetting { node: NodeId(node), chassis, name: String::new() };
    Settings {
        voters: vec![NodeId(1)],
        members: (1..=pairs).flat_map(|pair| [member(pair, 1), member(10 + pair, 2)]).collect(),
        pairs: (1..=pairs).map(|pair| PairSetting { pair, nodes: [NodeId(pair), NodeId(10 + pair)] }).collect(),
        ..Settings::default()
    }
}

fn row(decided: &Decided, slot: u16) -> &Ownership {
    decided.table.group(decided.table.group_of_slot(slot).unwrap()).unwrap()
}

const GOLDEN: [u16; 12] = [1, 2, 1, 1, 1, 1, 3, 2, 3, 1, 1, 3];
