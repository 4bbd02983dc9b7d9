use super::*;
use crate::settings::{MemberSetting, PairSetting, Settings, SiteSetting};

#[test]
fn the_beginning_names_the_first_of_each_pair_and_waits_a_little_for_it() {
    let mut view = view();
    view.nodes.remove(&NodeId(1));
    let decided = next(&Decided::default(), &view);
    assert_eq!(decided.table.version, 1);
    let its = row(&decided, 1);
    assert_eq!((its.active, its.standby, its.epoch), (None, None, Epoch(0)), "the first one may be on its way");
    assert_eq!(row(&decided, 2).active, Some(NodeId(3)));
    view.leading = Duration::from_secs(1);
    let decided = next(&decided, &view);
    assert_eq!(row(&decided, 1).active, Some(NodeId(2)));
}

#[test]
fn one_row_of_a_table_per_rule() {
    struct Case {
        name: &'static str,
        happens: fn(&mut View),
        // Active, standby, full, epoch of pair 1, which had 1, 2, full, 1.
        then: (u16, Option<u16>, bool, u64),
    }
    let cases = [
        Case { name: "nothing", happens: |_| {}, then: (1, Some(2), true, 1) },
        Case { name: "active silent", happens: |view| silence(view, 1, 400), then: (2, None, false, 2) },
        Case { name: "standby silent", happens: |view| silence(view, 2, 400), then: (1, None, false, 1) },
        Case { name: "active reborn", happens: |view| reboot(view, 1), then: (2, Some(1), false, 2) },
        Case { name: "standby reborn", happens: |view| reboot(view, 2), then: (1, Some(2), false, 1) },
        Case {
            name: "standby reborn often",
            happens: |view| {
                reboot(view, 2);
                standing(view, 2).quarantined = true;
            },
            then: (1, None, false, 1),
        },
        Case {
            name: "both reborn",
            happens: |view| {
                reboot(view, 1);
                reboot(view, 2);
            },
            then: (1, Some(2), false, 2),
        },
        Case {
            name: "standby fell behind",
            happens: |view| report(view, 1, 1).standby_full = false,
            then: (1, Some(2), false, 1),
        },
        Case {
            name: "standby fell behind, then the active went silent",
            happens: |view| {
                report(view, 1, 1).standby_full = false;
                silence(view, 1, 400);
            },
            then: (1, Some(2), false, 1),
        },
        Case {
            name: "the same, and patience ends",
            happens: |view| {
                report(view, 1, 1).standby_full = false;
                silence(view, 1, 5_000);
            },
            then: (2, None, false, 2),
        },
        Case {
            name: "all silent",
            happens: |view| (1..=4).for_each(|node| silence(view, node, 9_000)),
            then: (1, None, false, 1),
        },
        Case {
            name: "heard by too few to say anything",
            happens: |view| standing(view, 1).boot = 0,
            then: (1, Some(2), true, 1),
        },
        Case {
            name: "yielded without being asked",
            happens: |view| report(view, 1, 1).yielded = true,
            then: (1, Some(2), true, 1),
        },
        Case {
            name: "forced although the active is heard",
            happens: |view| view.wishes.push(Wish::Forced { group: group(1), node: NodeId(2) }),
            then: (2, Some(1), false, 2),
        },
        Case {
            name: "forced on a node without a part",
            happens: |view| view.wishes.push(Wish::Forced { group: group(1), node: NodeId(3) }),
            then: (1, Some(2), true, 1),
        },
    ];
    for case in cases {
        let (decided, mut view) = whole();
        (case.happens)(&mut view);
        let after = decide(&decided, &view).0.unwrap_or_else(|| decided.clone());
        let its = row(&after, 1);
        let is = (its.active.unwrap().0, its.standby.map(|node| node.0), its.full, its.epoch.0);
        assert_eq!(is, case.then, "{}", case.name);
        assert!(after == decided || after.table.version == decided.table.version + 1, "{}", case.name);
    }
}

#[test]
fn one_that_is_shut_out_is_replaced_when_it_is_safe_and_comes_back_as_standby() {
    let (decided, mut view) = whole();
    view.apart.add(NodeId(1), NodeId(2));
    view.apart.add(NodeId(1), NodeId(4));
    assert_eq!(decide(&decided, &view).0, None, "others may have something to say");
    view.all_said = true;
    let (out, notes) = decide(&decided, &view);
    let out = out.unwrap();
    assert_eq!(notes, [Note::ShutOut { node: NodeId(1) }]);
    assert!(!out.is_up(NodeId(1)) && out.is_up(NodeId(2)));
    assert_eq!(out.known(NodeId(1)).unwrap().since, out.version(), "it knows it before it has a lease again");
    assert_eq!(out.table.warning, "shut out: node 1; 1 and 2, 4 do not hear each other");
    assert_eq!((row(&out, 1).active, row(&out, 1).full), (Some(NodeId(1)), true), "nothing is taken over yet");
    // It says that its standby is gone: that is the cut.
    standing(&mut view, 1).version = out.version();
    report(&mut view, 1, 1).standby_full = false;
    standing(&mut view, 1).barred = true;
    assert_eq!(decide(&out, &view).0, None);
    standing(&mut view, 1).safe = true;
    let taken = next(&out, &view);
    assert_eq!((row(&taken, 1).active, row(&taken, 1).standby), (Some(NodeId(2)), None));
    assert_eq!(row(&taken, 1).epoch, Epoch(2));
    view.apart = Apart::default();
    assert_eq!(decide(&taken, &view).0, None, "not at once");
    standing(&mut view, 1).barred = false;
    standing(&mut view, 1).safe = false;
    let back = next(&taken, &view);
    assert!(back.is_up(NodeId(1)));
    assert_eq!(back.table.warning, "");
    let its = row(&back, 1);
    assert_eq!((its.active, its.standby, its.full), (Some(NodeId(2)), Some(NodeId(1)), false));
}

