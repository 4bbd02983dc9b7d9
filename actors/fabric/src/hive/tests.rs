use std::time::Duration;

use super::*;
use crate::{Housing, Key, Letter, NodeId, Thread};

/// Answers `Kept` to everything, fires once after 10 µs, ends on `Describe`, panics on `LoadBindings`.
struct Probe {
    alarm: Option<Instant>,
    over: bool,
}

impl Machine for Probe {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        match mail.letter {
            Letter::Describe => self.over = true,
            Letter::LoadBindings(..) => panic!("probe was asked to die"),
            _ => self.alarm = Some(now.instant + Duration::from_micros(10)),
        }
        out.answer(&mail, Letter::Kept);
    }
    fn wake(&mut self, _: Now, out: &mut Outbox) {
        self.alarm = None;
        out.post(Address::Nobody, Letter::Kept);
    }
    fn deadline(&self) -> Option<Instant> {
        self.alarm
    }
    fn is_idle(&self) -> bool {
        self.over
    }
}

struct Probes;

impl Founder for Probes {
    fn found(&self, _: Address, letter: &Letter, _: Now) -> Option<Box<dyn Machine>> {
        (!matches!(letter, Letter::Kept)).then(|| Box::new(Probe { alarm: None, over: false }) as Box<dyn Machine>)
    }
    fn housing(&self, _: Address) -> Housing {
        Housing::Hive(1)
    }
}

fn at(micros: u64) -> Now {
    Now { instant: Instant(micros), unix_ms: 0 }
}

fn ask(key: u128, letter: Letter) -> Envelope {
    Envelope::ask(Address::Control(NodeId(1)), Address::Registration(Key(key)), Thread(9), letter)
}

fn hive(machines_max: usize) -> (Hive, Outbox) {
    (Hive::new(Arc::new(Probes), HiveSettings { machines_max }), Outbox::new(Address::Nobody))
}

#[test]
fn founds_wakes_and_ends_its_machines() {
    let (mut hive, mut out) = hive(10);
    hive.handle(ask(1, Letter::Locate("a".into())), at(0), &mut out);
    assert_eq!(out.take()[0].letter, Letter::Kept);
    assert_eq!((hive.len(), hive.deadline()), (1, Some(Instant(10))));
    hive.wake(at(9), &mut out);
    assert!(out.is_empty());
    hive.wake(at(10), &mut out);
    assert_eq!(out.take()[0].from, Address::Registration(Key(1)));
    hive.handle(ask(1, Letter::Describe), at(11), &mut out);
    assert!(hive.is_empty());
}

#[test]
fn a_letter_that_founds_nobody_comes_back() {
    let (mut hive, mut out) = hive(10);
    hive.handle(ask(1, Letter::Kept), at(0), &mut out);
    let mail = out.take();
    assert!(matches!(&mail[0].letter, Letter::Returned(fault) if fault.kind == FaultKind::NoSuchActor));
    assert_eq!(mail[0].to, Address::Control(NodeId(1)));
}

#[test]
fn a_full_hive_says_overload() {
    let (mut hive, mut out) = hive(1);
    hive.handle(ask(1, Letter::Locate("a".into())), at(0), &mut out);
    hive.handle(ask(2, Letter::Locate("b".into())), at(0), &mut out);
    assert!(matches!(&out.take()[1].letter, Letter::Returned(fault) if fault.kind == FaultKind::Overload));
}

#[test]
fn a_panic_costs_one_machine() {
    let (mut hive, mut out) = hive(10);
    hive.handle(ask(1, Letter::Locate("a".into())), at(0), &mut out);
    hive.handle(ask(2, Letter::Locate("b".into())), at(0), &mut out);
    hive.handle(ask(2, Letter::LoadBindings(0, 1)), at(1), &mut out);
    assert_eq!((hive.len(), hive.lost), (1, 1));
    assert!(hive.contains(Address::Registration(Key(1))));
}

#[test]
fn alarms_of_ended_machines_do_not_pile_up() {
    let (mut hive, mut out) = hive(10_000);
    for key in 0..5_000 {
        hive.handle(ask(key, Letter::Locate("a".into())), at(0), &mut out);
        hive.handle(ask(key, Letter::Describe), at(1), &mut out);
    }
    assert!(hive.is_empty());
    assert!(hive.alarms.len() <= 2 * STALE_MIN, "{} alarms of nobody", hive.alarms.len());
}

#[test]
fn an_alarm_that_was_moved_later_wakes_nobody_early() {
    let (mut hive, mut out) = hive(10);
    hive.handle(ask(1, Letter::Locate("a".into())), at(0), &mut out);
    hive.handle(ask(1, Letter::Locate("a".into())), at(5), &mut out);
    out.take();
    hive.wake(at(12), &mut out);
    assert!(out.is_empty());
    assert_eq!(hive.deadline(), Some(Instant(15)));
    hive.wake(at(15), &mut out);
    assert_eq!(out.take().len(), 1);
}
