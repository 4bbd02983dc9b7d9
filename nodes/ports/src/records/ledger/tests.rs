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
            .map(|record| match ledger.apply(record) {
                Applied::Open => "open",
                Applied::Finished(..) => "done",
                Applied::Repeated => "known",
            })
            .collect();
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn lost_calls_end_at_the_last_moment_known() {
    let mut ledger = Ledger::new(10, 10);
    ledger.apply(started(1));
    ledger.apply(started(2));
    ledger.apply(ended(2));
    let lost = ledger.lose(true, 4_500);
    assert_eq!(lost.len(), 1);
    let cdr = &lost[0].1;
    assert_eq!((cdr.stop_cause.as_str(), cdr.duration_ms, cdr.call_status.as_str()), ("lost", 2_500, "ok"));
    assert_eq!(ledger.apply(ended(1)), Applied::Repeated, "a late stop bills nothing twice");
    ledger.apply(started(3));
    assert_eq!(ledger.lose(true, 100)[0].1.duration_ms, 0, "never before its start");
}

#[test]
fn too_many_open_calls_end_the_oldest() {
    let mut ledger = Ledger::new(2, 10);
    for number in 1..=3 {
        ledger.apply(started(number));
    }
    let lost = ledger.lose(false, 9_000);
    assert_eq!(lost.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(ledger.open(), 2);
}

#[test]
fn a_ledger_built_from_what_is_carried_over_knows_the_same() {
    let mut ledger = Ledger::new(10, 10);
    for record in [started(1), started(2), ended(2), attempt(3), ended(4)] {
        ledger.apply(record);
    }
    let mut next = Ledger::new(10, 10);
    for entry in ledger.carried(&[id(3)].into()) {
        match entry {
            Entry::Exported(ids) => ids.into_iter().for_each(|id| next.remember(id)),
            Entry::Record(record) => drop(next.apply(*record)),
            Entry::Alive(_) => panic!("nothing is carried over but records"),
        }
    }
    assert!(matches!(next.apply(ended(1)), Applied::Finished(..)), "1 was open");
    assert_eq!(next.apply(ended(2)), Applied::Repeated, "2 was done");
    assert!(matches!(next.apply(attempt(3)), Applied::Finished(..)), "3 was not exported yet");
    assert!(matches!(next.apply(started(4)), Applied::Finished(..)), "4 had its end");
}

#[test]
fn forgets_the_oldest_ids() {
    let mut ledger = Ledger::new(10, 2);
    for number in 1..=3 {
        ledger.apply(attempt(number));
    }
    assert_eq!(ledger.apply(attempt(3)), Applied::Repeated);
    assert!(matches!(ledger.apply(attempt(1)), Applied::Finished(..)));
}
