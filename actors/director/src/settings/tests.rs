use super::*;

#[test]
fn the_lease_is_waited_for_as_long_as_the_slowest_clock_needs() {
    assert_eq!(Settings::default().silence(), Duration::from_millis(353));
}

#[test]
fn what_makes_no_sense_is_said() {
    assert_eq!(good().check(), Ok(()));
    let cases: [(&str, fn(&mut Settings)); 9] = [
        ("0 voters", |settings| settings.voters.clear()),
        ("voters names node 9", |settings| settings.voters.push(NodeId(9))),
        ("node 1 stands twice among the voters", |settings| settings.voters.push(NodeId(1))),
        ("node 2 stands twice among the members", |settings| settings.members.push(settings.members[1].clone())),
        ("pair 1 names node 8", |settings| settings.pairs[0].nodes[1] = NodeId(8)),
        ("both nodes of pair 1", |settings| settings.pairs[0].nodes[1] = NodeId(1)),
        ("pair 1 is there twice", |settings| settings.pairs.push(settings.pairs[0].clone())),
        ("site 4", |settings| settings.sites.push(SiteSetting { site: NodeId(4), holders: Vec::new() })),
        ("tick_ms", |settings| settings.tick_ms = 0),
    ];
    for (says, change) in cases {
        let mut settings = good();
        change(&mut settings);
        let error = settings.check().expect_err(says);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_warning_says_why_nothing_is_taken_over() {
    assert_eq!(good().warning(), "");
    let mut two = good();
    two.voters.pop();
    assert!(two.warning().starts_with("2 of at least 3"));
    let mut near = good();
    near.members[2].chassis = 1;
    assert!(near.warning().contains("2 chassis instead of 3"));
}

#[test]
fn only_what_all_must_share_is_in_the_sum() {
    let mut other = good();
    other.patience_ms = 1;
    assert_eq!(good().sum(), other.sum());
    other.pairs[0].nodes.swap(0, 1);
    assert_ne!(good().sum(), other.sum());
}

/// The guard is worth more than the drift that is reckoned with: an owner's slow clock and a director's fast one, thousandths.
#[test]
fn a_lease_is_over_before_it_is_given_away() {
    let settings = Settings::default();
    let rows = [(0, true), (10, true), (50, true), (80, true), (83, false)];
    for (drift, holds) in rows {
        let acts_us = u64::from(settings.lease_ms) * 1_000 * 1_000 / (1_000 - drift);
        let waits_us = settings.silence().as_micros() as u64 * 1_000 / (1_000 + drift);
        assert_eq!(acts_us < waits_us, holds, "{drift} thousandths: {acts_us} us of a lease, {waits_us} us of silence");
    }
}

fn good() -> Settings {
    let member = |node, chassis| MemberSetting { node: NodeId(node), chassis, name: String::new() };
    Settings {
        voters: vec![NodeId(1), NodeId(2), NodeId(3)],
        members: vec![member(1, 1), member(2, 2), member(3, 3)],
        pairs: vec![PairSetting { pair: 1, nodes: [NodeId(1), NodeId(2)] }],
        sites: vec![SiteSetting { site: NodeId(1), holders: vec![NodeId(1), NodeId(2)] }],
        ..Settings::default()
    }
}
