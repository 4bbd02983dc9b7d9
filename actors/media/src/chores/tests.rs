use super::*;

fn ms(milliseconds: u64) -> Instant {
    Instant(milliseconds * 1_000)
}

fn session(relay: Option<u16>, generation: u16) -> Session {
    Session { site: Site::of(Address::Anchor(NodeId(1), 0)), relay, generation }
}

fn settings() -> Settings {
    Settings { delete_retry_ms: 1_000, delete_age_max_s: 60, ..Settings::default() }
}

#[test]
fn pauses_grow_to_a_limit_and_end_at_the_age() {
    let mut chores = Chores::default();
    chores.add(session(Some(0), 0), "a".into(), ms(0), &settings());
    chores.add(session(Some(0), 0), "b".into(), ms(0), &settings());
    assert_eq!(chores.len(), 1, "the same session once");
    assert!(chores.wants_statistics());
    let mut tries = Vec::new();
    for n in 1.. {
        let Some(at) = chores.earliest() else { break };
        tries.push(at.0 / 1_000);
        let chore = chores.start(Thread(n), at, at + Duration::from_secs(3)).expect("due");
        assert_eq!((chore.relay, chore.generation, &*chore.tag), (Some(0), 0, "a"));
        assert!(chores.start(Thread(n + 100), at, at).is_none(), "asked once at a time");
        assert!(chores.failed(Thread(n), at, &settings()));
    }
    assert_eq!(tries, [0, 1_000, 3_000, 7_000, 15_000, 31_000, 47_000, 63_000]);
    assert!(chores.is_empty());
}

#[test]
fn an_ask_without_an_answer_counts_as_failed() {
    let mut chores = Chores::default();
    chores.add(session(None, 3), "".into(), ms(0), &settings());
    assert!(!chores.wants_statistics());
    chores.start(Thread(1), ms(0), ms(500)).unwrap();
    chores.overdue(ms(499), &settings());
    assert_eq!(chores.earliest(), Some(ms(500)));
    chores.overdue(ms(500), &settings());
    assert_eq!(chores.earliest(), Some(ms(1_500)));
    assert!(chores.done(Thread(1)).is_none(), "too late");
    assert!(!chores.failed(Thread(1), ms(500), &settings()));
    chores.start(Thread(2), ms(1_500), ms(2_000)).unwrap();
    assert!(chores.done(Thread(2)).is_some());
    assert!(chores.is_empty() && chores.earliest().is_none());
}
