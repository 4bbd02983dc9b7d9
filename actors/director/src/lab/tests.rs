use fabric::letters::control::Control;

use super::*;

#[test]
fn a_cluster_starts_and_is_whole() {
    for seed in 0..10 {
        let mut world = World::new(seed, settings());
        world.run_until(2_000, World::is_whole);
        world.run_ms(2_000);
        assert!(world.is_whole());
        assert!(world.checks.looks > 100, "the checks looked");
        let table = world.table();
        assert_eq!(table.groups.len(), 2);
        assert_eq!(table.groups[0].active, Some(table_pair(&world, 0).nodes[0]), "the first of the pair begins");
        assert_eq!(table.warning, "");
        assert_eq!(table.sites.iter().map(|site| (site.site.0, site.holder.0)).collect::<Vec<_>>(), [(6, 6), (7, 7)]);
    }
}

#[test]
fn a_killed_active_is_replaced_in_half_a_second() {
    let (mut apart, mut together) = (Vec::new(), Vec::new());
    for seed in 0..120 {
        let mut world = World::new(seed, settings());
        world.run_until(3_000, World::is_whole);
        let ms = world.dice.range(100, 800);
        world.run_ms(ms);
        let leader = world.leader().expect("a leader");
        let with_leader = seed % 2 == 0;
        // The active node of a group, with or without the leading director beside it.
        let victims: Vec<NodeId> = match with_leader {
            true => chassis(&world, world.nodes[&leader].chassis),
            false => vec![if leader == NodeId(1) { NodeId(5) } else { NodeId(1) }],
        };
        let table = world.table();
        let hit = |row: &&fabric::ownership::Ownership| row.active.is_some_and(|active| victims.contains(&active));
        let groups: Vec<_> = table.groups.iter().filter(hit).map(|row| (row.group, row.standby.unwrap())).collect();
        victims.iter().for_each(|victim| world.kill(*victim, true));
        let took = world.run_until(3_000, |world| groups.iter().all(|(group, standby)| world.acts(*standby, *group)));
        if !groups.is_empty() {
            if with_leader { &mut together } else { &mut apart }.push(took);
        }
        victims.iter().for_each(|victim| world.start(*victim));
        world.run_until(6_000, World::is_whole);
    }
    for (name, mut took) in [("the leader lives", apart), ("the leader dies with it", together)] {
        took.sort_unstable();
        let (p50, p99, max) = (took[took.len() / 2], took[took.len() * 99 / 100], took[took.len() - 1]);
        println!("take-over when {name}: n {} p50 {p50} ms, p99 {p99} ms, max {max} ms", took.len());
        assert!(took.len() > 40 && p99 <= 500 && max <= 1_000, "{took:?}");
    }
}

#[test]
fn a_cut_between_chassis_is_decided_for_one_side_and_nothing_moves_back() {
    for (name, there, back) in [("both ways", true, true), ("one way", true, false), ("the other way", false, true)] {
        let mut took = Vec::new();
        for seed in 0..60 {
            let mut world = World::new(seed, settings());
            world.run_until(3_000, World::is_whole);
            let ms = world.dice.range(4_000, 4_800);
            world.run_ms(ms);
            let before = world.table();
            let cuts = between(&world, 1, 2, there, back);
            world.cuts.extend(cuts.iter().copied());
            let one_side = |world: &World| {
                let table = world.table();
                let sides: BTreeSet<u16> = holders(&table).map(|node| world.nodes[&node].chassis).collect();
                let act = |row: &fabric::ownership::Ownership| row.active.is_some_and(|it| world.acts(it, row.group));
                sides.len() == 1 && table.groups.iter().all(act)
            };
            took.push(world.run_until(2_000, one_side));
            let decided = world.table();
            assert!(decided.warning.starts_with("shut out: node "), "{}", decided.warning);
            world.run_ms(3_000);
            assert_eq!(epochs(&world.table()), epochs(&decided), "seed {seed}: while it lasts nothing moves again");
            world.cuts.retain(|cut| !cuts.contains(cut));
            world.run_until(8_000, World::is_whole);
            assert_eq!(world.table().warning, "", "seed {seed}");
            world.run_ms(10_000);
            assert_eq!(epochs(&world.table()), epochs(&decided), "seed {seed}: nothing moves back by itself");
            // The same again: the side that holds nothing goes.
            world.cuts.extend(cuts.iter().copied());
            world.run_ms(3_000);
            world.cuts.retain(|cut| !cuts.contains(cut));
            world.run_until(12_000, World::is_whole);
            assert_eq!(epochs(&world.table()), epochs(&decided), "seed {seed}: a second cut costs no owner");
            let moved = |group| epochs(&before).get(&group) != epochs(&decided).get(&group);
            let some = before.groups.iter().filter(|row| moved(row.group)).count();
            assert!(some == 1, "seed {seed}: {some} of two groups moved");
        }
        took.sort_unstable();
        let (p50, p99, max) = (took[took.len() / 2], took[took.len() * 99 / 100], took[took.len() - 1]);
        println!("a cut {name}: p50 {p50} ms, p99 {p99} ms, max {max} ms");
        assert!(p99 <= 500 && max <= 1_000, "{name}: {took:?}");
    }
}

