//! What a call does with its media when nothing fails.

use super::*;

#[test]
fn a_call_from_offer_to_end() {
    let mut b = bench().answered();
    assert!(b.media.is_quiet() && !b.media.is_idle());
    assert_eq!(b.ask(MediaAsk::End), ["m2 Delete/0 t0>all"]);
    assert_eq!(b.done(2), ["3 ended Some(\"m2\")/1"]);
    assert!(b.media.is_idle());
    assert_eq!(b.media.deadline(), None);
}

#[test]
fn the_relay_gets_what_was_prepared() {
    let mut b = bench();
    let mut from = profile(0);
    from.nat = true;
    b.ask(MediaAsk::Offer { from_leg: 0, to_leg: 1, sdp: sdp(1), from_profile: from, to_profile: profile(1) });
    let ask = &b.sent[0].1;
    assert_eq!(ask.sdp, sdp(1));
    assert!(ask.call_id.starts_with(&Key(7).to_string()));
    assert!(ask.flags.contains(&"SIP-source-address".to_owned()));
    assert_eq!(ask.replace, ["origin", "session-connection"]);
}

/// Each branch has its own offer and tag; only the winner's answer is the last.
#[test]
fn a_forked_call() {
    let mut b = bench();
    assert_eq!(b.ask(offer(0, 1)), ["any Offer/0 t0>t1"]);
    assert_eq!(b.ask(offer(0, 2)), no_lines(), "waits until the relay is known");
    assert_eq!(b.ask(offer(0, 3)), no_lines());
    assert_eq!(b.done(2), ["1 sdp new", "m2 Offer/0 t0>t2"]);
    assert_eq!(b.done(2), ["2 sdp new", "m2 Offer/0 t0>t3"]);
    assert_eq!(b.done(2), ["3 sdp new"]);
    assert_eq!(b.ask(reply(3, 0)), ["m2 Answer/0 t0>t3"], "early media");
    b.done(2);
    assert_eq!(b.ask(reply(2, 0)), ["m2 Answer/0 t0>t2"], "the winner");
    assert_eq!(b.done(2), ["5 sdp new"]);
    assert_eq!(b.ask(MediaAsk::Drop { leg: 1 }), ["6 Dropped", "m2 Delete/0 t0>t1"]);
    assert_eq!(b.ask(MediaAsk::Drop { leg: 3 }), no_lines());
    assert_eq!(b.done(2), ["7 Dropped", "m2 Delete/0 t0>t3"]);
    assert_eq!(b.done(2), no_lines());
    assert_eq!(b.ask(reply(1, 0)), ["8 Refused media: an answer without an offer"]);
    assert_eq!(b.ask(reply(2, 0)), ["m2 Answer/0 t0>t2"], "the winner may answer again");
}

#[test]
fn the_next_target_after_a_busy_one() {
    let mut b = bench();
    b.ask(offer(0, 1));
    b.done(2);
    assert_eq!(b.ask(MediaAsk::Drop { leg: 1 }), ["2 Dropped", "m2 Delete/0 t0>t1"]);
    b.done(2);
    assert_eq!(b.ask(offer(0, 2)), ["m2 Offer/0 t0>t2"]);
    assert_eq!(b.done(2), ["3 sdp new"]);
}

#[test]
fn a_new_offer_from_either_side_keeps_tags_and_relay() {
    let mut b = bench().answered();
    assert_eq!(b.ask(offer(0, 1)), ["m2 Offer/0 t0>t1"]);
    b.done(2);
    assert_eq!(b.ask(reply(1, 0)), ["m2 Answer/0 t0>t1"]);
    b.done(2);
    assert_eq!(b.ask(offer(1, 0)), ["m2 Offer/0 t1>t0"]);
    b.done(2);
    assert_eq!(b.ask(reply(1, 0)), ["6 Refused media: an answer without an offer"], "its own offer");
    assert_eq!(b.ask(reply(0, 1)), ["m2 Answer/0 t1>t0"]);
    b.done(2);
    let mut changed = profile(1);
    changed.tag = "other".into();
    let ask = MediaAsk::Offer { from_leg: 0, to_leg: 1, sdp: sdp(1), from_profile: profile(0), to_profile: changed };
    assert_eq!(b.ask(ask), ["m2 Offer/0 t0>t1"], "the first tag stays");
}

