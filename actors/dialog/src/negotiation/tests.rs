use super::*;
use Carrier::*;
use Side::{Peer, Us};

/// `(who, in what, with a session description, outcome)`.
type Step = (Side, Carrier, bool, Result<Part, Breach>);

const OFFER: Result<Part, Breach> = Ok(Part::Offer);
const ANSWER: Result<Part, Breach> = Ok(Part::Answer);
const COPY: Result<Part, Breach> = Ok(Part::Copy);
const NOTHING: Result<Part, Breach> = Ok(Part::Nothing);
const GLARE: Result<Part, Breach> = Err(Breach::Glare);
const BUSY: Result<Part, Breach> = Err(Breach::Busy);

fn play(negotiation: &mut Negotiation, steps: &[Step]) {
    for (number, (side, carrier, has, outcome)) in steps.iter().enumerate() {
        let got = match side {
            Us => negotiation.sent(*carrier, *has),
            Peer => negotiation.received(*carrier, *has),
        };
        assert_eq!(got, *outcome, "step {number}: {side:?} {carrier:?} {has}");
        *negotiation = crate::testing::codec(negotiation);
    }
}

fn flip(steps: &[Step]) -> Vec<Step> {
    steps.iter().map(|(side, carrier, has, outcome)| (side.other(), *carrier, *has, *outcome)).collect()
}

/// Plays the steps from the calling and from the called side.
fn both(name: &str, before: &[Step], steps: &[Step]) -> [Negotiation; 2] {
    let run = |before: &[Step], steps: &[Step]| {
        println!("{name}");
        let mut negotiation = Negotiation::default();
        play(&mut negotiation, before);
        play(&mut negotiation, steps);
        negotiation
    };
    [run(before, steps), run(&flip(before), &flip(steps))]
}

/// A simple call that has been answered.
const CALL: &[Step] = &[(Us, Invite, true, OFFER), (Peer, Success, true, ANSWER), (Us, Ack, false, NOTHING)];

#[test]
fn the_six_patterns_of_rfc_6337() {
    let rows: &[(&str, &[Step])] = &[
        ("1: INVITE, 2xx", CALL),
        ("2: 2xx, ACK", &[(Us, Invite, false, NOTHING), (Peer, Success, true, OFFER), (Us, Ack, true, ANSWER)]),
        (
            "3: INVITE, reliable 1xx",
            &[
                (Us, Invite, true, OFFER),
                (Peer, Reliable, true, ANSWER),
                (Us, Prack, false, NOTHING),
                (Peer, PrackSuccess, false, NOTHING),
                (Peer, Success, false, NOTHING),
                (Us, Ack, false, NOTHING),
            ],
        ),
        (
            "4: reliable 1xx, PRACK",
            &[
                (Us, Invite, false, NOTHING),
                (Peer, Reliable, true, OFFER),
                (Us, Prack, true, ANSWER),
                (Peer, PrackSuccess, false, NOTHING),
                (Peer, Success, false, NOTHING),
                (Us, Ack, false, NOTHING),
            ],
        ),
        (
            "5: PRACK, 2xx of PRACK",
            &[
                (Us, Invite, true, OFFER),
                (Peer, Reliable, true, ANSWER),
                (Us, Prack, true, OFFER),
                (Peer, PrackSuccess, true, ANSWER),
                (Peer, Success, false, NOTHING),
                (Us, Ack, false, NOTHING),
            ],
        ),
        (
            "6: UPDATE, 2xx of UPDATE, while ringing",
            &[
                (Us, Invite, true, OFFER),
                (Peer, Reliable, true, ANSWER),
                (Us, Prack, false, NOTHING),
                (Peer, Update, true, OFFER),
                (Us, UpdateSuccess, true, ANSWER),
                (Us, Update, true, OFFER),
                (Peer, UpdateSuccess, true, ANSWER),
                (Peer, Success, true, COPY),
                (Us, Ack, false, NOTHING),
            ],
        ),
    ];
    for (name, steps) in rows {
        for negotiation in both(name, &[], steps) {
            assert!(negotiation.has_session() && !negotiation.is_open(Us) && !negotiation.is_open(Peer), "{name}");
            assert!(negotiation.may_offer(Invite) && negotiation.may_offer(Update), "{name}");
        }
        both(name, steps, &[(Peer, Invite, true, OFFER), (Us, Success, true, ANSWER), (Peer, Ack, false, NOTHING)]);
    }
}

