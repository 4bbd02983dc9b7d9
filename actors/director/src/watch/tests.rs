use fabric::ownership::Member;

use super::*;
use crate::state::Known;

#[test]
fn who_was_called_silent_gets_no_lease_before_the_leader_knows_better() {
    let mut watch = Watch::new(at(0), SILENCE);
    let decided = decided();
    watch.on_beat(beat(7), &decided, at(10));
    assert!(!watch.grants(&beat(7), &decided), "a director that has just started may have said anything before");
    let report = watch.report(&decided, at(20));
    assert_eq!((report.round, &report.silent[..], &report.heard[..]), (1, &[][..], &[(NODE, 7)][..]));
    watch.on_pardon(&answer(1), 5);
    assert!(watch.grants(&beat(7), &decided));
    assert!(!watch.grants(&beat(8), &decided), "another process");
    assert!(!watch.on_time(&decided, at(362)));
    assert!(watch.on_time(&decided, at(363)), "353 ms after the last beat");
    assert!(!watch.grants(&beat(7), &decided));
    assert_eq!(watch.report(&decided, at(370)).silent, [NODE]);
    // It comes back; an answer to an older report does not count.
    assert!(watch.on_beat(beat(7), &decided, at(400)).for_leader);
    watch.on_pardon(&answer(1), 5);
    watch.on_pardon(&answer(2), 5);
    assert!(!watch.grants(&beat(7), &decided));
    assert_eq!(watch.report(&decided, at(410)).heard, [(NODE, 7)]);
    watch.on_pardon(&answer(3), 5);
    assert!(watch.grants(&beat(7), &decided));
}

#[test]
fn an_answer_that_comes_after_the_next_silence_does_not_count() {
    let mut watch = Watch::new(at(0), SILENCE);
    let decided = decided();
    watch.on_beat(beat(7), &decided, at(10));
    watch.report(&decided, at(20));
    watch.on_time(&decided, at(400));
    watch.on_beat(beat(7), &decided, at(500));
    watch.on_pardon(&answer(1), 5);
    assert!(!watch.grants(&beat(7), &decided));
}

#[test]
fn a_lease_wants_the_table_of_the_pardon_on_both_sides() {
    let mut watch = Watch::new(at(0), SILENCE);
    let mut decided = decided();
    watch.on_beat(beat(7), &decided, at(10));
    watch.report(&decided, at(20));
    watch.on_pardon(&answer(1), 6);
    assert!(!watch.grants(&beat(7), &decided), "the leader knew more than this director does");
    decided.table.version = 6;
    assert!(watch.grants(&beat(7), &decided));
    decided.known[0].since = 6;
    assert!(!watch.grants(&beat(7), &decided), "the node does not know yet what was taken from it");
    assert!(watch.grants(&Beat { version: 6, ..beat(7) }, &decided));
    decided.table.members[0].boot = 9;
    assert!(!watch.grants(&Beat { version: 6, ..beat(7) }, &decided), "the table means another process");
}

#[test]
fn after_a_gap_nobody_is_silent_and_nobody_pardoned() {
    let mut watch = Watch::new(at(0), SILENCE);
    let decided = decided();
    watch.on_beat(beat(7), &decided, at(10));
    watch.report(&decided, at(20));
    watch.on_pardon(&answer(1), 5);
    watch.on_time(&decided, at(400));
    watch.on_gap(at(5_000));
    watch.on_time(&decided, at(5_001));
    let report = watch.report(&decided, at(5_001));
    assert_eq!((&report.silent[..], &report.heard[..]), (&[][..], &[][..]), "nothing is known");
    watch.on_beat(beat(7), &decided, at(5_010));
    assert!(!watch.grants(&beat(7), &decided));
    watch.report(&decided, at(5_020));
    watch.on_pardon(&answer(3), 5);
    assert!(watch.grants(&beat(7), &decided));
}

#[test]
fn beats_of_ended_processes_are_not_heard() {
    let mut watch = Watch::new(at(0), SILENCE);
    let mut decided = decided();
    decided.known[0].old = vec![3];
    assert_eq!(watch.on_beat(beat(3), &decided, at(10)), News::default());
    assert!(watch.report(&decided, at(20)).heard.is_empty());
}

fn decided() -> Decided {
    let mut decided = Decided::default();
    decided.table.version = 5;
    decided.table.members = vec![Member { node: NODE, chassis: 1, up: true, boot: 7 }];
    decided.known = vec![Known { node: NODE, since: 5, old: Vec::new() }];
    decided
}

fn beat(boot: u64) -> Beat {
    Beat { node: NODE, boot, sent: at(0), version: 5, leaving: false, reports: Vec::new() }
}

fn answer(round: u64) -> Silences {
    Silences { round, heard: vec![(NODE, 7)], answer: Some(5), ..Silences::default() }
}

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000)
}

const NODE: NodeId = NodeId(4);
const SILENCE: Duration = Duration::from_millis(353);
