//! Media sessions and anchor against real rtpengines. Left out, with a word, where rtpengine is not installed.

mod stage;

use std::time::Duration;

use fabric::letters::media::MediaDone;
use fabric::{FaultKind, Letter};

use stage::{Phone, Stage, installed, port_of};

#[test]
fn a_call_is_anchored_heard_counted_and_deleted() {
    let Some(mut stage) = Stage::new(&["127.0.0.42"], &[]) else { return };
    let (alice, bob) = (Phone::new("127.0.0.142"), Phone::new("127.0.0.142"));
    let to_bob = stage.offer(1, 0, 1, &alice);
    let to_alice = stage.answer(1, 1, 0, &bob);
    for number in 0..50 {
        alice.talk(&to_alice, number);
        bob.talk(&to_bob, number);
    }
    assert_eq!((alice.heard(50), bob.heard(50)), (50, 50));
    // Hold and resume keep ports and tags.
    assert_eq!(port_of(&stage.offer(1, 1, 0, &bob)), port_of(&to_alice));
    assert_eq!(port_of(&stage.answer(1, 0, 1, &alice)), port_of(&to_bob));
    let stats = stage.end(1);
    assert_eq!(stats.relay.as_deref(), Some("m0"));
    let packets: Vec<_> =
        stats.streams.iter().map(|stream| (stream.tag.as_str(), stream.packets, stream.bytes)).collect();
    assert_eq!(packets, [("leg0", 50, 50 * 172), ("leg1", 50, 50 * 172)]);
    assert_eq!(stage.sessions(0), Vec::<String>::new());
}

#[test]
fn every_branch_of_a_fork_has_its_own_ports_and_the_winner_is_heard() {
    let Some(mut stage) = Stage::new(&["127.0.0.43"], &[]) else { return };
    let phones: Vec<Phone> = (0..4).map(|_| Phone::new("127.0.0.143")).collect();
    let offers: Vec<String> = (1..4).map(|leg| stage.offer(1, 0, leg, &phones[0])).collect();
    let mut ports: Vec<u16> = offers.iter().map(|sdp| port_of(sdp)).collect();
    ports.dedup();
    assert_eq!(ports.len(), 3);
    stage.answer(1, 1, 0, &phones[1]); // early media of one that loses
    let to_alice = stage.answer(1, 3, 0, &phones[3]);
    stage.drop(1, 1);
    stage.drop(1, 2);
    for number in 0..20 {
        phones[0].talk(&to_alice, number);
        phones[3].talk(&offers[2], number);
        phones[1].talk(&offers[0], number);
    }
    assert_eq!((phones[0].heard(20), phones[3].heard(20)), (20, 20));
    assert_eq!((phones[1].heard(0), phones[2].heard(0)), (0, 0));
    assert_eq!(stage.answer(1, 3, 0, &phones[3]), to_alice, "the same answer again");
    let stats = stage.end(1);
    assert_eq!(stats.streams.iter().map(|stream| stream.packets).sum::<u64>(), 40);
    assert_eq!(stage.sessions(0), Vec::<String>::new());
}

#[test]
fn a_phone_behind_a_nat_is_heard_at_the_address_its_signalling_comes_from() {
    let Some(mut stage) = Stage::new(&["127.0.0.44"], &[]) else { return };
    let (alice, bob) = (Phone::behind("127.0.0.144", "10.9.9.9"), Phone::new("127.0.0.144"));
    stage.offer(1, 0, 1, &alice);
    let to_alice = stage.answer(1, 1, 0, &bob);
    let to_bob = stage.offer(1, 0, 1, &alice);
    stage.answer(1, 1, 0, &bob);
    for number in 0..10 {
        bob.talk(&to_bob, number);
        alice.talk(&to_alice, number);
    }
    assert_eq!((alice.heard(10), bob.heard(10)), (10, 10));
    stage.end(1);
}

#[test]
fn a_killed_relay_is_replaced_by_the_next_offer() {
    let Some(mut stage) = Stage::new(&["127.0.0.45", "127.0.0.46"], &[]) else { return };
    let (alice, bob) = (Phone::new("127.0.0.145"), Phone::new("127.0.0.145"));
    let first = stage.offer(1, 0, 1, &alice);
    stage.answer(1, 1, 0, &bob);
    let lost = if first.contains("127.0.0.45") { 0 } else { 1 };
    stage.kill(lost);
    let to_alice = stage.offer(1, 1, 0, &bob);
    let to_bob = stage.answer(1, 0, 1, &alice);
    assert!(!to_alice.contains(&stage.address(lost)) && !to_bob.contains(&stage.address(lost)));
    for number in 0..10 {
        alice.talk(&to_alice, number);
        bob.talk(&to_bob, number);
    }
    assert_eq!((alice.heard(10), bob.heard(10)), (10, 10));
    assert_eq!(stage.end(1).relay, Some(format!("m{}", 1 - lost)));
    assert_eq!(stage.sessions(1 - lost), Vec::<String>::new());
}

