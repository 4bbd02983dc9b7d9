use super::*;

#[test]
fn fires_in_order_and_only_when_due() {
    let mut timers = Timers::new();
    timers.set("late", Instant(30));
    timers.set("early", Instant(10));
    assert_eq!(timers.earliest(), Some(Instant(10)));
    assert_eq!(timers.pop(Instant(9)), None);
    assert_eq!(timers.pop(Instant(30)), Some("early"));
    assert_eq!(timers.pop(Instant(30)), Some("late"));
    assert_eq!(timers.pop(Instant(99)), None);
}

#[test]
fn setting_again_moves_and_cancel_removes() {
    let mut timers = Timers::new();
    timers.set(1, Instant(10));
    timers.set(2, Instant(20));
    timers.set(1, Instant(25));
    assert_eq!(timers.due(&1), Some(Instant(25)));
    timers.cancel(&2);
    assert_eq!(timers.pop(Instant(100)), Some(1));
    assert!(timers.is_empty());
}

#[test]
fn equal_deadlines_fire_in_the_order_they_were_set() {
    let mut timers = Timers::new();
    timers.set('b', Instant(5));
    timers.set('a', Instant(5));
    assert_eq!((timers.pop(Instant(5)), timers.pop(Instant(5))), (Some('b'), Some('a')));
}