#[test]
fn without_three_voters_only_what_is_certain_is_taken_over() {
    let (mut decided, mut view) = whole();
    decided.plan.warning = "two voters".to_owned();
    silence(&mut view, 1, 60_000);
    silence(&mut view, 5, 60_000);
    let after = next(&decided, &view);
    assert_eq!(row(&after, 1).active, Some(NodeId(1)), "nobody can tell");
    assert_eq!(after.table.holder(NodeId(5)), NodeId(5));
    assert!(!after.is_up(NodeId(1)));
    let (mut decided, mut view) = whole();
    decided.plan.warning = "two voters".to_owned();
    reboot(&mut view, 1);
    assert_eq!(row(&next(&decided, &view), 1).active, Some(NodeId(2)), "a process that has ended is certain");
}

#[test]
fn what_is_reported_under_an_older_table_says_nothing() {
    let (decided, mut view) = whole();
    silence(&mut view, 2, 400);
    let alone = next(&decided, &view);
    assert_eq!((row(&alone, 1).standby, row(&alone, 1).full), (None, false));
    // Back again: the active still speaks of the standby it had.
    standing(&mut view, 2).silent = false;
    let paired = next(&alone, &view);
    assert_eq!((row(&paired, 1).standby, row(&paired, 1).full), (Some(NodeId(2)), false));
    assert_eq!(decide(&paired, &view).0, None, "its report is of an older table");
    standing(&mut view, 1).version = paired.table.version;
    assert!(row(&next(&paired, &view), 1).full);
}

#[test]
fn an_order_asks_the_active_to_yield_and_waits_for_it() {
    let (decided, mut view) = whole();
    view.wishes.push(Wish::Active { group: group(1), node: NodeId(2) });
    let asked = next(&decided, &view);
    assert_eq!((row(&asked, 1).active, row(&asked, 1).next), (Some(NodeId(1)), Some(NodeId(2))));
    report(&mut view, 1, 1).yielded = true;
    assert_eq!(decide(&asked, &view).0, None, "said before it was asked");
    standing(&mut view, 1).version = asked.table.version;
    let moved = next(&asked, &view);
    let its = row(&moved, 1);
    assert_eq!((its.active, its.standby, its.full, its.next), (Some(NodeId(2)), Some(NodeId(1)), false, None));
    assert_eq!(its.epoch, Epoch(2));
    // Too slow: it stays where it is.
    report(&mut view, 1, 1).yielded = false;
    view.overdue.insert(group(1));
    assert_eq!(row(&next(&asked, &view), 1).next, None);
}

#[test]
fn a_group_moves_to_its_new_pair_by_learning_first() {
    let (decided, mut view) = whole();
    let mut settings = settings();
    settings.pairs[0].nodes = [NodeId(3), NodeId(4)];
    settings.pairs.pop();
    view.plan = Some(Plan::of(&settings));
    let planned = next(&decided, &view);
    let its = row(&planned, 1);
    assert_eq!((its.active, its.standby, its.full), (Some(NodeId(1)), Some(NodeId(2)), true), "where it was");
    let learning = match its.learner {
        Some(_) => planned,
        None => next(&planned, &view),
    };
    assert_eq!(row(&learning, 1).learner, Some(NodeId(3)));
    standing(&mut view, 1).version = learning.table.version;
    report(&mut view, 1, 1).learner_full = true;
    let asked = next(&learning, &view);
    assert_eq!(
        (row(&asked, 1).next, row(&asked, 1).standby, row(&asked, 1).full),
        (Some(NodeId(3)), Some(NodeId(2)), true)
    );
    standing(&mut view, 1).version = asked.table.version;
    report(&mut view, 1, 1).yielded = true;
    let moved = next(&asked, &view);
    let its = row(&moved, 1);
    assert_eq!((its.active, its.standby, its.learner, its.next), (Some(NodeId(3)), Some(NodeId(4)), None, None));
}