#[test]
fn a_hanging_relay_keeps_nothing_when_it_wakes_up() {
    let Some(mut stage) = Stage::new(&["127.0.0.47", "127.0.0.48"], &[]) else { return };
    let alice = Phone::new("127.0.0.147");
    stage.signal(0, "STOP");
    stage.signal(1, "STOP");
    assert_eq!(stage.try_offer(1, 0, 1, &alice).unwrap_err(), FaultKind::Timeout);
    stage.signal(0, "CONT");
    stage.signal(1, "CONT");
    stage.run(Duration::from_millis(2_500), |_| false);
    assert_eq!((stage.sessions(0), stage.sessions(1)), (vec![], vec![]));
    assert!(stage.try_offer(2, 0, 1, &alice).is_ok(), "alive again");
    stage.end(2);
}

#[test]
fn full_relays_are_passed_over_and_then_refuse() {
    let Some(mut stage) = Stage::new(&["127.0.0.49", "127.0.0.50"], &["--max-sessions=1"]) else { return };
    let alice = Phone::new("127.0.0.149");
    let (one, two) = (stage.offer(1, 0, 1, &alice), stage.offer(2, 0, 1, &alice));
    assert_ne!(one.contains("127.0.0.49"), two.contains("127.0.0.49"));
    assert_eq!(stage.try_offer(3, 0, 1, &alice).unwrap_err(), FaultKind::Overload);
    stage.end(1);
    stage.run(Duration::from_millis(1_100), |_| false);
    stage.offer(4, 0, 1, &alice);
    stage.end(2);
    stage.end(4);
    assert_eq!((stage.sessions(0), stage.sessions(1)), (vec![], vec![]));
}

#[test]
fn a_relay_that_is_killed_does_not_hold_up_the_end() {
    let Some(mut stage) = Stage::new(&["127.0.0.51"], &[]) else { return };
    let alice = Phone::new("127.0.0.151");
    stage.offer(1, 0, 1, &alice);
    stage.kill(0);
    let start = std::time::Instant::now();
    assert_eq!(stage.end(1).streams, []);
    assert!(start.elapsed() < Duration::from_secs(2));
    let refused = stage.try_offer(2, 0, 1, &alice).unwrap_err();
    assert!(matches!(refused, FaultKind::Unavailable | FaultKind::Timeout));
}

#[test]
fn two_hundred_calls_leave_nothing() {
    let Some(mut stage) = Stage::new(&["127.0.0.52", "127.0.0.53"], &[]) else { return };
    let (alice, bob) = (Phone::new("127.0.0.152"), Phone::new("127.0.0.152"));
    for call in 1..=200 {
        stage.offer(call, 0, 1, &alice);
        if call % 3 > 0 {
            stage.answer(call, 1, 0, &bob);
        }
    }
    let open = (stage.sessions(0).len(), stage.sessions(1).len());
    assert_eq!(open.0 + open.1, 200);
    assert!(open.0 > 60 && open.1 > 60, "{open:?}");
    for call in 1..=200 {
        stage.end(call);
    }
    assert_eq!((stage.sessions(0), stage.sessions(1)), (vec![], vec![]));
}

#[test]
fn a_description_that_no_relay_takes_is_refused_at_once() {
    let Some(mut stage) = Stage::new(&["127.0.0.54"], &[]) else { return };
    let phone = Phone::behind("127.0.0.154", "224.0.0.1");
    assert_eq!(stage.try_offer(1, 0, 1, &phone).unwrap_err(), FaultKind::Refused);
    assert_eq!(stage.sessions(0), Vec::<String>::new());
}

/// What a media session answered, as the description to send on.
fn described(letter: Letter) -> Result<String, FaultKind> {
    match letter {
        Letter::MediaDone(done) => match *done {
            MediaDone::Sdp(sdp) => Ok(String::from_utf8(sdp.to_vec()).expect("text")),
            other => panic!("{other:?}"),
        },
        Letter::Returned(fault) => Err(fault.kind),
        other => panic!("{other:?}"),
    }
}

/// Whether the tests can run at all.
fn ready() -> bool {
    let found = installed();
    if !found {
        eprintln!("rtpengine is not installed: left out");
    }
    found
}
