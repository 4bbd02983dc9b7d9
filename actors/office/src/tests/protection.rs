//! Effects leave when the standby has their cause, and not before.

use super::*;

#[test]
fn alone_everything_leaves_at_once() {
    let mut net = Net::new(&[]);
    let mut table = first_table();
    table.groups[0].standby = None;
    net.table(&table);
    net.say(call(1), "hello");
    assert_eq!(net.answers(), 1);
}

#[test]
fn an_effect_waits_for_the_standby() {
    let (mut net, _) = protected();
    net.cut = vec![(B, A)];
    net.say(call(1), "hello");
    assert_eq!(net.answers(), 0, "the acknowledgement is on its way");
    assert!(
        net.seen
            .iter()
            .any(|(_, to, parcel)| *to == B && matches!(parcel, Parcel::Record(record) if record.number > 0))
    );
    net.cut.clear();
    net.say(call(1), "again");
    assert_eq!(net.answers(), 2, "acknowledgements are cumulative");
}

#[test]
fn without_an_answer_effects_leave_unprotected_and_are_counted() {
    let (mut net, _) = protected();
    net.cut = vec![(B, A)];
    net.say(call(1), "hello");
    net.pass(Duration::from_millis(400), &[]);
    assert_eq!(net.answers(), 0);
    net.pass(Duration::from_millis(100), &[]);
    assert_eq!(net.answers(), 1);
    assert_eq!(net.nodes[&A].office.status(net.at(A)).counts.unprotected, 1);
}

#[test]
fn without_a_lease_nothing_leaves() {
    let directors = [LB, NodeId(20), NodeId(21)];
    let mut net = Net::new(&directors);
    let mut table = first_table();
    table.groups[0].standby = None;
    net.table(&table);
    net.say(call(1), "hello");
    assert_eq!(net.answers(), 0, "no director has granted anything yet");
    net.pass(Duration::from_millis(100), &directors[..1]);
    assert_eq!(net.answers(), 0, "one of three is no majority");
    net.pass(Duration::from_millis(100), &directors[..2]);
    assert_eq!(net.answers(), 1);
    net.pass(Duration::from_millis(400), &[]);
    net.say(call(1), "late");
    assert_eq!(net.answers(), 1, "the lease is over");
}

#[test]
fn steps_without_consequences_are_recorded_later() {
    let (mut net, table) = protected();
    net.say(call(1), "quiet");
    assert_eq!(net.nodes[&B].office.status(net.at(B)).groups[0].machines, 0);
    net.pass(Duration::from_millis(40), &[]);
    assert_eq!(net.nodes[&B].office.status(net.at(B)).groups[0].machines, 1);
    net.kill(A);
    net.table(&moved(&table, false));
    assert_eq!(net.seen_by(B, call(1)), "quiet");
}

#[test]
fn what_has_ended_leaves_no_image() {
    let (mut net, _) = protected();
    net.say(call(1), "hello");
    net.say(call(1), "end");
    net.pass(Duration::from_millis(40), &[]);
    for node in [A, B] {
        assert_eq!(net.nodes[&node].office.status(net.at(node)).groups[0].machines, 0);
    }
    assert_eq!(net.answers(), 2);
}

#[test]
fn replicas_that_differ_are_sent_again() {
    let (mut net, _) = protected();
    net.say(call(1), "hello");
    let before = net.nodes[&A].office.status(net.at(A)).counts.fills;
    // A record is lost that the link should have kept.
    net.cut = vec![(A, B)];
    net.say(call(1), "lost");
    net.cut.clear();
    net.say(call(1), "next");
    net.pass(Duration::from_millis(50), &[]);
    assert_eq!(net.nodes[&A].office.status(net.at(A)).counts.fills, before + 1);
    net.say(call(2), "after");
    net.pass(Duration::from_secs(6), &[]);
    let (a, b) = (net.nodes[&A].office.sums(), net.nodes[&B].office.sums());
    assert_eq!(a, b);
    assert_eq!(net.nodes[&B].office.status(net.at(B)).counts.differences, 0);
}

#[test]
fn a_large_state_crosses_the_link_once() {
    let (mut net, table) = protected();
    let noise: String =
        (0u64..400).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 7) as u8 % 26)).collect();
    for step in ["one", "two", "three", "four"] {
        net.say(call(1), &format!("{noise}{noise}{step}"));
    }
    let bytes = |net: &Net| {
        let records = net.seen.iter().filter_map(|(_, _, parcel)| match parcel {
            Parcel::Record(record) => record.parts.iter().find_map(|part| part.value.as_ref().map(|value| value.len())),
            _ => None,
        });
        records.collect::<Vec<_>>()
    };
    let bytes = bytes(&net);
    assert!(bytes.first().is_some_and(|first| *first > 800), "{bytes:?}");
    assert!(bytes.last().is_some_and(|last| *last < 100), "{bytes:?}");
    net.pass(Duration::from_millis(10), &[]);
    assert_eq!(net.nodes[&A].office.sums(), net.nodes[&B].office.sums());
    net.kill(A);
    net.table(&moved(&table, false));
    assert!(net.seen_by(B, call(1)).ends_with("four"));
}

/// A machine that was fed more than a parcel takes goes without a replica; its neighbours keep theirs.
#[test]
fn a_state_that_is_too_large_harms_nobody_else() {
    let (mut net, table) = protected();
    net.say(call(1), "small");
    net.say(call(2), "small");
    net.say(call(1), &"x".repeat(900_000));
    net.say(call(2), "more");
    net.pass(Duration::from_millis(10), &[]);
    let record_max = net.seen.iter().filter_map(|(_, _, parcel)| match parcel {
        Parcel::Record(record) => {
            record.parts.iter().filter_map(|part| part.value.as_ref().map(|value| value.len())).max()
        }
        _ => None,
    });
    assert!(record_max.max().is_some_and(|bytes| bytes < 1_000));
    assert_eq!(net.nodes[&A].office.sums(), net.nodes[&B].office.sums());
    net.kill(A);
    net.table(&moved(&table, false));
    assert!(net.seen_by(B, call(2)).ends_with("more"));
}
