use super::*;

#[test]
fn an_answer_closes_its_question_once() {
    let mut asks = Asks::new();
    let thread = asks.open("profile", Instant(0), Duration::from_micros(50));
    assert_eq!(asks.close(thread), Some("profile"));
    assert_eq!(asks.close(thread), None);
}

#[test]
fn an_overdue_question_is_taken_and_its_answer_ignored() {
    let mut asks = Asks::new();
    let slow = asks.open("slow", Instant(0), Duration::from_micros(10));
    let fast = asks.open("fast", Instant(0), Duration::from_micros(90));
    assert_eq!(asks.earliest(), Some(Instant(10)));
    assert_eq!(asks.overdue(Instant(9)), None);
    assert_eq!(asks.overdue(Instant(10)), Some((slow, "slow")));
    assert_eq!(asks.overdue(Instant(10)), None);
    assert_eq!(asks.close(slow), None);
    assert_eq!(asks.close(fast), Some("fast"));
}
