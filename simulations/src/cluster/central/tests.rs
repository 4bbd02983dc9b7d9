use fabric::letters::location::Binding;

use super::*;
use crate::plan::{Menu, Plan};

const AOR: &str = "anna@example.test";

fn central() -> (Central, Dice) {
    (Central::of(Store::new(&Plan::new(1, &Menu::calm()))), Dice::new(7))
}

fn stored(cseq: u32) -> StoredBindings {
    let binding = Binding {
        contact: "sip:anna@192.168.0.1".into(),
        path: "".into(),
        call_id: "one".into(),
        cseq,
        q: 1_000,
        expires_ms: 5,
        instance: None,
        reg_id: 0,
        user_agent: None,
        received: None,
        nat: false,
    };
    StoredBindings { aor: AOR.into(), bindings: vec![binding] }
}

fn seen(central: &mut Central, now_us: u64, dice: &mut Dice) -> Option<u32> {
    let all = central.load(|_| true, now_us, dice);
    all.first().map(|stored| stored.bindings[0].cseq)
}

#[test]
fn a_replica_that_lags_is_outvoted() {
    let (mut central, mut dice) = central();
    assert_eq!(central.keep(stored(1), Epoch(1), 0), 0);
    central.lag(5_000_000, &mut dice);
    // Two of three have it at once, whoever lags.
    assert_eq!(central.keep(stored(2), Epoch(1), 1), 0);
    for now in 2..42 {
        assert_eq!(seen(&mut central, now, &mut dice), Some(2));
    }
    assert!(central.outvoted > 10 && central.late == 1, "{} reads met it", central.outvoted);
    let met = central.outvoted;
    // It has caught up.
    for now in 0..20 {
        assert_eq!(seen(&mut central, 6_000_000 + now, &mut dice), Some(2));
    }
    assert_eq!(central.outvoted, met);
}

#[test]
fn what_a_single_replica_says_may_be_old() {
    let (mut central, mut dice) = central();
    central.keep(stored(1), Epoch(1), 0);
    let slow = central.lag(5_000_000, &mut dice);
    central.keep(stored(2), Epoch(1), 1);
    let rows = central.read(&[slow], 2);
    assert_eq!(rows[AOR].stored.bindings[0].cseq, 1);
}

#[test]
fn one_of_three_may_be_gone_with_all_it_had() {
    for empty in [false, true] {
        let (mut central, mut dice) = central();
        central.keep(stored(1), Epoch(1), 0);
        central.vanish(empty, &mut dice);
        assert_eq!(central.keep(stored(2), Epoch(1), 1), 0);
        assert_eq!((seen(&mut central, 2, &mut dice), central.missed), (Some(2), 1));
        central.comes_back(3);
        for now in 4..24 {
            assert_eq!(seen(&mut central, now, &mut dice), Some(2));
        }
        assert_eq!(central.outvoted, 0, "it was filled before it answered");
    }
}

#[test]
fn with_one_gone_a_write_waits_for_one_that_lags() {
    let (mut central, mut dice) = central();
    let place = central.vanish(false, &mut dice);
    central.replicas[(place + 1) % REPLICAS].lag_us = 700;
    assert_eq!(central.keep(stored(1), Epoch(1), 0), 700);
}

#[test]
fn a_former_owner_writes_nothing_and_what_was_removed_is_gone() {
    let (mut central, mut dice) = central();
    central.keep(stored(2), Epoch(5), 0);
    central.keep(stored(3), Epoch(4), 1);
    assert_eq!((seen(&mut central, 2, &mut dice), central.stale), (Some(2), 1));
    central.keep(StoredBindings { aor: AOR.into(), bindings: Vec::new() }, Epoch(5), 3);
    assert_eq!(seen(&mut central, 4, &mut dice), None);
}
