//! Relays that cannot be had, are lost, or answer too late.

use super::*;
use FaultKind::{Overload, Refused, Timeout, Unavailable};

/// The first offer fails: whether the call goes on without a relay is its own policy, and either works.
#[test]
fn no_relay_from_the_start() {
    for kind in [Unavailable, Timeout, Overload] {
        let mut b = bench();
        b.ask(offer(0, 1));
        assert_eq!(b.fault(kind), [format!("1 {kind:?} test")]);
        assert!(!b.media.is_idle(), "it remembers that the offer was passed as it was");
        assert_eq!(b.ask(reply(1, 0)), ["2 Unanchored"]);
        assert_eq!(b.ask(reply(1, 0)), ["3 Unanchored"]);
        assert_eq!(b.ask(MediaAsk::End), ["4 ended None/0"]);
        assert!(b.media.is_idle());
    }
    let mut b = bench();
    b.ask(offer(0, 1));
    assert_eq!(b.fault(Refused), ["1 Refused test"]);
    assert!(b.media.is_idle(), "a bad description leaves nothing");
}

#[test]
fn a_relay_may_be_had_by_the_next_offer() {
    let mut b = bench();
    b.ask(offer(0, 1));
    b.fault(Unavailable);
    b.ask(reply(1, 0));
    assert_eq!(b.ask(offer(1, 0)), ["any Offer/1 t1>t0"], "under another call-id: the first may stand somewhere");
    assert_eq!(b.done(3), ["3 sdp new"]);
    assert_eq!(b.ask(reply(0, 1)), ["m3 Answer/1 t1>t0"]);
}

#[test]
fn a_lost_relay_is_replaced_by_the_next_offer() {
    for kind in [Unavailable, Timeout] {
        let mut b = bench().answered();
        assert_eq!(b.ask(offer(1, 0)), ["m2 Offer/0 t1>t0"]);
        let seen = b.fault(kind);
        assert_eq!(seen, ["any Offer/1 t1>t0", "m2 Delete/0 >all"], "anew, and the old session is deleted");
        let (thread, ask) = b.sent[b.sent.len() - 2].clone();
        assert_eq!(b.done_on(thread, &ask, 5), ["3 sdp new"]);
        assert_eq!(b.ask(reply(0, 1)), ["m5 Answer/1 t1>t0"]);
    }
}

#[test]
fn a_lost_relay_without_another_leaves_the_call_as_it_is() {
    let mut b = bench().answered();
    b.ask(offer(1, 0));
    b.fault(Timeout);
    let (thread, _) = b.sent[b.sent.len() - 2].clone();
    let seen = b.answer(thread, Letter::Returned(Fault::unavailable("none")));
    assert_eq!(seen, ["3 Unavailable none"], "tried once more, not for ever");
    assert_eq!(b.ask(reply(0, 1)), ["4 Unanchored"]);
    assert_eq!(b.ask(offer(0, 1)), ["any Offer/2 t0>t1"]);
}

#[test]
fn a_relay_without_room_for_a_new_offer_keeps_the_session() {
    for kind in [Overload, Refused] {
        let mut b = bench().answered();
        b.ask(offer(1, 0));
        assert_eq!(b.fault(kind), [format!("3 {kind:?} test")]);
        assert_eq!(b.ask(MediaAsk::End), ["m2 Delete/0 t0>all"]);
    }
}

#[test]
fn a_relay_lost_between_offer_and_answer() {
    let mut b = bench();
    b.ask(offer(0, 1));
    b.done(2);
    b.ask(reply(1, 0));
    // Another relay hears the offer once more, and then the answer.
    assert_eq!(b.fault(Timeout), ["any Offer/1 t0>t1", "m2 Delete/0 >all"]);
    // A refused answer loses nothing.
    let mut b = bench();
    b.ask(offer(0, 1));
    b.done(2);
    b.ask(reply(1, 0));
    assert_eq!(b.fault(Refused), ["2 Refused test"]);
    assert_eq!(b.ask(reply(1, 0)), ["m2 Answer/0 t0>t1"]);
}

#[test]
fn a_dropped_leg_that_cannot_be_deleted_goes_with_the_rest() {
    for kind in [Unavailable, Timeout, Refused] {
        let mut b = bench().answered();
        assert_eq!(b.ask(offer(0, 2)), ["m2 Offer/0 t0>t2"]);
        b.done(2);
        assert_eq!(b.ask(MediaAsk::Drop { leg: 2 }), ["4 Dropped", "m2 Delete/0 t0>t2"]);
        assert_eq!(b.fault(kind), no_lines());
        assert_eq!(b.ask(MediaAsk::End), ["m2 Delete/0 t0>all"]);
    }
}

/// The anchor itself says nothing (its letter was lost): each ask still ends.
#[test]
fn an_anchor_that_says_nothing() {
    let mut b = bench();
    b.ask(offer(0, 1));
    b.ask(offer(0, 2));
    let seen = b.pass(10_000);
    assert_eq!(seen, ["3000 1 Timeout media relay", "3000 any Offer/1 t0>t2", "6000 2 Timeout media relay"]);
}