#[test]
fn early_media_is_a_forecast_not_the_answer() {
    both(
        "183, 200",
        &[],
        &[
            (Us, Invite, true, OFFER),
            (Peer, Unreliable, true, COPY),
            (Peer, Unreliable, false, NOTHING),
            (Peer, Unreliable, true, COPY),
            (Peer, Success, true, ANSWER),
            (Us, Ack, true, COPY),
        ],
    );
    both(
        "no offer in an unreliable response",
        &[],
        &[
            (Us, Invite, false, NOTHING),
            (Peer, Unreliable, true, COPY),
            (Peer, Success, true, OFFER),
            (Us, Ack, true, ANSWER),
        ],
    );
    both(
        "a reliable response without it",
        &[],
        &[
            (Us, Invite, true, OFFER),
            (Peer, Reliable, false, NOTHING),
            (Us, Prack, false, NOTHING),
            (Peer, Reliable, true, ANSWER),
            (Us, Prack, false, NOTHING),
            (Peer, Success, true, COPY),
        ],
    );
}

#[test]
fn what_may_not_be_done() {
    let no_answer = Err(Breach::NoAnswer);
    let rows: &[(&str, &[Step], &[Step])] = &[
        ("2xx without answer", &[(Us, Invite, true, OFFER)], &[(Peer, Success, false, no_answer)]),
        ("2xx without offer", &[(Us, Invite, false, NOTHING)], &[(Peer, Success, false, Err(Breach::NoOffer))]),
        (
            "ACK without answer",
            &[(Us, Invite, false, NOTHING), (Peer, Success, true, OFFER)],
            &[(Us, Ack, false, no_answer), (Us, Ack, true, COPY)],
        ),
        (
            "PRACK without answer",
            &[(Us, Invite, false, NOTHING), (Peer, Reliable, true, OFFER)],
            &[(Us, Prack, false, no_answer)],
        ),
        ("UPDATE's 2xx without answer", CALL, &[(Us, Update, true, OFFER), (Peer, UpdateSuccess, false, no_answer)]),
        ("a second offer of one side", CALL, &[(Us, Update, true, OFFER), (Us, Update, true, BUSY)]),
        ("UPDATE over an offered UPDATE", CALL, &[(Us, Update, true, OFFER), (Peer, Update, true, GLARE)]),
        ("INVITE over INVITE", CALL, &[(Us, Invite, true, OFFER), (Peer, Invite, true, GLARE)]),
        ("empty INVITE over INVITE", CALL, &[(Us, Invite, true, OFFER), (Peer, Invite, false, GLARE)]),
        ("INVITE over empty INVITE", CALL, &[(Us, Invite, false, NOTHING), (Peer, Invite, true, GLARE)]),
        ("INVITE twice", CALL, &[(Us, Invite, true, OFFER), (Us, Invite, true, BUSY)]),
        ("INVITE over UPDATE", CALL, &[(Us, Update, true, OFFER), (Peer, Invite, true, GLARE)]),
        ("own INVITE over own UPDATE", CALL, &[(Us, Update, true, OFFER), (Us, Invite, true, BUSY)]),
        ("UPDATE over INVITE", CALL, &[(Us, Invite, true, OFFER), (Peer, Update, true, GLARE)]),
        ("own UPDATE over own INVITE", CALL, &[(Us, Invite, true, OFFER), (Us, Update, true, BUSY)]),
        (
            "UPDATE before any session",
            &[(Us, Invite, false, NOTHING)],
            &[(Us, Update, true, BUSY), (Peer, Update, true, BUSY)],
        ),
        (
            "PRACK with an offer before the answer",
            &[(Us, Invite, true, OFFER), (Peer, Reliable, false, NOTHING)],
            &[(Us, Prack, true, BUSY)],
        ),
        ("a response without INVITE", CALL, &[(Peer, Success, true, Err(Breach::Stray))]),
        ("a response by the caller", &[(Us, Invite, true, OFFER)], &[(Us, Success, true, Err(Breach::Stray))]),
        ("an answer nobody asked for", CALL, &[(Peer, UpdateSuccess, true, COPY), (Us, Ack, true, COPY)]),
        (
            "an UPDATE that offers nothing",
            CALL,
            &[
                (Us, Invite, true, OFFER),
                (Peer, Update, false, NOTHING),
                (Us, UpdateSuccess, false, NOTHING),
                (Peer, Success, true, ANSWER),
            ],
        ),
    ];
    for (name, before, steps) in rows {
        both(name, before, steps);
    }
}