#[test]
fn a_node_that_is_heard_and_hears_nobody_is_replaced() {
    for seed in 0..60 {
        let mut world = World::new(seed, settings());
        world.run_until(3_000, World::is_whole);
        world.run_ms(4_000);
        let table = world.table();
        // With a director on it, or without.
        let victim = if seed % 2 == 0 { NodeId(1) } else { NodeId(5) };
        let its: Vec<_> = table.groups.iter().filter(|row| row.active == Some(victim)).map(|row| row.group).collect();
        let cuts: Vec<_> = world.nodes.keys().filter(|node| **node != victim).map(|node| (*node, victim)).collect();
        world.cuts.extend(cuts.iter().copied());
        let took = world.run_until(2_000, |world| {
            let table = world.table();
            let acts = |row: &fabric::ownership::Ownership| row.active.is_some_and(|it| world.acts(it, row.group));
            its.iter().all(|group| table.group(*group).is_some_and(|row| row.active != Some(victim) && acts(row)))
        });
        assert!(took <= 700, "seed {seed}: {took} ms");
        let decided = world.table();
        world.run_ms(2_000);
        world.cuts.retain(|cut| !cuts.contains(cut));
        world.run_until(10_000, World::is_whole);
        assert_eq!(epochs(&world.table()), epochs(&decided), "seed {seed}");
    }
}

#[test]
fn a_link_that_flaps_moves_a_group_at_most_once() {
    for seed in 0..40 {
        let mut world = World::new(seed, settings());
        world.run_until(3_000, World::is_whole);
        world.run_ms(4_000);
        let before = world.table();
        let cuts = match seed % 3 {
            0 => between(&world, 1, 2, true, true),
            1 => vec![(NodeId(1), NodeId(2)), (NodeId(2), NodeId(1))],
            _ => vec![(NodeId(4), NodeId(7))],
        };
        for _ in 0..20 {
            world.cuts.extend(cuts.iter().copied());
            let ms = world.dice.range(50, 1_500);
            world.run_ms(ms);
            world.cuts.retain(|cut| !cuts.contains(cut));
            let ms = world.dice.range(50, 1_500);
            world.run_ms(ms);
        }
        world.run_until(70_000, World::is_whole);
        for row in &before.groups {
            let rose = world.table().group(row.group).unwrap().epoch.0 - row.epoch.0;
            assert!(rose <= 1, "seed {seed}: group {} changed {rose} times", row.group.0);
        }
    }
}

#[test]
fn whatever_happens_nobody_acts_twice_and_all_becomes_whole_again() {
    let (first, count) = (env("SEED", 1_000), env("SEEDS", 100));
    for seed in first..first + count {
        storm(seed, false);
    }
}

#[test]
fn two_voters_take_nothing_over_but_an_order_does() {
    for seed in 0..10 {
        let mut small = settings();
        small.voters = vec![NodeId(1), NodeId(2)];
        let mut world = World::new(seed, small);
        world.run_until(3_000, |world| world.table().groups.iter().all(|row| row.full) && world.table().version > 0);
        assert!(world.table().warning.contains("2 of at least 3"), "{}", world.table().warning);
        let group =
            world.table().groups.iter().find(|row| row.active == Some(NodeId(1))).expect("node 1 is active").group;
        chassis(&world, 1).into_iter().for_each(|node| world.kill(node, true));
        world.run_ms(3_000);
        assert_eq!(world.table().group(group).unwrap().active, Some(NodeId(1)), "nobody can tell");
        world.order(NodeId(2), 7, Order::MakeActive { node: NodeId(2), group: Some(group) });
        world.run_ms(100);
        let ControlAnswer::Refused(why) = world.answers.pop().expect("an answer").1 else { panic!("not refused") };
        assert!(why.contains("no majority"), "{why}");
        world.order(NodeId(2), 8, Order::Force { node: NodeId(2), group: None });
        world.run_ms(1_000);
        assert_eq!(world.answers.pop(), Some((Thread(8), ControlAnswer::Done)));
        assert_eq!(world.table().group(group).unwrap().active, Some(NodeId(2)));
        let version = world.table().version;
        // The dead one comes back and learns what became of it.
        for node in [1, 4, 6] {
            world.start(NodeId(node));
        }
        world.run_until(8_000, |world| world.table().groups.iter().all(|row| row.full));
        assert!(world.table().version > version);
        assert_eq!(world.table().group(group).unwrap().active, Some(NodeId(2)), "a move back is nobody's idea");
        world.run_until(500, |world| world.nodes[&NodeId(1)].director.as_ref().unwrap().table() == &world.table());
    }
}

