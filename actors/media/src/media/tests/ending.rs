//! The end of a session: it is told in time, and the relay gets its ports back.

use super::*;
use FaultKind::{Refused, Timeout, Unavailable};

#[test]
fn a_dead_relay_does_not_hold_up_the_end() {
    let mut b = bench().answered();
    assert_eq!(b.ask(MediaAsk::End), ["m2 Delete/0 t0>all"]);
    assert_eq!(b.fault(Timeout), no_lines(), "tried again");
    let seen = b.pass(1_500);
    assert_eq!(seen, ["1000 m2 Delete/0 t0>all", "1500 3 ended None/0"], "by the deadline, without statistics");
    assert!(!b.media.is_idle());
    // Deleted in the end; nobody is told twice.
    assert_eq!(b.done(2), no_lines());
    assert!(b.media.is_idle());
}

#[test]
fn deletion_is_tried_until_it_is_too_old() {
    let mut b = bench().answered();
    b.ask(MediaAsk::End);
    b.fault(Unavailable);
    let mut tries = 1;
    for _ in 0..2_000 {
        if b.media.is_idle() {
            break;
        }
        if b.pass(100).iter().any(|line| line.contains("Delete")) {
            tries += 1;
            b.fault(Unavailable);
        }
    }
    assert!(b.media.is_idle());
    assert!((10..=14).contains(&tries), "{tries}");
    let age = b.now.instant.since(b.start);
    assert!(age >= Duration::from_secs(120) && age < Duration::from_secs(140), "{age:?}");
}

#[test]
fn a_relay_that_has_forgotten_the_session_is_as_good_as_done() {
    let mut b = bench().answered();
    b.ask(MediaAsk::End);
    assert_eq!(b.fault(Refused), ["3 ended None/0"]);
    assert!(b.media.is_idle());
}

#[test]
fn the_end_waits_for_the_command_under_way() {
    let mut b = bench();
    b.ask(offer(0, 1));
    b.ask(offer(0, 2));
    assert_eq!(b.ask(MediaAsk::End), ["2 Refused media session has ended"], "what waited is sent back");
    assert_eq!(b.done(2), ["1 sdp new", "m2 Delete/0 t0>all"], "the session that was being opened is deleted");
    assert_eq!(b.done(2), ["3 ended Some(\"m2\")/1"]);
    assert!(b.media.is_idle());
    // The same when it fails.
    let mut b = bench();
    b.ask(offer(0, 1));
    assert_eq!(b.ask(MediaAsk::End), no_lines());
    assert_eq!(b.fault(Timeout), ["1 Timeout test", "2 ended None/0"]);
    // And when it never comes back.
    let mut b = bench();
    b.ask(offer(0, 1));
    b.ask(MediaAsk::End);
    assert_eq!(b.pass(5_000), ["1500 2 ended None/0", "3000 1 Timeout media relay"]);
}

#[test]
fn after_the_end_nothing_begins() {
    let mut b = bench().answered();
    b.ask(MediaAsk::End);
    assert_eq!(b.ask(offer(0, 1)), ["4 Refused media session has ended"]);
    assert_eq!(b.ask(MediaAsk::Drop { leg: 1 }), ["5 Dropped"]);
    assert_eq!(b.ask(MediaAsk::End), no_lines());
    assert_eq!(b.done(2), ["3 ended Some(\"m2\")/1", "6 ended Some(\"m2\")/1"]);
}

#[test]
fn an_end_out_of_the_blue_looks_for_a_session_that_was_lost() {
    let mut b = bench();
    assert_eq!(b.ask(MediaAsk::End), ["1 ended None/0", "any Delete/0 >all"]);
    assert_eq!(b.fault(Refused), no_lines());
    assert!(b.media.is_idle());
}