#[test]
fn a_2xx_may_overtake_the_prack() {
    both(
        "answer in ACK",
        &[],
        &[
            (Us, Invite, false, NOTHING),
            (Peer, Reliable, true, OFFER),
            (Peer, Success, true, COPY),
            (Us, Ack, true, ANSWER),
        ],
    );
}

#[test]
fn a_failure_frees_the_way() {
    let rows: &[(&str, &[Step], Side, Carrier)] = &[
        ("re-INVITE", &[(Us, Invite, true, OFFER)], Us, Invite),
        ("empty re-INVITE", &[(Us, Invite, false, NOTHING)], Us, Invite),
        ("offer in 1xx", &[(Us, Invite, false, NOTHING), (Peer, Reliable, true, OFFER)], Us, Invite),
        ("UPDATE", &[(Us, Update, true, OFFER)], Us, Update),
        ("their re-INVITE", &[(Peer, Invite, true, OFFER)], Peer, Invite),
        ("their UPDATE", &[(Peer, Update, true, OFFER)], Peer, Update),
    ];
    for (name, steps, side, carrier) in rows {
        for who in [Us, Peer] {
            let mut negotiation = Negotiation::default();
            play(&mut negotiation, CALL);
            play(&mut negotiation, steps);
            negotiation.failed(who, *carrier);
            let free = negotiation.may_offer(Invite) && negotiation.may_offer(Update);
            assert_eq!(free, who == *side, "{name}: the failure of another request changes nothing");
            assert!(negotiation.has_session());
        }
    }
    let mut negotiation = Negotiation::default();
    play(&mut negotiation, CALL);
    play(&mut negotiation, &[(Us, Update, true, OFFER)]);
    negotiation.failed(Us, Prack);
    negotiation.failed(Peer, Update);
    assert!(negotiation.is_open(Us) && !negotiation.is_open(Peer));
}

#[test]
fn what_a_request_that_breaks_the_rules_is_told() {
    for (breach, status, retry_after) in [
        (Breach::Glare, 491, None),
        (Breach::Busy, 500, Some("4")),
        (Breach::NoAnswer, 400, None),
        (Breach::NoOffer, 400, None),
        (Breach::Stray, 481, None),
    ] {
        let reject = breach.reject(15);
        assert_eq!(reject.status.code(), status);
        let header = reject.headers.first().map(|(name, value)| (name.as_str(), value.as_str()));
        assert_eq!(header, retry_after.map(|value| ("Retry-After", value)), "{breach:?}");
    }
}

#[test]
fn any_order_of_messages_leaves_a_sane_state() {
    let carriers = [Invite, Unreliable, Reliable, Success, Ack, Prack, PrackSuccess, Update, UpdateSuccess];
    let mut seed = 1u64;
    let mut negotiation = Negotiation::default();
    for _ in 0..200_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (pick, side) = ((seed >> 33) as usize, if seed >> 62 & 1 == 0 { Us } else { Peer });
        let (carrier, has) = (carriers[pick % carriers.len()], pick / 16 % 2 == 0);
        let was = negotiation;
        match pick / 64 % 8 {
            0 => negotiation.failed(side, carrier),
            _ if side == Us => {
                let _ = negotiation.sent(carrier, has);
            }
            _ => {
                let _ = negotiation.received(carrier, has);
            }
        }
        assert!(!was.session || negotiation.session, "a session does not vanish");
        assert!(!(negotiation.is_open(Us) && negotiation.is_open(Peer)), "one offer at a time");
    }
    assert!(size_of::<Negotiation>() <= 8);
}
