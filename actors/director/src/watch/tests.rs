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

#[test]
fn who_is_shut_out_rests_when_nothing_that_was_granted_can_count() {
    let mut watch = Watch::new(at(0), SILENCE);
    let mut decided = decided();
    watch.on_beat(beat(7), &decided, at(10));
    watch.report(&decided, at(20));
    watch.on_pardon(&answer(1), 5);
    let granted = Beat { sent: at(40), ..beat(7) };
    assert!(watch.grants(&granted, &decided));
    watch.on_granted(&granted, at(50));
    watch.on_beat(granted, &decided, at(50));
    // The table shuts it out.
    decided.table.members[0].up = false;
    (decided.table.version, decided.known[0].since) = (6, 6);
    let next = |sent| Beat { sent: at(sent), version: 6, ..beat(7) };
    assert!(!watch.grants(&next(60), &decided), "nothing more is granted");
    let out = decided.clone();
    let resting = |watch: &Watch, now| watch.divides(&out, at(now)).resting;
    watch.on_beat(next(60), &decided, at(70));
    assert_eq!(resting(&watch, 70), [], "it says nothing about its lease");
    watch.on_hearing(hearing(90, Some(at(40))));
    watch.on_beat(next(90), &decided, at(100));
    assert_eq!(resting(&watch, 100), [], "it may still get what was granted to that beat");
    watch.on_hearing(hearing(110, Some(at(101))));
    assert!(watch.on_beat(next(110), &decided, at(120)).for_leader);
    assert_eq!(resting(&watch, 120), [NODE]);
    assert_eq!(watch.divides(&decided, at(120)).version, 6);
    // One that cannot say so rests when the last grant is older than a lease.
    watch.on_beat(next(130), &decided, at(140));
    assert_eq!(resting(&watch, 140), []);
    for ms in (150..=410).step_by(20) {
        watch.on_beat(next(ms), &decided, at(ms));
    }
    assert_eq!(resting(&watch, 402), []);
    assert_eq!(resting(&watch, 403), [NODE], "353 ms after it");
    decided.table.members[0].up = true;
    assert_eq!(watch.divides(&decided, at(403)).resting, [], "one that is up never rests");
}

#[test]
fn a_director_that_started_again_counts_all_as_granted_that_came_before() {
    let mut watch = Watch::new(at(1_000), SILENCE);
    let mut decided = decided();
    decided.table.members[0].up = false;
    watch.on_hearing(hearing(1_005, Some(at(990))));
    watch.on_beat(Beat { sent: at(1_005), ..beat(7) }, &decided, at(1_010));
    assert_eq!(watch.divides(&decided, at(1_010)).resting, [], "the process before may have granted the last beat");
    watch.on_hearing(hearing(1_055, Some(at(1_030))));
    watch.on_beat(Beat { sent: at(1_055), ..beat(7) }, &decided, at(1_060));
    assert_eq!(watch.divides(&decided, at(1_060)).resting, [NODE]);
}

#[test]
fn only_of_two_that_are_heard_it_is_said_that_they_are_apart() {
    let mut watch = Watch::new(at(0), SILENCE);
    let mut decided = decided();
    let other = NodeId(5);
    decided.table.members.push(Member { node: other, chassis: 2, up: true, boot: 9 });
    decided.known.push(Known { node: other, since: 5, old: Vec::new() });
    let from = |node, sent: u64| Beat { node, sent: at(sent), ..beat(if node == other { 9 } else { 7 }) };
    watch.on_beat(from(other, 0), &decided, at(5));
    watch.on_hearing(Hearing { deaf: vec![other, NodeId(77)], ..hearing(10, None) });
    assert!(watch.on_beat(from(NODE, 10), &decided, at(15)).for_leader);
    assert_eq!(watch.divides(&decided, at(20)).apart, [(NODE, other)]);
    assert_eq!(watch.divides(&decided, at(130)).apart, [], "the other one is late: it may be dead");
    // A hearing that belongs to another beat says nothing.
    watch.on_hearing(Hearing { deaf: vec![other], ..hearing(10, None) });
    watch.on_beat(from(NODE, 60), &decided, at(65));
    watch.on_beat(from(other, 60), &decided, at(65));
    assert_eq!(watch.divides(&decided, at(70)).apart, []);
}

#[test]
fn who_is_heard_and_has_no_lease_is_idle_after_a_while() {
    let mut watch = Watch::new(at(0), SILENCE);
    let decided = decided();
    for ms in (0..=200).step_by(50) {
        watch.on_hearing(hearing(ms, Some(at(0))));
        let beat = Beat { sent: at(ms), ..beat(7) };
        // The first of them is not granted: no wonder that it has no lease.
        if ms > 0 {
            watch.on_granted(&beat, at(ms));
        }
        watch.on_beat(beat, &decided, at(ms));
        assert_eq!(!watch.divides(&decided, at(ms)).idle.is_empty(), ms >= 200, "{ms}");
    }
    watch.on_beat(Beat { sent: at(250), ..beat(7) }, &decided, at(250));
    assert_eq!(watch.divides(&decided, at(250)).idle, []);
}

fn hearing(sent: u64, rests: Option<Instant>) -> Hearing {
    Hearing { node: NODE, boot: 7, sent: at(sent), deaf: Vec::new(), rests }
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