#[test]
fn orders_move_groups_and_sites_without_loss() {
    for seed in 0..20 {
        let mut world = World::new(seed, settings());
        world.run_until(3_000, World::is_whole);
        let row = world.table().groups[0].clone();
        let (active, standby) = (row.active.unwrap(), row.standby.unwrap());
        // Asked of each director in turn: whoever leads answers.
        let ask = world.dice.pick(&[NodeId(1), NodeId(2), NodeId(3)]);
        world.order(ask, 1, Order::MakeActive { node: standby, group: Some(row.group) });
        world.run_ms(1_000);
        assert_eq!(world.answers.pop(), Some((Thread(1), ControlAnswer::Done)));
        let now = world.table().group(row.group).unwrap().clone();
        assert_eq!((now.active, now.standby, now.epoch.0), (Some(standby), Some(active), row.epoch.0 + 1));
        world.run_until(2_000, World::is_whole);
        world.order(ask, 2, Order::MakeStandby { node: standby, group: None });
        world.order(ask, 3, Order::HoldSite { site: NodeId(6), node: NodeId(7) });
        world.run_ms(1_000);
        let answers: BTreeMap<_, _> = world.answers.drain(..).collect();
        assert_eq!(answers, BTreeMap::from([(Thread(2), ControlAnswer::Done), (Thread(3), ControlAnswer::Done)]));
        assert_eq!(world.table().group(row.group).unwrap().active, Some(active));
        assert_eq!(world.table().holder(NodeId(6)), NodeId(7));
        for (thread, order) in [
            (4, Order::MakeActive { node: NodeId(3), group: None }),
            (5, Order::MakeActive { node: NodeId(99), group: None }),
            (6, Order::HoldSite { site: NodeId(6), node: NodeId(3) }),
            (7, Order::HoldSite { site: NodeId(1), node: NodeId(3) }),
        ] {
            world.order(ask, thread, order);
            world.run_ms(50);
            let (answered, answer) = world.answers.pop().expect("an answer");
            assert!(answered == Thread(thread) && matches!(answer, ControlAnswer::Refused(_)), "{order:?}: {answer:?}");
        }
        assert_eq!(world.checks.tables().filter(|table| table.sites[0].holder == NodeId(3)).count(), 0);
    }
}

#[test]
fn a_site_is_held_by_who_is_there_and_a_leaving_node_gives_everything_away() {
    for seed in 0..20 {
        let mut world = World::new(seed, settings());
        world.run_until(3_000, World::is_whole);
        world.kill(NodeId(6), true);
        let took = world.run_until(2_000, |world| world.table().holder(NodeId(6)) == NodeId(7));
        assert!((250..600).contains(&took), "{took} ms");
        world.start(NodeId(6));
        world.run_ms(2_000);
        assert_eq!(world.table().holder(NodeId(6)), NodeId(7), "back only by order");
        world.nodes.get_mut(&NodeId(1)).unwrap().office.leaving = true;
        world.nodes.get_mut(&NodeId(7)).unwrap().office.leaving = true;
        world.run_until(2_000, |world| {
            let table = world.table();
            table.groups.iter().all(|row| row.active != Some(NodeId(1))) && table.holder(NodeId(7)) == NodeId(6)
        });
        let losses = world.checks.tables().flat_map(|table| &table.groups).filter(|row| row.active.is_none()).count();
        assert!(losses <= 2 * 3, "only before the beginning nobody is active");
        world.kill(NodeId(1), true);
        world.run_ms(100);
        world.start(NodeId(1));
        // It said that it would leave, so nobody holds that against it.
        world.run_until(1_500, World::is_whole);
    }
}

