//! Directors that are wrong on purpose: the checks of this lab must notice each of them.

use std::panic::catch_unwind;

use fabric::mutant::{self, Mutant};

use super::tests::{heal, storm};
use super::*;

#[test]
fn every_mutant_is_noticed() {
    std::panic::set_hook(Box::new(|_| {}));
    let noticed = |mutant| (FIRST..FIRST + SEEDS).find_map(|seed| Some((seed, noticed(mutant, seed)?)));
    let found: Vec<_> = Mutant::DIRECTORS.into_iter().map(|mutant| (mutant, noticed(mutant))).collect();
    let _ = std::panic::take_hook();
    for (mutant, noticed) in &found {
        match noticed {
            Some((seed, words)) => println!("{:<20}{:>4}  {words}", mutant.name(), seed - FIRST + 1),
            None => println!("{:<20}NOT FOUND", mutant.name()),
        }
    }
    assert!(found.iter().all(|(_, noticed)| noticed.is_some()));
}

/// What the checks say of this seed.
fn noticed(mutant: Mutant, seed: u64) -> Option<String> {
    mutant::choose(Some(mutant));
    let run = catch_unwind(|| everything(seed));
    mutant::choose(None);
    let panic = run.err()?;
    Some(panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn without_a_mutant_the_same_seeds_are_clean() {
    (FIRST..FIRST + SEEDS).for_each(everything);
}

/// Troubles by chance, and those that each rule of the directors is there for.
fn everything(seed: u64) {
    flicker(seed);
    unheard(seed);
    amnesia(seed);
    blackout(seed);
    storm(seed, true);
}

/// An active node comes and goes at the moment at which it is given up, while the journals are slow and letters are lost.
fn flicker(seed: u64) {
    let mut world = whole(seed);
    for _ in 0..4 {
        let table = world.table();
        let row = &table.groups[world.dice.range(0, table.groups.len() as u64) as usize];
        let Some(node) = row.active else { continue };
        world.disk_us = (200, world.dice.range(1_000, 250_000));
        cut(&mut world, node);
        run(&mut world, 330, 430);
        world.cuts.clear();
        world.loss_permille = world.dice.range(0, 600);
        run(&mut world, 20, 160);
        cut(&mut world, node);
        world.loss_permille = 0;
        run(&mut world, 100, 600);
        world.cuts.clear();
        world.disk_us = (200, 3_000);
        run(&mut world, 300, 1_500);
    }
    mended(&mut world);
}

/// An active node is given up, and comes back while every table that it is sent is lost, as at the end of a session.
fn unheard(seed: u64) {
    let mut world = whole(seed);
    for _ in 0..4 {
        let table = world.table();
        let row = &table.groups[world.dice.range(0, table.groups.len() as u64) as usize];
        let Some(node) = row.active else { continue };
        cut(&mut world, node);
        run(&mut world, 450, 700);
        world.cuts.clear();
        world.untold = Some(node);
        run(&mut world, 200, 5_000);
        world.untold = None;
        run(&mut world, 1_500, 3_000);
    }
    mended(&mut world);
}

/// A voter loses its journal, and with it what only it and the leader know; then the leader is cut off.
fn amnesia(seed: u64) {
    let mut world = whole(seed);
    let leader = world.leader().expect("a leader");
    let others: Vec<NodeId> = world.settings.voters.iter().copied().filter(|voter| *voter != leader).collect();
    let (forgets, behind) = (others[0], others[1]);
    cut(&mut world, behind);
    make_active(&mut world, leader);
    world.run_ms(300);
    world.cuts.clear();
    cut(&mut world, leader);
    world.kill(forgets, false);
    world.run_ms(20);
    world.start(forgets);
    run(&mut world, 600, 1_500);
    let proxy = world.dice.pick(&[NodeId(4), NodeId(5)]);
    world.kill(proxy, true);
    run(&mut world, 600, 1_500);
    mended(&mut world);
}

/// All voters lose their power in the moment of a decision.
fn blackout(seed: u64) {
    let mut world = whole(seed);
    let leader = world.leader().expect("a leader");
    world.disk_us = (50_000, 200_000);
    let version = world.table().version;
    make_active(&mut world, leader);
    // With journals as slow as these a leader may lose its office before it decides.
    for _ in 0..3_000 {
        if world.table().version > version {
            break;
        }
        world.run_ms(1);
    }
    let voters = world.settings.voters.clone();
    voters.iter().for_each(|voter| world.kill(*voter, true));
    let proxy = world.dice.pick(&[NodeId(4), NodeId(5)]);
    world.kill(proxy, true);
    world.run_ms(100);
    world.disk_us = (200, 3_000);
    voters.iter().for_each(|voter| world.start(*voter));
    run(&mut world, 600, 2_000);
    mended(&mut world);
}

fn whole(seed: u64) -> World {
    let mut world = World::new(seed, settings());
    world.run_until(3_000, World::is_whole);
    world
}

fn mended(world: &mut World) {
    heal(world);
    world.run_until(70_000, World::is_whole);
}

fn run(world: &mut World, low: u64, high: u64) {
    let ms = world.dice.range(low, high);
    world.run_ms(ms);
}

/// Nobody hears a node, nor does it hear anybody.
fn cut(world: &mut World, node: NodeId) {
    let others: Vec<NodeId> = world.nodes.keys().copied().filter(|other| *other != node).collect();
    world.cuts.extend(others.into_iter().flat_map(|other| [(node, other), (other, node)]));
}

/// An operator asks the leader to move a group.
fn make_active(world: &mut World, leader: NodeId) {
    let table = world.table();
    let row = &table.groups[world.dice.range(0, table.groups.len() as u64) as usize];
    if let Some(node) = row.standby {
        world.order(leader, 1, Order::MakeActive { node, group: Some(row.group) });
    }
}

const FIRST: u64 = 5_000;

/// Seeds that a mutant may take, count.
const SEEDS: u64 = 100;
