use fabric::ownership::Ownership;
use fabric::{Epoch, GroupId};

use super::*;

const A: &str = include_str!("../../../../../deploy/cluster/a.toml");
const PAIR: &str = "[[cluster.nodes]]\nnode = 4\nname = \"c\"\nchassis = 1\naddress = \"10.0.0.4:5070\"\nroles = [\"proxy\"]\n\
                    [[cluster.nodes]]\nnode = 5\nname = \"d\"\nchassis = 2\naddress = \"10.0.0.5:5070\"\nroles = [\"proxy\"]\n";

fn config(text: &str) -> Config {
    Config::parse(text).expect("a configuration")
}

/// A table in which node 5 learns.
fn table() -> Table {
    let row = Ownership {
        group: GroupId(7),
        pair: 3,
        epoch: Epoch(1),
        active: Some(NodeId(1)),
        standby: None,
        full: false,
        learner: Some(NodeId(5)),
        next: None,
    };
    Table { groups: vec![row], ..Table::default() }
}

#[test]
fn what_a_running_node_follows() {
    let larger = format!("{A}\n{PAIR}");
    let third = format!("{larger}[[cluster.pairs]]\npair = 3\nnodes = [4, 5]\n");
    // From, to, and why not; empty: it does.
    let rows: &[(&str, &str, &str)] = &[
        (A, A, ""),
        (A, &larger, ""),
        (A, &third, ""),
        (&third, &larger, ""),
        (&larger, A, "node 5 still has a part in group 7: take its pair out first"),
        (A, &A.replace("pair = 2", "pair = 9"), ""),
        (A, &A.replace("10.0.0.1:5070", "10.0.0.9:5070"), "the row of this node (number 1) has changed"),
        (A, &A.replace("10.0.0.3:5070", "10.0.0.9:5070"), "directors have changed"),
        (A, &A.replace("\"witness\"", "\"proxy\""), "directors have changed"),
        (A, &larger.replace("[\"proxy\"]", "[\"director\"]"), "directors have changed"),
        (A, &larger.replace("[\"proxy\"]", "[\"balancer\"]"), "balancers or sites have changed"),
        (A, &A.replace("pair = ", "zone = 1\npair = "), "there are more or fewer zones"),
        (A, &A.replace("holders = [2, 1]", "holders = [2]"), "balancers or sites have changed"),
        (
            &larger,
            &larger.replace("node = 4\nname = \"c\"\nchassis = 1", "node = 4\nname = \"c\"\nchassis = 3"),
            "node 4 stands on another chassis",
        ),
    ];
    for (old, new, expected) in rows {
        let why = may_follow(&config(old), &config(new), &table()).err().unwrap_or_default();
        assert!(why.starts_with(expected) && why.is_empty() == expected.is_empty(), "expected {expected:?}: {why}");
    }
    let alone = config("[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.1:5060\"\n");
    assert!(may_follow(&config(A), &alone, &table()).is_err_and(|why| why.contains("without a restart")));
}

#[test]
fn what_waits_for_a_restart_is_named() {
    let old: toml::Table = A.parse().expect("TOML");
    let larger = format!("{A}\n{PAIR}");
    assert_eq!(differences(&old, A), Vec::<String>::new());
    assert_eq!(differences(&old, &larger), Vec::<String>::new());
    let new = larger.replace("\"refuse\"", "\"unanchored\"").replace("name = \"example\"", "name = \"other\"");
    assert_eq!(differences(&old, &format!("{new}[log]\nlevel = \"debug\"\n")), ["call", "log", "cluster.name"]);
}
