use super::*;

const AT: Instant = Instant(5_000_000);

fn relays(edit: impl Fn(&mut Vec<RelaySettings>)) -> Relays {
    let mut all: Vec<RelaySettings> =
        (1..=3).map(|n| RelaySettings::new(format!("m{n}"), format!("127.0.0.{n}:2223"))).collect();
    edit(&mut all);
    Relays::new(&Settings { relays: all, sessions_max: 4, session_age_max_s: 10, ..Settings::default() })
}

fn shares(relays: &Relays, tried: &[u16]) -> [u32; 3] {
    let mut shares = [0; 3];
    for call in 0..3_000 {
        if let Ok(relay) = relays.choose(&format!("call-{call}"), tried, AT) {
            shares[usize::from(relay)] += 1;
        }
    }
    shares
}

#[test]
fn weights_share_the_sessions() {
    let even = shares(&relays(|_| {}), &[]);
    assert!(even.iter().all(|share| (900..1_100).contains(share)), "{even:?}");
    let uneven = shares(&relays(|all| all[0].weight = 4), &[]);
    assert!((1_900..2_100).contains(&uneven[0]), "{uneven:?}");
    assert_eq!(shares(&relays(|all| all[1].weight = 0), &[])[1], 0);
    assert_eq!(shares(&relays(|all| all[1].drain = true), &[])[1], 0);
    assert_eq!(shares(&relays(|_| {}), &[0, 2]), [0, 3_000, 0]);
}

#[test]
fn the_same_call_gets_the_same_relay() {
    let (one, other) = (relays(|_| {}), relays(|_| {}));
    for call in 0..100 {
        let call = format!("call-{call}");
        assert_eq!(one.choose(&call, &[], AT), other.choose(&call, &[], AT));
    }
}

#[test]
fn misses_in_a_row_kill_and_one_answer_revives() {
    let mut relays = relays(|_| {});
    assert!(!relays.missed(0) && !relays.missed(0));
    assert!(!relays.heard(0), "was never dead");
    assert!(!relays.missed(0) && !relays.missed(0));
    assert!(relays.missed(0), "dies by the third in a row");
    assert!(!relays.missed(0), "dies once");
    assert!(!relays.is_alive(0));
    assert_eq!(shares(&relays, &[])[0], 0);
    assert!(relays.heard(0), "is back");
    assert!(relays.is_alive(0));
    assert!(!relays.missed(9) && !relays.heard(9) && !relays.is_alive(9), "no such relay");
}

#[test]
fn none_left_is_told_from_all_full() {
    let mut relays = relays(|_| {});
    (0..3).for_each(|relay| relays.full(relay, AT));
    assert_eq!(relays.choose("c", &[], AT), Err(NoRelay::Full));
    assert!(relays.choose("c", &[], AT + Duration::from_millis(1_000)).is_ok(), "the pause is over");
    for relay in 0..3 {
        (0..3).for_each(|_| _ = relays.missed(relay));
    }
    assert_eq!(relays.choose("c", &[], AT), Err(NoRelay::Dead));
    assert_eq!(self::relays(|all| all.clear()).choose("c", &[], AT), Err(NoRelay::Dead));
}

#[test]
fn sessions_are_counted_limited_and_forgotten() {
    let mut relays = relays(|all| all.iter_mut().for_each(|relay| relay.sessions_max = 1));
    for (call, relay) in [("a", 0), ("b", 1), ("c", 2)] {
        relays.session_opened(call, relay, AT);
    }
    assert_eq!(relays.choose("d", &[], AT), Err(NoRelay::Full));
    assert_eq!((relays.of_session("b"), relays.of_session("x")), (Some(1), None));
    relays.session_opened("b", 2, AT); // moved
    assert_eq!([0, 1, 2].map(|relay| relays.get(relay).unwrap().sessions), [1, 0, 2]);
    assert_eq!(relays.choose("d", &[], AT), Ok(1));
    relays.session_closed("b");
    relays.session_closed("b");
    assert_eq!(relays.get(2).unwrap().sessions, 1);
    relays.session_opened("e", 1, AT);
    relays.session_opened("f", 1, AT);
    assert!(!relays.has_room());
    let later = Now { instant: AT + Duration::from_secs(10), unix_ms: 0 };
    relays.sweep(later);
    assert!(relays.has_room());
    assert_eq!([0, 1, 2].map(|relay| relays.get(relay).unwrap().sessions), [0, 0, 0]);
}
