use super::*;
use crate::decide::Standing;
use crate::settings::{MemberSetting, PairSetting, Settings, SiteSetting};
use crate::state::Plan;

#[test]
fn one_row_per_rule() {
    struct Case {
        name: &'static str,
        happens: fn(&mut Decided, &mut View),
        out: &'static [u16],
    }
    let cases = [
        Case { name: "nothing", happens: |_, _| {}, out: &[] },
        Case { name: "chassis 1 and 2 apart", happens: |_, view| cut(view, &[1, 2, 3], &[4, 5, 6]), out: &[4, 5] },
        Case {
            name: "the same, and chassis 2 holds all",
            happens: |decided, view| {
                decided.table.groups.iter_mut().for_each(|row| (row.active, row.standby) = (at(5), at(2)));
                cut(view, &[1, 2, 3], &[4, 5, 6]);
            },
            out: &[1, 2],
        },
        Case {
            name: "the same, and a proxy of chassis 2 has something alone",
            happens: |decided, view| {
                decided.table.groups[1].full = false;
                cut(view, &[1, 2, 3], &[4, 5, 6]);
            },
            out: &[1, 2],
        },
        Case {
            name: "the same, on both sides: nobody can go",
            happens: |decided, view| {
                decided.table.groups.iter_mut().for_each(|row| row.full = false);
                cut(view, &[1, 2, 3], &[4, 5, 6]);
            },
            out: &[],
        },
        Case {
            name: "chassis 1 hears neither 2 nor the witness",
            happens: |_, view| cut(view, &[1, 2, 3], &[4, 5, 6, 7]),
            out: &[1, 2],
        },
        Case { name: "one proxy has lost the others", happens: |_, view| cut(view, &[2], &[4, 5]), out: &[2] },
        Case { name: "two proxies", happens: |_, view| cut(view, &[2], &[5]), out: &[5] },
        Case { name: "two balancers need not hear each other", happens: |_, view| cut(view, &[1], &[4]), out: &[] },
        Case { name: "a director and a proxy neither", happens: |_, view| cut(view, &[3, 7], &[5]), out: &[] },
        Case { name: "one has no lease", happens: |_, view| standing(view, 5).idle = true, out: &[5] },
        Case {
            name: "all have none",
            happens: |_, view| (1..=7).for_each(|node| standing(view, node).idle = true),
            out: &[],
        },
        Case {
            name: "one is out and may not come in",
            happens: |decided, view| {
                decided.table.members[4].up = false;
                decided.table.groups.iter_mut().for_each(|row| (row.active, row.standby) = (at(2), None));
                standing(view, 5).barred = true;
            },
            out: &[5],
        },
        Case {
            name: "two voters cannot tell",
            happens: |decided, view| {
                decided.plan.warning = "two voters".to_owned();
                cut(view, &[1, 2, 3], &[4, 5, 6]);
            },
            out: &[],
        },
    ];
    for case in cases {
        let (mut decided, mut view) = whole();
        (case.happens)(&mut decided, &mut view);
        let out: Vec<u16> = shut_out(&decided, &view).into_iter().map(|node| node.0).collect();
        assert_eq!(out, case.out, "{}", case.name);
    }
}

#[test]
fn what_people_are_told_stays_the_same_while_the_same_nodes_are_out() {
    let (mut decided, mut view) = whole();
    cut(&mut view, &[2], &[4, 5]);
    decided.table.warning = warning(&decided, &view, &shut_out(&decided, &view));
    assert_eq!(decided.table.warning, "shut out: node 2; 2 and 4, 5 do not hear each other");
    cut(&mut view, &[2], &[1]);
    assert_eq!(warning(&decided, &view, &BTreeSet::from([NodeId(2)])), decided.table.warning);
    assert_eq!(warning(&decided, &view, &BTreeSet::new()), "");
}

/// Balancer, proxy and director on each of two chassis, and a witness.
fn whole() -> (Decided, View) {
    let chassis = [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (7, 3)];
    let members = chassis.map(|(node, chassis)| MemberSetting { node: NodeId(node), chassis, name: String::new() });
    let pair = |pair, nodes: [u16; 2]| PairSetting { pair, nodes: nodes.map(NodeId) };
    let site = |site, holders: [u16; 2]| SiteSetting { site: NodeId(site), holders: holders.map(NodeId).to_vec() };
    let settings = Settings {
        voters: vec![NodeId(3), NodeId(6), NodeId(7)],
        members: members.to_vec(),
        pairs: vec![pair(1, [2, 5]), pair(2, [5, 2])],
        sites: vec![site(1, [1, 4]), site(4, [4, 1])],
        ..Settings::default()
    };
    let mut decided = Decided::default();
    decided.adopt(&Plan::of(&settings));
    for member in &mut decided.table.members {
        (member.up, member.boot) = (true, 100);
    }
    for row in &mut decided.table.groups {
        let nodes = settings.pairs.iter().find(|pair| pair.pair == row.pair).unwrap().nodes;
        (row.active, row.standby, row.full) = (Some(nodes[0]), Some(nodes[1]), true);
    }
    decided.table.groups.sort_by_key(|row| row.pair);
    let mut view = View { all_said: true, ..View::default() };
    for node in 1..=7 {
        view.nodes.insert(NodeId(node), Standing { boot: 100, ..Standing::default() });
    }
    (decided, view)
}

fn cut(view: &mut View, some: &[u16], others: &[u16]) {
    for one in some {
        others.iter().for_each(|other| view.apart.add(NodeId(*one), NodeId(*other)));
    }
}

fn standing(view: &mut View, node: u16) -> &mut Standing {
    view.nodes.get_mut(&NodeId(node)).unwrap()
}

fn at(node: u16) -> Option<NodeId> {
    Some(NodeId(node))
}