#[test]
fn legs_with_the_same_tag_are_kept_apart() {
    let ask = |from_profile: MediaProfile| MediaAsk::Offer {
        from_leg: 0,
        to_leg: 1,
        sdp: sdp(1),
        to_profile: from_profile.clone(),
        from_profile,
    };
    assert_eq!(bench().ask(ask(profile(0))), ["any Offer/0 t0>t0-leg1"]);
    let empty = MediaProfile { tag: String::new(), ..profile(0) };
    assert_eq!(bench().ask(ask(empty)), ["any Offer/0 -leg0>-leg1"]);
}

/// What is refused without asking a relay.
#[test]
fn descriptions_that_go_nowhere() {
    let with = |body: &str| MediaAsk::Offer {
        from_leg: 0,
        to_leg: 1,
        sdp: Bytes::from(body.to_owned()),
        from_profile: profile(0),
        to_profile: profile(1),
    };
    let head = "v=0\r\no=- 1 1 IN IP4 h\r\n";
    let multicast = format!("{head}c=IN IP4 224.1.1.1\r\nm=audio 4000 RTP/AVP 0");
    let rows = [
        (with(""), "1 Refused media: bad SDP in line 0 (byte 0): first line is not v=0"),
        (with(&format!("{head}b=AS")), "1 Refused media: bad SDP in line 3 (byte 23): bad b= line"),
        (with(&multicast), "1 Refused media: multicast address 224.1.1.1"),
        (offer(0, 0), "1 Overload media session: too many legs"),
        (reply(1, 0), "1 Refused media: an answer without an offer"),
    ];
    for (ask, expected) in rows {
        let mut b = bench();
        assert_eq!(b.ask(ask), [expected]);
        assert!(b.media.is_idle(), "nothing to remember");
    }
    let mut b = bench().answered();
    let two =
        MediaAsk::Answer { from_leg: 1, to_leg: 0, sdp: sdp(2), from_profile: profile(1), to_profile: profile(0) };
    assert_eq!(b.ask(two), ["3 Refused media: 2 m-lines answer 1"]);
}

#[test]
fn limits() {
    let mut b = bench_with(|settings| settings.legs_max = 2).answered();
    assert_eq!(b.ask(offer(0, 2)), ["3 Overload media session: too many legs"]);
    assert_eq!(b.ask(offer(1, 0)), ["m2 Offer/0 t1>t0"]);
    let mut b = bench_with(|settings| settings.asks_max = 1);
    b.ask(offer(0, 1));
    assert_eq!(b.ask(offer(0, 2)), no_lines());
    assert_eq!(b.ask(offer(0, 3)), ["3 Overload media session: too many asks"]);
    assert_eq!(b.ask(MediaAsk::End), ["2 Refused media session has ended"], "an end always has room");
}

#[test]
fn it_tells_what_it_does() {
    let state = |b: &Bench| match b.media.describe() {
        Description::Machine { facts, .. } => facts[0].1.clone(),
        Description::Call(_) => panic!("no call"),
    };
    let mut b = bench();
    assert_eq!(state(&b), "unanchored");
    b.ask(offer(0, 1));
    b.done(2);
    assert_eq!(state(&b), "offered");
    let mut b = bench().answered();
    assert_eq!(state(&b), "answered");
    b.ask(MediaAsk::End);
    assert_eq!(state(&b), "ending");
}

#[test]
fn it_is_small() {
    assert!(size_of::<Media>() <= 320, "{}", size_of::<Media>());
}