#[test]
fn an_ask_that_waited_too_long_is_not_begun() {
    let mut b = bench();
    for leg in 1..=3 {
        b.ask(offer(0, leg));
    }
    let seen = b.pass(10_000);
    assert_eq!(
        seen,
        [
            "3000 1 Timeout media relay",
            "3000 any Offer/1 t0>t2",
            "6000 2 Timeout media relay",
            "6000 3 Timeout media session: waited too long"
        ]
    );
}

#[test]
fn a_session_that_opens_too_late_is_deleted() {
    let mut b = bench();
    b.ask(offer(0, 1));
    b.pass(3_000);
    let (thread, ask) = b.sent[0].clone();
    assert_eq!(b.done_on(thread, &ask, 2), ["m2 Delete/0 >all"]);
    // The present session is not, whoever repeats its answer.
    let mut b = bench().answered();
    let (thread, ask) = b.sent[0].clone();
    assert_eq!(b.done_on(thread, &ask, 2), no_lines());
    assert_eq!(b.answer(Thread(77), Letter::Returned(Fault::timeout("x"))), no_lines());
}

#[test]
fn letters_for_others_change_nothing() {
    let mut b = bench().answered();
    assert_eq!(b.answer(Thread(1), Letter::Kept), no_lines());
    assert_eq!(b.answer(Thread(1), Letter::Names(vec![])), no_lines());
    assert_eq!(b.ask(MediaAsk::Drop { leg: 9 }), ["3 Dropped"], "a leg nobody knows");
}

#[test]
fn an_answer_that_finds_its_relay_gone_is_told_to_another_with_its_offer() {
    for kind in [Unavailable, Timeout] {
        let mut b = bench();
        b.ask(offer(0, 1));
        b.done(2);
        assert_eq!(b.ask(reply(1, 0)), ["m2 Answer/0 t0>t1"]);
        let seen = b.fault(kind);
        assert_eq!(seen, ["any Offer/1 t0>t1", "m2 Delete/0 >all"], "the offer again, elsewhere");
        let (thread, ask) = b.sent[b.sent.len() - 2].clone();
        assert_eq!(b.done_on(thread, &ask, 5), ["m5 Answer/1 t0>t1"], "nobody waits for the offer");
        let (thread, ask) = b.sent.last().expect("the answer").clone();
        assert_eq!(b.done_on(thread, &ask, 5), ["2 sdp new"]);
    }
}

/// Two anchors may be lost at once: the chassis of one, and the rtpengine of another.
#[test]
fn an_offer_is_tried_at_every_anchor() {
    for (anchors, tries) in [(1, 1), (2, 2), (4, 4), (20, 8)] {
        let mut b = bench_with(|settings| settings.anchors = (1..=anchors).collect());
        let mut asked = Vec::new();
        b.thread += 1;
        let mail = Envelope::ask(CALL, b.out.me(), Thread(b.thread), Letter::MediaAsk(Box::new(offer(0, 1))));
        b.step(Some(mail));
        loop {
            let mail = b.out.take();
            let ask = mail.iter().find(|mail| matches!(mail.letter, Letter::RelayAsk(_)));
            let Some(ask) = ask else {
                assert!(
                    matches!(&mail[..], [one] if matches!(&one.letter, Letter::Returned(fault) if fault.kind == Unavailable))
                );
                break;
            };
            assert!(mail.len() == 1 && !asked.contains(&ask.to), "{mail:?}");
            asked.push(ask.to);
            let back = ask.answer(Letter::Returned(Fault::unavailable("its node is down")));
            b.step(Some(back));
        }
        assert_eq!(asked.len(), tries, "of {anchors} anchors");
    }
}

/// A session that opens after it was given up is deleted where it is, not where the call has gone since.
#[test]
fn a_session_that_opens_too_late_is_deleted_at_its_own_anchor() {
    let mut b = bench_with(|settings| settings.anchors = vec![1, 2]);
    let mail = Envelope::ask(CALL, b.out.me(), Thread(1), Letter::MediaAsk(Box::new(offer(0, 1))));
    b.step(Some(mail));
    let first = b.out.take().remove(0);
    b.step(Some(first.answer(Letter::Returned(Fault::timeout("slow")))));
    let second = b.out.take().remove(0);
    assert_ne!(first.to, second.to);
    let late = RelayDone { relay: 3, sdp: Bytes::from_static(b"late"), stats: None };
    b.step(Some(first.answer(Letter::RelayDone(Box::new(late)))));
    let mail = b.out.take();
    let [delete] = &mail[..] else { panic!("{mail:?}") };
    let Letter::RelayAsk(ask) = &delete.letter else { panic!("{delete:?}") };
    assert_eq!((delete.to, ask.verb, ask.relay), (first.to, RelayVerb::Delete, Some(3)));
}
