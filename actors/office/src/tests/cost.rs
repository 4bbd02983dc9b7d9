//! What replication must not cost: an acknowledgement a record, a wake-up a machine, a record for what time does anyway.

use super::*;

/// Numbers of the records that B has got of a call.
fn records(net: &Net, of: Address) -> Vec<u64> {
    let numbers = net.seen.iter().filter_map(|(_, to, parcel)| match parcel {
        Parcel::Record(record) if *to == B && record.address == of && record.number > 0 => Some(record.number),
        _ => None,
    });
    numbers.collect()
}

#[test]
fn records_that_come_together_are_acknowledged_together() {
    let (mut net, _) = protected();
    net.cut = vec![(A, B)];
    let seen = net.seen.len();
    for number in 1..=5 {
        net.say(call(number), "hello");
    }
    let sent: Vec<Parcel> =
        net.seen.split_off(seen).into_iter().filter(|(_, to, _)| *to == B).map(|(_, _, parcel)| parcel).collect();
    let is_record = |parcel: &&Parcel| matches!(parcel, Parcel::Record(_));
    assert_eq!(sent.iter().filter(is_record).count(), 5);
    let last = sent.iter().rev().find_map(|parcel| match parcel {
        Parcel::Record(record) => Some(record.number),
        _ => None,
    });
    net.nodes[&B].office.receive_all(A, &mut sent.clone(), net.at(B));
    let out: Vec<_> = net.wire.lock().unwrap().iter().map(|(from, to, parcel)| (*from, *to, parcel.clone())).collect();
    let ack = Parcel::Ack { group: GroupId(0), epoch: Epoch(1), number: last.unwrap() };
    assert_eq!(out, [(B, A, ack)]);
    net.run();
    assert_eq!(net.answers(), 5, "one is enough for all");
}

#[test]
fn a_record_that_is_missing_is_asked_for_and_nothing_behind_it_is_acknowledged() {
    let (mut net, _) = protected();
    net.cut = vec![(A, B)];
    let seen = net.seen.len();
    for number in 1..=3 {
        net.say(call(number), "hello");
    }
    let sent = net.seen.split_off(seen).into_iter().filter(|(_, to, _)| *to == B).map(|(_, _, parcel)| parcel);
    let mut records: Vec<Parcel> = sent.filter(|parcel| matches!(parcel, Parcel::Record(_))).collect();
    let Parcel::Record(first) = records.remove(0) else { unreachable!("records only") };
    records.remove(0);
    records.insert(0, Parcel::Record(first.clone()));
    net.nodes[&B].office.receive_all(A, &mut records, net.at(B));
    let (group, epoch) = (GroupId(0), Epoch(1));
    let again = Parcel::Again { group, epoch };
    let ack = Parcel::Ack { group, epoch, number: first.number };
    let out: Vec<_> = net.wire.lock().unwrap().iter().map(|(_, _, parcel)| parcel.clone()).collect();
    assert_eq!(out, [again, ack]);
}

#[test]
fn machines_share_the_moment_at_which_quiet_steps_are_recorded() {
    let (mut net, _) = protected();
    while net.now.0 % 20_000 != 5_000 {
        net.pass(Duration::from_millis(5), &[]);
    }
    net.say(call(1), "quiet");
    net.pass(Duration::from_millis(5), &[]);
    net.say(call(2), "quiet");
    net.pass(Duration::from_millis(5), &[]);
    assert_eq!((records(&net, call(1)).len(), records(&net, call(2)).len()), (0, 0));
    net.pass(Duration::from_millis(5), &[]);
    assert_eq!((records(&net, call(1)).len(), records(&net, call(2)).len()), (1, 1));
}

#[test]
fn what_time_alone_does_is_not_recorded_and_happens_again_at_the_next_owner() {
    let (mut net, table) = protected();
    net.say(call(1), "doze");
    net.pass(Duration::from_secs(11), &[]);
    assert_eq!(net.seen_by(A, call(1)), "doze,woke");
    net.pass(Duration::from_millis(4), &[]);
    assert_eq!(records(&net, call(1)).len(), 1, "of the letter");
    net.kill(A);
    net.table(&moved(&table, false));
    net.seen_by(B, call(1));
    net.pass(Duration::from_millis(5), &[]);
    assert_eq!(net.seen_by(B, call(1)), "doze,woke");
}
