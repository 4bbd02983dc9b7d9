use fabric::Key;
use fabric::letters::record::Party;

use super::*;

fn id(number: u128) -> RecordId {
    RecordId { call: Key(number), init_ms: 1_000, leg: 1 }
}

fn parties(number: u128) -> CallParties {
    CallParties {
        id: id(number),
        call_id: "a".into(),
        callee_call_id: "b".into(),
        source: Party::default(),
        destination: Party::default(),
        dialled: "sip:1002@example.test".into(),
        routed: "sip:bob@127.0.0.1".into(),
        source_ip: "127.0.0.1:5060".into(),
        init_ms: 1_000,
        ring_ms: 1_500,
        start_ms: 2_000,
    }
}

fn stop() -> CallStop {
    CallStop {
        end_ms: 5_000,
        duration_ms: 3_000,
        cause: StopCause::CallerHangup,
        status: 200,
        reason: "OK".into(),
        media: MediaStats::default(),
    }
}

fn ended(number: u128) -> Record {
    Record::Stop { id: id(number), stop: stop() }
}

fn started(number: u128) -> Record {
    Record::Start(parties(number))
}

fn attempt(number: u128) -> Record {
    let parties = CallParties { start_ms: 0, ..parties(number) };
    Record::Attempt { parties, stop: CallStop { status: 486, cause: StopCause::Failed, ..stop() } }
}

