//! The judges of owners, replicas and the edge bite: each is shown something that must not be.

use std::sync::Arc;

use fabric::ownership::Ownership;

use super::*;
use crate::cluster::Plan;

fn lab() -> ClusterLab {
    let plan = Plan::open("quiet-day").expect("a supplied plan");
    ClusterLab::new(Arc::new(Scene::new(&Arc::new(plan), 1)), None)
}

/// Invariants that were found broken.
fn wrongs(lab: &ClusterLab) -> Vec<u8> {
    lab.watch.wrongs.iter().map(|wrong| wrong.invariant).collect()
}

/// Nodes 3 and 4 are proxies of one chassis, 7 is one of another.
fn table(version: u64, active: u16, standby: u16, epoch: u64) -> Table {
    let node = |node: u16| (node > 0).then_some(NodeId(node));
    let row = Ownership {
        group: GroupId(0),
        pair: 1,
        active: node(active),
        standby: node(standby),
        learner: None,
        next: None,
        full: true,
        epoch: Epoch(epoch),
    };
    Table { version, slots: vec![(SLOTS, GroupId(0))], groups: vec![row], ..Table::default() }
}

#[test]
fn i1_i3_i5_tables_that_must_not_be() {
    let rows: [(&str, Vec<Table>, &[u8]); 6] = [
        ("as it should be", vec![table(1, 3, 7, 1), table(2, 7, 3, 2)], &[]),
        ("both replicas on one chassis", vec![table(1, 3, 4, 1)], &[5]),
        ("an epoch falls", vec![table(1, 3, 7, 5), table(2, 7, 3, 4)], &[1]),
        ("two owners in an epoch", vec![table(1, 3, 7, 5), table(2, 7, 3, 5)], &[1]),
        ("slots of nobody", vec![Table { slots: vec![(9, GroupId(0))], ..table(1, 3, 7, 1) }], &[3]),
        ("an old one comes late", vec![table(2, 3, 7, 5), table(1, 7, 3, 5)], &[]),
    ];
    for (name, tables, expected) in rows {
        let mut lab = lab();
        let scene = lab.scene.clone();
        tables.iter().for_each(|table| lab.watch.on_table(1, 2, table, &scene));
        assert_eq!(wrongs(&lab), expected, "{name}");
    }
}

#[test]
fn i3_nobody_owns_anything_or_nobody_lives() {
    let mut lab = lab();
    lab.calm();
    assert_eq!(wrongs(&lab), [3]);
    lab.watch.wrongs.clear();
    let scene = lab.scene.clone();
    lab.watch.on_table(1, 2, &table(1, 3, 7, 1), &scene);
    lab.calm();
    assert_eq!(wrongs(&lab), [3, 3], "no process runs here: no owner, no standby");
}

#[test]
fn i1_effects_of_two_nodes_in_one_epoch_and_of_an_older_one() {
    let effect = |epoch, node| Accepted {
        from: Address::Call(fabric::Key(7)),
        epoch: Epoch(epoch),
        origin: Some(NodeId(node)),
        keyed: false,
        kind: "sip_out",
    };
    let rows: [(&str, Vec<Accepted>, &[u8]); 4] = [
        ("one owner after the other", vec![effect(1, 3), effect(2, 7)], &[]),
        ("two in one epoch", vec![effect(1, 3), effect(1, 7)], &[1]),
        ("the old one again", vec![effect(2, 7), effect(1, 3)], &[1]),
        ("without an epoch", vec![effect(0, 3)], &[1]),
    ];
    for (name, effects, expected) in rows {
        let mut lab = lab();
        effects.iter().for_each(|effect| lab.watch.accepted(1, 0, NodeId(1), effect));
        assert_eq!(wrongs(&lab), expected, "{name}");
    }
}

#[test]
fn i27_an_inside_address_that_shows() {
    let request = |contact: &str| {
        format!(
            "INVITE sip:b@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nMax-Forwards: 9\r\n\
             From: <sip:a@example.test>;tag=f\r\nTo: <sip:b@example.test>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:{contact}>\r\n\r\n"
        )
    };
    let mut lab = lab();
    lab.watch_edge(0, 0, request("token@192.0.2.1").as_bytes());
    assert!(wrongs(&lab).is_empty());
    lab.watch_edge(0, 0, request("someone@192.168.77.5").as_bytes());
    assert_eq!(wrongs(&lab), [27]);
}