#[test]
fn a_third_pair_takes_its_share_and_a_removed_one_gives_its_slots_away() {
    // Half of the seeds restart the directors one after another, the others tell them while they run.
    for seed in 0..20 {
        let tell = if seed % 2 == 0 { roll } else { reload };
        let mut larger = settings();
        let two = larger.clone();
        for (node, chassis) in [(8, 2), (9, 1)] {
            larger.members.push(MemberSetting { node: NodeId(node), chassis, name: String::new() });
        }
        let mut world = World::new(seed, larger.clone());
        world.run_until(3_000, World::is_whole);
        let before: Vec<_> = (0..fabric::SLOTS).map(|slot| owner(&world.table(), slot)).collect();
        larger.pairs.push(PairSetting { pair: 3, nodes: [NodeId(8), NodeId(9)] });
        tell(&mut world, larger.clone());
        world.run_until(10_000, |world| world.table().groups.iter().any(|row| row.pair == 3));
        let split = world.checks.tables().find(|table| table.groups.len() > 2).unwrap().clone();
        for slot in 0..fabric::SLOTS {
            assert_eq!(owner(&split, slot).1, owner(&before_split(&world), slot).1, "a split moves nothing");
        }
        world.run_until(15_000, |world| settled_on_pairs(world) && world.is_whole());
        let table = world.table();
        let after: Vec<_> = (0..fabric::SLOTS).map(|slot| owner(&table, slot)).collect();
        let moved = before.iter().zip(&after).filter(|(before, after)| before.0 != after.0).count();
        let third = after.iter().filter(|(pair, _)| *pair == 3).count();
        assert_eq!(moved, third, "nothing moves between the old pairs");
        assert!((1_200..1_530).contains(&third), "{third} of 4096");
        // While it moved, what had a full standby had one until the very change.
        for table in world.checks.tables().filter(|table| table.version > split.version) {
            for row in table
                .groups
                .iter()
                .filter(|row| row.pair == 3 && row.epoch.0 == split.group(row.group).unwrap().epoch.0)
            {
                let was_full = split.group(row.group).unwrap().full;
                assert!(row.full || !was_full, "seed {seed}: version {}", table.version);
            }
        }
        let mut smaller = two.clone();
        smaller.members.clone_from(&larger.members);
        tell(&mut world, smaller);
        world.run_until(20_000, |world| {
            world.table().groups.iter().all(|row| row.pair != 3) && settled_on_pairs(world) && world.is_whole()
        });
        let again: Vec<_> = (0..fabric::SLOTS).map(|slot| owner(&world.table(), slot).0).collect();
        assert_eq!(again, before.iter().map(|(pair, _)| *pair).collect::<Vec<_>>(), "as if it had never been");
    }
}

#[test]
fn who_may_change_nodes_and_pairs_and_what_they_must_hold() {
    let mut world = World::new(1, settings());
    world.run_until(3_000, World::is_whole);
    let version = world.table().version;
    let nodes = |drop: u16| -> Vec<_> {
        let kept = world.settings.members.iter().filter(|member| member.node != NodeId(drop));
        kept.map(|member| (member.node, member.chassis, String::new())).collect()
    };
    let pair = |pair, one, other| (pair, [NodeId(one), NodeId(other)]);
    let (all, pairs) = (nodes(0), vec![pair(1, 1, 2), pair(2, 5, 4)]);
    // Who says it, nodes, pairs, and why not.
    let rows = [
        (2, all.clone(), pairs.clone(), "only the operator of the node itself"),
        (1, nodes(3), pairs.clone(), "voters names node 3, which is not a member"),
        (1, nodes(7), pairs.clone(), "site 6 names node 7, which is not a member"),
        (1, all.clone(), vec![pair(1, 1, 4)], "both nodes of pair 1 stand on one chassis"),
        (1, all.clone(), vec![pair(1, 1, 2), pair(1, 5, 4)], "pair 1 is there twice"),
        (1, all, pairs, ""),
    ];
    for (place, (from, nodes, pairs, expected)) in rows.into_iter().enumerate() {
        let letter = Letter::Control(Box::new(Control::Members(fabric::letters::control::Members { nodes, pairs })));
        let thread = Thread(100 + place as u64);
        world.post(Envelope::ask(Address::Control(NodeId(from)), Address::Director(NodeId(1)), thread, letter));
        world.run_ms(200);
        let answer = world.answers.iter().find(|(other, _)| *other == thread).expect("an answer").1.clone();
        match expected {
            "" => assert_eq!(answer, ControlAnswer::Done),
            why => assert!(matches!(&answer, ControlAnswer::Refused(said) if said.contains(why)), "{answer:?}"),
        }
    }
    assert_eq!(world.table().version, version, "nothing has changed");
}