#[test]
fn one_record_per_call_however_often_letters_come() {
    let rows: [(&str, Vec<Record>, &[&str]); 7] = [
        ("a call", vec![started(1), ended(1)], &["open", "done"]),
        ("every letter twice", vec![started(1), started(1), ended(1), ended(1)], &["open", "known", "done", "known"]),
        ("start again after the end", vec![started(1), ended(1), started(1)], &["open", "done", "known"]),
        ("an attempt twice", vec![attempt(1), attempt(1)], &["done", "known"]),
        ("the end first", vec![ended(1), started(1), ended(1)], &["open", "done", "known"]),
        ("two calls", vec![started(1), started(2), ended(1), ended(2)], &["open", "open", "done", "done"]),
        ("an end alone", vec![ended(1)], &["open"]),
    ];
    for (name, records, expected) in rows {
        let mut ledger = Ledger::new(10, 10);
        let got: Vec<_> = records
            .into_iter()
            .map(|record| match ledger.apply(record, Origin::default()) {
                Applied::Open => "open",
                Applied::Finished(..) => "done",
                Applied::Repeated | Applied::Owned => "known",
            })
            .collect();
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn lost_calls_end_at_the_last_moment_known() {
    let mut ledger = Ledger::new(10, 10);
    ledger.apply(started(1), Origin::default());
    ledger.apply(started(2), Origin::default());
    ledger.apply(ended(2), Origin::default());
    let lost = ledger.lose(Lose::All, 4_500);
    assert_eq!(lost.len(), 1);
    let cdr = &lost[0].cdr;
    assert_eq!((cdr.stop_cause.as_str(), cdr.duration_ms, cdr.call_status.as_str()), ("lost", 2_500, "ok"));
    assert_eq!(ledger.apply(ended(1), Origin::default()), Applied::Repeated, "a late stop bills nothing twice");
    ledger.apply(started(3), Origin::default());
    assert_eq!(ledger.lose(Lose::All, 100)[0].cdr.duration_ms, 0, "never before its start");
}

#[test]
fn too_many_open_calls_end_the_oldest() {
    let mut ledger = Ledger::new(2, 10);
    for number in 1..=3 {
        ledger.apply(started(number), Origin::default());
    }
    let lost = ledger.lose(Lose::Surplus, 9_000);
    assert_eq!(lost.iter().map(|done| done.id).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(ledger.open(), 2);
}

#[test]
fn a_ledger_built_from_what_is_carried_over_knows_the_same() {
    let mut ledger = Ledger::new(10, 10);
    for record in [started(1), started(2), ended(2), attempt(3), ended(4)] {
        ledger.apply(record, Origin::default());
    }
    let mut next = Ledger::new(10, 10);
    for entry in ledger.carried(&[id(3)].into()) {
        match entry {
            Entry::Exported(ids) => ids.into_iter().for_each(|id| next.remember(id)),
            Entry::Taken(record, origin) => drop(next.apply(*record, origin)),
            other => panic!("{other:?} is carried over"),
        }
    }
    assert!(matches!(next.apply(ended(1), Origin::default()), Applied::Finished(..)), "1 was open");
    assert_eq!(next.apply(ended(2), Origin::default()), Applied::Repeated, "2 was done");
    assert!(matches!(next.apply(attempt(3), Origin::default()), Applied::Finished(..)), "3 was not exported yet");
    assert!(matches!(next.apply(started(4), Origin::default()), Applied::Finished(..)), "4 had its end");
}

#[test]
fn forgets_the_oldest_ids() {
    let mut ledger = Ledger::new(10, 2);
    for number in 1..=3 {
        ledger.apply(attempt(number), Origin::default());
    }
    assert_eq!(ledger.apply(attempt(3), Origin::default()), Applied::Repeated);
    assert!(matches!(ledger.apply(attempt(1), Origin::default()), Applied::Finished(..)));
}

fn copy_of(node: u16) -> Origin {
    Origin { copy_of: Some(NodeId(node)), epoch: 1 }
}

fn done(applied: Applied) -> Finished {
    match applied {
        Applied::Finished(done) => done,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_belongs_to_the_node_that_got_the_end() {
    let own = Origin { copy_of: None, epoch: 2 };
    // start, end: is the record a copy, and is somebody to be told of the end?
    for (start, end, copy, owed) in [
        (own, own, false, 0),
        (own, copy_of(2), true, 0),
        (copy_of(2), copy_of(2), true, 0),
        (copy_of(2), own, false, 1),
    ] {
        let mut ledger = Ledger::new(10, 10);
        ledger.apply(started(1), start);
        let done = done(ledger.apply(ended(1), end));
        assert_eq!((done.copy, done.epoch), (copy, Some(end.epoch)), "{start:?} {end:?}");
        assert_eq!(ledger.owed(None, 10).len(), owed, "{start:?} {end:?}");
        ledger.told(id(1), Some(NodeId(2)));
        assert_eq!(ledger.owed(None, 10), []);
    }
}

#[test]
fn a_new_standby_is_told_of_the_starts_it_lacks() {
    let mut ledger = Ledger::new(10, 10);
    for number in 1..=3 {
        ledger.apply(started(number), Origin::default());
    }
    ledger.apply(started(4), copy_of(2));
    ledger.told(id(1), Some(NodeId(2)));
    let lacks = |ledger: &Ledger, node: u16| {
        let (found, _) = ledger.unknown_starts(None, 10, 10, |_| Some(NodeId(node)));
        found.iter().map(|(record, _)| id_of(record)).collect::<Vec<_>>()
    };
    assert_eq!(lacks(&ledger, 2), [id(2), id(3)]);
    assert_eq!(lacks(&ledger, 3), [id(1), id(2), id(3), id(4)]);
    let (found, next) = ledger.unknown_starts(None, 1, 10, |_| Some(NodeId(3)));
    assert_eq!((found.len(), next), (1, Some(id(1))), "goes on where it stopped");
    assert_eq!(ledger.unknown_starts(next, 10, 10, |_| None), (Vec::new(), None), "without a standby nobody is told");
}

#[test]
fn what_a_restart_found_open_is_lost_only_when_it_is_old() {
    let mut ledger = Ledger::new(10, 10);
    ledger.apply(started(1), Origin::default());
    ledger.apply(started(2), copy_of(2));
    ledger.stale(4_500);
    ledger.apply(started(3), Origin::default());
    assert_eq!(ledger.lose_old(2_000), []);
    let lost = ledger.lose_old(2_001);
    let found: Vec<_> = lost.iter().map(|done| (done.id, done.copy, done.epoch, done.cdr.duration_ms)).collect();
    assert_eq!(found, [(id(1), false, None, 2_500), (id(2), true, None, 0)], "3 is a call of this process");
}

#[test]
fn what_another_node_is_owed_is_carried_over() {
    let mut ledger = Ledger::new(10, 10);
    ledger.apply(started(1), copy_of(2));
    ledger.apply(ended(1), Origin::default());
    let carried = ledger.carried(&BTreeSet::new());
    assert!(carried.contains(&Entry::Untold(id(1), Box::new(stop()))), "{carried:?}");
}