#[test]
fn when_all_legs_are_dropped_nobody_needs_to_say_end() {
    let mut b = bench().answered();
    assert_eq!(b.ask(MediaAsk::Drop { leg: 1 }), ["3 Dropped", "m2 Delete/0 t0>t1"]);
    b.done(2);
    b.ask(offer(0, 2));
    assert_eq!(b.ask(MediaAsk::Drop { leg: 0 }), no_lines());
    assert_eq!(b.ask(MediaAsk::Drop { leg: 2 }), no_lines());
    assert_eq!(b.ask(offer(0, 3)), no_lines());
    assert_eq!(b.done(2), ["4 sdp new", "5 Dropped", "m2 Delete/0 t2>t0"]);
    assert_eq!(b.done(2), ["6 Dropped", "7 Refused media session has ended", "m2 Delete/0 t2>all"]);
    b.done(2);
    assert!(b.media.is_idle());
}

/// A call that died says nothing: its session goes by its age.
#[test]
fn forgotten_sessions_go_by_themselves() {
    let mut b = bench();
    b.ask(offer(0, 1));
    b.done(2);
    assert_eq!(b.pass(299_999), no_lines());
    assert_eq!(b.pass(1), ["300000 m2 Delete/0 t0>all"], "never answered");
    assert_eq!(b.done(2), no_lines());
    assert!(b.media.is_idle());

    let mut b = bench().answered();
    assert_eq!(b.pass(21_999_999), no_lines());
    assert_eq!(b.pass(1), ["22000000 m2 Delete/0 t0>all"], "past the longest call");

    let mut b = bench();
    b.ask(offer(0, 1));
    b.fault(Unavailable);
    assert_eq!(b.pass(300_000), no_lines());
    assert!(b.media.is_idle(), "nothing to delete");
}

#[test]
fn a_lost_relay_and_the_end_at_once() {
    let mut b = bench().answered();
    b.ask(offer(1, 0));
    b.fault(Timeout); // tried anew, the old session being deleted
    assert_eq!(b.ask(MediaAsk::End), no_lines(), "the new offer is under way");
    let (delete_old, old) = b.sent[b.sent.len() - 1].clone();
    let (thread, ask) = b.sent[b.sent.len() - 2].clone();
    assert_eq!(b.done_on(thread, &ask, 5), ["3 sdp new", "m5 Delete/1 t0>all"]);
    let (delete_new, ask) = b.sent.last().unwrap().clone();
    assert_eq!(b.done_on(delete_new, &ask, 5), ["4 ended Some(\"m5\")/1"]);
    assert!(!b.media.is_idle(), "the old one is still to be deleted");
    assert_eq!(old.relay, Some(2));
    b.done_on(delete_old, &old, 2);
    assert!(b.media.is_idle());
}

#[test]
fn the_callers_streams_stand_first_in_the_statistics() {
    // A delayed offer: the callee's description came first, so the relay was told its tag first.
    let mut b = bench();
    b.ask(offer(1, 0));
    b.done(2);
    b.ask(reply(0, 1));
    b.done(2);
    let mail = Envelope::ask(CALL, b.out.me(), Thread(9), Letter::MediaAsk(Box::new(MediaAsk::End)));
    b.handle(mail);
    let thread = b.sent.last().expect("a command").0;
    let stream = |tag: &str, packets| StreamStats { tag: tag.into(), packets, ..StreamStats::default() };
    let streams = vec![stream("t1", 1), stream("t0", 2), stream("t1", 3), stream("t0", 4)];
    let stats = Some(MediaStats { relay: Some("m2".into()), streams });
    let answer = Letter::RelayDone(Box::new(RelayDone { relay: 2, sdp: Bytes::new(), stats }));
    let mail = Envelope::ask(Address::Anchor(NodeId(1), 0), b.out.me(), thread, answer);
    b.step(Some(mail));
    let packets = b.out.take().into_iter().find_map(|envelope| match envelope.letter {
        Letter::MediaDone(done) => match *done {
            MediaDone::Ended(stats) => Some(stats.streams.iter().map(|stream| stream.packets).collect::<Vec<_>>()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(packets, Some(vec![2, 4, 1, 3]));
}