#[test]
fn one_node_of_a_pair_is_exchanged_without_a_moment_alone() {
    let (decided, mut view) = whole();
    let mut settings = settings();
    settings.pairs[0].nodes = [NodeId(1), NodeId(4)];
    view.plan = Some(Plan::of(&settings));
    let learning = next(&decided, &view);
    let its = row(&learning, 1);
    assert_eq!((its.standby, its.full, its.learner), (Some(NodeId(2)), true, Some(NodeId(4))));
    standing(&mut view, 1).version = learning.table.version;
    report(&mut view, 1, 1).learner_full = true;
    let moved = next(&learning, &view);
    let its = row(&moved, 1);
    assert_eq!((its.active, its.standby, its.full, its.epoch), (Some(NodeId(1)), Some(NodeId(4)), true, Epoch(1)));
}

#[test]
fn sites_go_to_the_first_that_is_there() {
    let (decided, mut view) = whole();
    silence(&mut view, 5, 400);
    let held = next(&decided, &view);
    assert_eq!(held.table.holder(NodeId(5)), NodeId(6));
    standing(&mut view, 5).silent = false;
    assert_eq!(next(&held, &view).table.holder(NodeId(5)), NodeId(6), "back only by order");
    view.wishes.push(Wish::Holder { site: NodeId(5), node: NodeId(5) });
    let back = next(&held, &view);
    assert_eq!((back.table.holder(NodeId(5)), back.table.sites[0].epoch), (NodeId(5), Epoch(3)));
    // Who was never heard may be on its way.
    let (mut decided, mut view) = whole();
    decided.table.members.iter_mut().for_each(|member| member.boot = 0);
    silence(&mut view, 5, 400);
    standing(&mut view, 5).boot = 0;
    view.leading = Duration::from_millis(400);
    assert_eq!(next(&decided, &view).table.holder(NodeId(5)), NodeId(5));
    view.leading = Duration::from_secs(6);
    assert_eq!(next(&decided, &view).table.holder(NodeId(5)), NodeId(6));
}

#[test]
fn a_node_gets_a_lease_only_under_the_table_that_took_something_from_it() {
    let (decided, mut view) = whole();
    silence(&mut view, 1, 400);
    let taken = next(&decided, &view);
    assert_eq!(taken.known(NodeId(1)).unwrap().since, taken.table.version);
    assert!(taken.known(NodeId(3)).unwrap().since < taken.table.version);
    reboot(&mut view, 3);
    let reborn = next(&taken, &view);
    let known = reborn.known(NodeId(3)).unwrap();
    assert_eq!((known.since, &known.old[..]), (reborn.table.version, &[103][..]));
}

/// Two pairs, a site with a stand-in.
fn settings() -> Settings {
    let chassis = [(1, 1), (2, 2), (3, 1), (4, 2), (5, 3), (6, 1)];
    let members = chassis.map(|(node, chassis)| MemberSetting { node: NodeId(node), chassis, name: String::new() });
    Settings {
        voters: vec![NodeId(1), NodeId(2), NodeId(5)],
        members: members.to_vec(),
        pairs: vec![
            PairSetting { pair: 1, nodes: [NodeId(1), NodeId(2)] },
            PairSetting { pair: 2, nodes: [NodeId(3), NodeId(4)] },
        ],
        sites: vec![SiteSetting { site: NodeId(5), holders: vec![NodeId(5), NodeId(6)] }],
        ..Settings::default()
    }
}

/// Everybody is heard.
fn view() -> View {
    let mut view = View {
        plan: Some(Plan::of(&settings())),
        settle: Duration::from_millis(500),
        patience: Duration::from_secs(5),
        ..View::default()
    };
    for node in 1..=6 {
        view.nodes.insert(NodeId(node), Standing { boot: 100 + u64::from(node), ..Standing::default() });
    }
    view
}

/// Everything as it should be.
fn whole() -> (Decided, View) {
    let mut view = view();
    let mut decided = Decided::default();
    for _ in 0..4 {
        for node in 1..=6 {
            standing(&mut view, node).version = decided.table.version;
        }
        for row in &decided.table.groups {
            let report = GroupReport {
                group: row.group,
                epoch: row.epoch,
                standby_full: true,
                learner_full: false,
                yielded: false,
                machines: 0,
            };
            if let Some(active) = row.active {
                standing(&mut view, active.0).reports = vec![report];
            }
        }
        decided = decide(&decided, &view).0.unwrap_or(decided);
    }
    assert_eq!(decide(&decided, &view).0, None);
    assert!(decided.table.groups.iter().all(|row| row.full));
    (decided, view)
}

fn next(decided: &Decided, view: &View) -> Decided {
    decide(decided, view).0.expect("something is decided")
}

fn row(decided: &Decided, pair: u16) -> &Ownership {
    decided.table.groups.iter().find(|row| row.pair == pair).expect("a group of the pair")
}

fn group(pair: u16) -> GroupId {
    row(&whole().0, pair).group
}

fn standing(view: &mut View, node: u16) -> &mut Standing {
    view.nodes.get_mut(&NodeId(node)).expect("a node")
}

fn report(view: &mut View, node: u16, at: usize) -> &mut GroupReport {
    &mut standing(view, node).reports[at - 1]
}

fn silence(view: &mut View, node: u16, ms: u64) {
    let standing = standing(view, node);
    (standing.silent, standing.silence) = (true, Duration::from_millis(ms));
}

fn reboot(view: &mut View, node: u16) {
    standing(view, node).boot += 100;
}
