use super::*;
use fabric::Instant;

#[test]
fn what_is_packed_comes_out_again() {
    let bindings =
        [binding("sip:alice@192.0.2.1", 60_000), Binding { expires_ms: u64::MAX, ..binding("sip:desk@x", 0) }];
    let now = at(5_000);
    let entries = bindings.iter().filter_map(|binding| Entry::of(binding, now)).collect();
    let tombstones = vec![Tombstone { call_id: 7, cseq: 9, until_ms: 6_000 }];
    let contents = Contents { entries, tombstones };
    let record = Record::pack("alice@example.test", &contents);
    assert_eq!(record.aor(), "alice@example.test");
    assert_eq!(record.contents(), contents);
    assert_eq!(record.contents().bindings(now), bindings);
    assert_eq!(record.contents().earliest_ms(), Some(6_000));
}

#[test]
fn ends_follow_the_monotonic_clock() {
    let start = at(1_000);
    let ends = Ends::of(start.unix_ms + 10_000, start).expect("in the future");
    // The wall clock jumps by an hour in either direction; ten seconds stay ten seconds.
    for jump in [3_600_000i64, -3_600_000] {
        let moved = |now: Now| Now { unix_ms: now.unix_ms.saturating_add_signed(jump), ..now };
        assert!(!ends.is_past(moved(at(10_999))));
        assert!(ends.is_past(moved(at(11_000))));
        let now = moved(at(4_000));
        assert_eq!(ends.expires_ms(now) - now.unix_ms, 7_000);
    }
    assert_eq!(Ends::of(start.unix_ms, start), None);
    assert_eq!(Ends::of(start.unix_ms - 1, start), None);
    assert_eq!(Ends::of(u64::MAX, start), Some(Ends::NEVER));
    assert!(!Ends::NEVER.is_past(at(u64::MAX / 2_000)));
    assert_eq!(Ends::NEVER.expires_ms(start), u64::MAX);
}

#[test]
fn pruning_drops_what_has_ended() {
    let bindings = [binding("sip:a@x", 1_000), binding("sip:b@x", 2_000)];
    let start = at(0);
    let mut contents = Contents {
        entries: bindings.iter().filter_map(|binding| Entry::of(binding, start)).collect(),
        tombstones: vec![Tombstone { call_id: 1, cseq: 1, until_ms: 1_500 }],
    };
    assert!(!contents.prune(at(999)));
    assert!(contents.prune(at(1_000)));
    assert_eq!((contents.entries.len(), contents.tombstones.len()), (1, 1));
    assert!(!contents.prune(at(1_500)));
    assert!(contents.tombstones.is_empty());
    assert!(contents.prune(at(2_000)));
    assert!(contents.is_empty());
}

/// PERFORMANCE.md: the location's share of a stored registration.
#[test]
fn a_usual_binding_is_small() {
    let now = at(100_000_000);
    let usual = Binding {
        contact: "sip:u012345@192.0.2.155:40613".into(),
        path: "<sip:AAIAAAB_AAABxCcAfwAAAYSeAgAf8t7kqF3u_w8vc2hvdWxk@127.0.0.1:5060;lr;ob>".into(),
        call_id: "1f0a-12345@192.0.2.155".into(),
        received: Some("192.0.2.155:40613".into()),
        user_agent: Some("Phone 42 1.2.3".into()),
        ..binding("", 3_600_000)
    };
    let usual = Binding { expires_ms: now.unix_ms + 3_600_000, ..usual };
    let contents = Contents { entries: vec![Entry::of(&usual, now).expect("unexpired")], tombstones: Vec::new() };
    let record = Record::pack("u012345@bench.invalid", &contents);
    assert!(record.bytes() <= 230, "{} bytes", record.bytes());
}

fn at(since_start_ms: u64) -> Now {
    Now { instant: Instant(since_start_ms * 1_000), unix_ms: 1_700_000_000_000 + since_start_ms }
}

fn binding(contact: &str, lifetime_ms: u64) -> Binding {
    Binding {
        contact: contact.into(),
        path: "<sip:token@127.0.0.1:5060;lr;ob>".into(),
        call_id: "call".into(),
        cseq: 1,
        q: 1_000,
        expires_ms: at(0).unix_ms + lifetime_ms,
        instance: None,
        reg_id: 0,
        user_agent: None,
        received: None,
        nat: false,
    }
}
