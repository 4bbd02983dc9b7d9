use super::*;
use crate::testing::*;
use std::time::Duration;

fn accepted() -> Acceptance {
    Acceptance::new(reply("200 OK", "10 INVITE", ""), start(), &Settings::default())
}

#[test]
fn it_is_resent_from_t1_to_t2_for_32_seconds() {
    let mut acceptance = accepted();
    let mut at = Vec::new();
    let mut now = start();
    while let Some(due) = acceptance.deadline() {
        let early = fabric::Now { instant: fabric::Instant(due.0 - 1), ..now };
        assert_eq!(acceptance.wake(early), None, "nothing happens before the deadline");
        now = now.after(due.since(now.instant));
        acceptance = codec(&acceptance);
        while let Some(due) = acceptance.wake(now) {
            at.push((now.instant.since(start().instant).as_millis() as u64, due == Due::GiveUp));
        }
    }
    let sends = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(at, sends.iter().map(|at_ms| (*at_ms, false)).chain([(32_000, true)]).collect::<Vec<_>>());
    assert!(acceptance.is_over());
}

#[test]
fn only_its_own_ack_ends_it_and_only_once() {
    let mut acceptance = accepted();
    assert!(!acceptance.on_ack(&within("ACK", 9, "").view()), "the ACK of an earlier INVITE");
    assert!(!acceptance.on_ack(&within("BYE", 10, "").view()));
    assert!(!acceptance.is_over());
    assert!(acceptance.on_ack(&within("ACK", 10, "").view()));
    assert!(!acceptance.on_ack(&within("ACK", 10, "").view()), "repeated");
    assert!(acceptance.is_over());
    assert_eq!((acceptance.deadline(), acceptance.wake(start().after(Duration::from_secs(99)))), (None, None));
}

#[test]
fn a_late_wake_sends_once() {
    let mut acceptance = accepted();
    let late = start().after(Duration::from_secs(20));
    assert!(matches!(acceptance.wake(late), Some(Due::Send(_))));
    assert_eq!(acceptance.wake(late), None);
    assert_eq!(acceptance.wake(start().after(Duration::from_secs(40))), Some(Due::GiveUp));
}

#[test]
fn it_keeps_nothing_after_the_ack() {
    assert!(size_of::<Acceptance>() <= 16);
}