#[test]
fn a_voter_that_lost_its_journal_joins_again_and_votes_only_then() {
    for seed in 0..30 {
        let mut world = World::new(seed, settings());
        world.run_until(3_000, World::is_whole);
        let victim = world.dice.pick(&[NodeId(1), NodeId(2), NodeId(3)]);
        world.kill(victim, false);
        let ms = world.dice.range(5, 1_000);
        world.run_ms(ms);
        world.start(victim);
        world.run_until(10_000, World::is_whole);
        let table = world.table();
        world
            .run_until(1_000, |world| world.nodes[&victim].director.as_ref().unwrap().table().version >= table.version);
        world.run_ms(50);
        // It counts again: another one may go.
        let other = world.dice.pick(&[NodeId(1), NodeId(2), NodeId(3)]);
        if other != victim {
            world.kill(other, true);
            world.run_until(2_000, |world| world.leader().is_some());
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let mut world = World::new(seed, settings());
        world.run_ms(1_000);
        for _ in 0..6 {
            trouble(&mut world);
            world.run_ms(300);
        }
        heal(&mut world);
        world.run_ms(2_000);
        (world.number, world.table())
    };
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed));
    }
}

/// Eight troubles, and orders of an operator between them; then all becomes whole again.
pub(super) fn storm(seed: u64, orders: bool) {
    let mut world = World::new(seed, settings());
    world.run_ms(1_500);
    for _ in 0..8 {
        if orders {
            order(&mut world);
        }
        trouble(&mut world);
        let ms = world.dice.range(20, 900);
        world.run_ms(ms);
    }
    heal(&mut world);
    world.run_ms(1_000);
    let table = world.table();
    let has_active =
        |row: &fabric::ownership::Ownership| row.active.is_some_and(|active| world.acts(active, row.group));
    // Longest patience and quarantine: the standby may have to wait longer than the active.
    if !table.groups.iter().all(has_active) {
        world.run_until(6_000, |world| {
            let table = world.table();
            table.groups.iter().all(|row| row.active.is_some_and(|active| world.acts(active, row.group)))
        });
    }
    world.run_until(70_000, World::is_whole);
}

/// An operator moves a group.
fn order(world: &mut World) {
    let table = world.table();
    if table.groups.is_empty() {
        return;
    }
    let row = &table.groups[world.dice.range(0, table.groups.len() as u64) as usize];
    let at = world.dice.pick(&[NodeId(1), NodeId(2), NodeId(3)]);
    if let Some(standby) = row.standby {
        let (group, node) = (Some(row.group), standby);
        world.order(at, 1, Order::MakeActive { node, group });
    }
}

fn trouble(world: &mut World) {
    let nodes: Vec<NodeId> = world.nodes.keys().copied().collect();
    let (a, b) = (world.dice.pick(&nodes), world.dice.pick(&nodes));
    let ms = world.dice.range(50, 2_500);
    match world.dice.range(0, 14) {
        0..3 => {
            // Of three journals two must be whole; that is what a majority is.
            let keeps = world.dice.range(0, 100) < 85 || !others_are_whole(world, a);
            world.kill(a, keeps);
            world.after_us(ms * 1_000, move |world| world.start(a));
        }
        3 => {
            let number = world.nodes[&a].chassis;
            for node in chassis(world, number) {
                world.kill(node, true);
                world.after_us(ms * 1_000, move |world| world.start(node));
            }
        }
        4 | 5 => world.pause(a, ms),
        6 | 7 => {
            world.cuts.insert((a, b));
            world.after_us(ms * 1_000, move |world| {
                world.cuts.remove(&(a, b));
            });
        }
        8 => {
            let number = world.nodes[&a].chassis;
            let both = world.dice.range(0, 2) == 0;
            let cuts: Vec<_> = chassis(world, number)
                .into_iter()
                .flat_map(|inside| nodes.iter().map(move |other| (inside, *other)))
                .filter(|(_, other)| world.nodes[other].chassis != number)
                .flat_map(|(inside, other)| [(inside, other), if both { (other, inside) } else { (inside, other) }])
                .collect();
            world.cuts.extend(cuts.iter().copied());
            world.after_us(ms * 1_000, move |world| {
                cuts.iter().for_each(|cut| {
                    world.cuts.remove(cut);
                })
            });
        }
        12 | 13 => {
            let (one, other) = world.dice.pick(&[(1, 2), (1, 3), (2, 3)]);
            let ways = world.dice.range(1, 4);
            let cuts = between(world, one, other, ways & 1 > 0, ways & 2 > 0);
            world.cuts.extend(cuts.iter().copied());
            world.after_us(ms * 1_000, move |world| {
                cuts.iter().for_each(|cut| {
                    world.cuts.remove(cut);
                })
            });
        }
        9 => world.loss_permille = world.dice.range(0, 200),
        10 => world.delay_us = (100, world.dice.range(1_000, 60_000)),
        _ => world.disk_us = (200, world.dice.range(1_000, 200_000)),
    }
}

