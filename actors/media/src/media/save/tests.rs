use fabric::Machine;
use fabric::hash::hash64;
use fabric::letters::media::MediaAsk;

use super::super::tests::{bench, offer, reply};
use super::*;

/// An answered session as version 1 wrote it.
const ANSWERED: &[u8] = include_bytes!("answered.v1");

#[test]
fn bytes_of_version_1_restore() {
    let b = bench().answered();
    println!("state of a media session: {} bytes", b.replica.len());
    if b.replica != ANSWERED {
        let at = std::env::temp_dir().join("answered.v1");
        std::fs::write(&at, &*b.replica).expect("a writable directory");
        panic!("the state has changed: raise VERSION and keep both, the new one is {}", at.display());
    }
    let restored = Media::restore(&b.home, Key(7), b.media.settings.clone(), ANSWERED).expect("readable");
    assert_eq!(restored.describe(), b.media.describe());
}

#[test]
fn other_versions_and_damaged_bytes_are_refused() {
    let mut b = bench().answered();
    b.ask(offer(1, 0));
    b.ask(MediaAsk::End);
    let restore = |bytes: &[u8]| Media::restore(&b.home, Key(7), b.media.settings.clone(), bytes);
    let mut other = b.replica.to_vec();
    other[0] = 2;
    assert!(restore(&other).is_none());
    for length in 0..b.replica.len() {
        assert!(restore(&b.replica[..length]).is_none(), "cut at {length}");
    }
    for round in 0..20_000u64 {
        let chance = hash64(b"damaged bytes   ", &[&round.to_be_bytes()]) as usize;
        let mut damaged = b.replica.to_vec();
        damaged[1 + chance % (b.replica.len() - 1)] ^= (chance >> 32) as u8 | 1;
        let _ = restore(&damaged);
    }
}

#[test]
fn what_is_asked_twice_is_done_once() {
    let mut b = bench();
    let again = |b: &mut super::super::tests::Bench, ask| {
        b.thread -= 1;
        b.ask(ask)
    };
    assert_eq!(b.ask(offer(0, 1)), ["any Offer/0 t0>t1"]);
    assert!(again(&mut b, offer(0, 1)).is_empty(), "it is under way");
    assert_eq!(b.done(2), ["1 sdp new"]);
    assert_eq!(again(&mut b, offer(0, 1)), ["m2 Offer/0 t0>t1"], "its answer was lost: the relay says the same again");
    assert_eq!(b.done(2), ["1 sdp new"]);
    assert_eq!(b.ask(reply(1, 0)), ["m2 Answer/0 t0>t1"]);
    assert!(again(&mut b, reply(1, 0)).is_empty());
    assert_eq!(b.done(2), ["2 sdp new"]);
    assert_eq!(again(&mut b, reply(1, 0)), ["m2 Answer/0 t0>t1"]);
    assert_eq!(b.done(2), ["2 sdp new"]);
    assert_eq!(b.ask(MediaAsk::Drop { leg: 1 }), ["3 Dropped", "m2 Delete/0 t0>t1"]);
    assert!(again(&mut b, MediaAsk::Drop { leg: 1 }).is_empty());
    assert_eq!(b.done(2), ["3 Dropped"], "when its turn comes");
    assert_eq!(b.ask(MediaAsk::End), ["m2 Delete/0 t0>all"]);
    assert!(again(&mut b, MediaAsk::End).is_empty());
    assert_eq!(b.ask(MediaAsk::Drop { leg: 0 }), ["5 Dropped"]);
    b.thread = 4;
    assert_eq!(b.done(2), ["4 ended Some(\"m2\")/1"], "one answer");
    assert!(b.media.is_idle());
}

/// The node that had the anchor is gone with it: the session is made again where the new owner lives.
#[test]
fn the_anchor_of_the_new_owner_takes_over() {
    use fabric::{Address, Envelope, Fault, FaultKind, Letter, NodeId, Now, Outbox, Thread};
    let b = bench().answered();
    let home = Home::new(NodeId(2), [9; 16], 1);
    let mut media = Media::restore(&home, Key(7), b.media.settings.clone(), &b.replica).expect("readable");
    let (me, call) = (Address::Media(Key(7)), Address::Call(Key(7)));
    let mut step = |mail: Envelope| {
        let mut out = Outbox::new(me);
        media.handle(mail, Now { instant: Instant(2_000_000), unix_ms: 0 }, &mut out);
        out.take()
    };
    let mut posted = step(Envelope::ask(call, me, Thread(3), Letter::MediaAsk(Box::new(offer(0, 1)))));
    let ask = posted.pop().expect("a command");
    assert_eq!(ask.to, Address::Anchor(NodeId(1), 0), "it may still be there");
    let posted = step(ask.answer(Letter::Returned(Fault::new(FaultKind::Unavailable, "no such node"))));
    let to: Vec<_> = posted.iter().map(|envelope| (envelope.to, envelope.letter.kind())).collect();
    let both = [(Address::Anchor(NodeId(2), 0), "relay_ask"), (Address::Anchor(NodeId(1), 0), "relay_ask")];
    assert_eq!(to, both, "a new session there, and the old one deleted");
}