/// The ways from the first chassis to the second, and back.
fn between(world: &World, one: u16, other: u16, there: bool, back: bool) -> Vec<(NodeId, NodeId)> {
    let mut cuts = Vec::new();
    for here in chassis(world, one) {
        for far in chassis(world, other) {
            cuts.extend(there.then_some((here, far)));
            cuts.extend(back.then_some((far, here)));
        }
    }
    cuts
}

/// Whether all voters but this one are there and know what was decided.
fn others_are_whole(world: &World, node: NodeId) -> bool {
    let version = world.table().version;
    world.settings.voters.iter().filter(|voter| **voter != node).all(|voter| {
        let director = world.nodes[voter].director.as_ref();
        director.is_some_and(|director| director.table().version == version && version > 0)
    })
}

pub(super) fn heal(world: &mut World) {
    world.cuts.clear();
    (world.loss_permille, world.delay_us, world.disk_us) = (0, (100, 1_500), (200, 3_000));
    let nodes: Vec<NodeId> = world.nodes.keys().copied().collect();
    for node in nodes {
        world.nodes.get_mut(&node).unwrap().paused_until = 0;
        world.start(node);
    }
}

fn chassis(world: &World, number: u16) -> Vec<NodeId> {
    world.nodes.iter().filter(|(_, node)| node.chassis == number).map(|(id, _)| *id).collect()
}

fn table_pair(world: &World, at: usize) -> PairSetting {
    let pair = world.table().groups[at].pair;
    world.settings.pairs.iter().find(|other| other.pair == pair).unwrap().clone()
}

fn owner(table: &Table, slot: u16) -> (u16, Option<NodeId>) {
    let row = table.group(table.group_of_slot(slot).unwrap()).unwrap();
    (row.pair, row.active)
}

/// Who holds any group or site.
fn holders(table: &Table) -> impl Iterator<Item = NodeId> {
    table.groups.iter().filter_map(|row| row.active).chain(table.sites.iter().map(|site| site.holder))
}

fn epochs(table: &Table) -> BTreeMap<fabric::GroupId, u64> {
    table.groups.iter().map(|row| (row.group, row.epoch.0)).collect()
}

/// The last table before groups were split.
fn before_split(world: &World) -> Arc<Table> {
    let split = world.checks.tables().find(|table| table.groups.len() > 2).unwrap().version;
    world.checks.tables().filter(|table| table.version < split).last().unwrap().clone()
}

fn settled_on_pairs(world: &World) -> bool {
    world.table().groups.iter().all(|row| {
        let pair = world.settings.pairs.iter().find(|pair| pair.pair == row.pair);
        pair.is_some_and(|pair| row.active.is_some_and(|active| pair.nodes.contains(&active)))
    })
}

/// Gives the directors new nodes and pairs while they run, as `tandem ctl reload` does.
fn reload(world: &mut World, settings: Settings) {
    let nodes = settings.members.iter().map(|member| (member.node, member.chassis, member.name.clone())).collect();
    let pairs = settings.pairs.iter().map(|pair| (pair.pair, pair.nodes)).collect();
    let members = fabric::letters::control::Members { nodes, pairs };
    world.settings = Arc::new(settings);
    for voter in world.settings.voters.clone() {
        let letter = Letter::Control(Box::new(Control::Members(members.clone())));
        world.post(Envelope::ask(Address::Control(voter), Address::Director(voter), Thread(900), letter));
        world.run_ms(500);
    }
}

/// Gives the directors new settings, one after another.
fn roll(world: &mut World, settings: Settings) {
    world.settings = Arc::new(settings);
    for voter in world.settings.voters.clone() {
        world.kill(voter, true);
        world.run_ms(200);
        world.start(voter);
        world.run_ms(4_000);
    }
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
