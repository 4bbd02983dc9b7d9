use super::*;

fn at(seconds: u64) -> Now {
    Now { instant: Instant(seconds * 1_000_000), unix_ms: 1_700_000_000_000 + seconds * 1_000 }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_ban_has_an_end() {
    let mut bans = Bans::new(NodeId(1), 10);
    bans.ban(address("192.0.2.1"), 10, "x".into(), true, at(0));
    assert!(bans.drops(address("192.0.2.1"), at(9).instant));
    assert!(bans.drops(address("::ffff:192.0.2.1"), at(9).instant), "the same address");
    assert!(!bans.drops(address("192.0.2.2"), at(9).instant));
    assert!(!bans.drops(address("192.0.2.1"), at(10).instant), "over, though nobody has cleaned up");
    assert!(bans.list(at(10).instant).is_empty());
    assert_eq!(bans.earliest(), Some(at(10).instant));
    bans.expire(at(10).instant);
    assert!(bans.is_empty());
    assert_eq!(bans.earliest(), None);
}

#[test]
fn a_renewed_ban_ends_later_and_keeps_its_count() {
    let mut bans = Bans::new(NodeId(1), 10);
    bans.ban(address("192.0.2.1"), 10, "x".into(), true, at(0));
    bans.drops(address("192.0.2.1"), at(1).instant);
    bans.ban(address("192.0.2.1"), 20, "y".into(), true, at(5));
    bans.expire(at(10).instant);
    let list = bans.list(at(10).instant);
    assert_eq!((list.len(), list[0].dropped, &*list[0].reason, list[0].until_ms), (1, 1, "y", at(25).unix_ms));
    bans.ban(address("192.0.2.1"), 1, "shorter".into(), true, at(11));
    assert!(!bans.drops(address("192.0.2.1"), at(12).instant));
    bans.expire(at(30).instant);
    assert_eq!((bans.len(), bans.earliest()), (0, None));
}

#[test]
fn the_one_that_ends_first_gives_way() {
    let mut bans = Bans::new(NodeId(1), 2);
    bans.ban(address("192.0.2.1"), 30, "a".into(), true, at(0));
    bans.ban(address("192.0.2.2"), 10, "b".into(), true, at(0));
    bans.ban(address("192.0.2.3"), 20, "c".into(), true, at(0));
    let left: Vec<_> = bans.list(at(0).instant).iter().map(|ban| ban.address.to_string()).collect();
    assert_eq!(left, ["192.0.2.1", "192.0.2.3"]);
    for _ in 0..1_000 {
        bans.ban(address("192.0.2.3"), 20, "c".into(), true, at(0));
        bans.unban(address("192.0.2.3"), at(0));
    }
    assert!(bans.ends.len() <= 2 * 2 + ENDS_SPARE + 1);
}

#[test]
fn zero_bans_nobody() {
    let mut bans = Bans::new(NodeId(1), 2);
    bans.ban(address("192.0.2.1"), 0, "a".into(), true, at(0));
    assert!(bans.is_empty());
    let mut none = Bans::new(NodeId(1), 0);
    none.ban(address("192.0.2.1"), 5, "a".into(), true, at(0));
    assert!(none.is_empty());
}

#[test]
fn an_ipv6_host_is_its_network() {
    let mut bans = Bans::new(NodeId(1), 2);
    bans.ban(address("2001:db8::1"), 10, "a".into(), true, at(0));
    assert!(bans.drops(address("2001:db8::ffff:2"), at(0).instant));
    assert!(!bans.drops(address("2001:db8:0:1::1"), at(0).instant));
    assert!(bans.unban(address("2001:db8::3"), at(1)).is_some());
}

fn news(stamp: u64, origin: u16, verdict: Verdict) -> SharedBan {
    let (address, origin) = (address("192.0.2.1"), NodeId(origin));
    SharedBan { address, verdict, origin, stamp, left_ms: 10_000, by_hand: false, reason: "flood".into() }
}

#[test]
fn the_highest_stamp_counts_wherever_it_comes_from_and_in_whatever_order() {
    use Verdict::{Banned, Lifted, Vouched};
    let (first, lifted, again) = (news(100, 2, Banned), news(101, 3, Lifted), news(102, 2, Banned));
    let (tie, vouched) = (news(101, 2, Banned), news(103, 4, Vouched));
    // what arrives, what is banned then, and what was news
    let rows: [(&[&SharedBan], bool, &[bool]); 7] = [
        (&[&first], true, &[true]),
        (&[&first, &first], true, &[true, false]),
        (&[&first, &lifted], false, &[true, true]),
        (&[&lifted, &first], false, &[true, false]),
        (&[&lifted, &tie], false, &[true, false]),
        (&[&lifted, &again, &first], true, &[true, true, false]),
        (&[&again, &vouched, &lifted], false, &[true, true, false]),
    ];
    for (row, (arrives, banned, was_news)) in rows.into_iter().enumerate() {
        let mut bans = Bans::new(NodeId(1), 10);
        let taken: Vec<bool> = arrives.iter().map(|news| bans.take(news, at(0))).collect();
        assert_eq!(taken, was_news, "row {row}");
        assert_eq!(bans.drops(address("192.0.2.1"), at(9).instant), banned, "row {row}");
        assert!(!bans.drops(address("192.0.2.1"), at(10).instant), "row {row}: over");
    }
}

#[test]
fn a_decision_here_outdoes_what_was_heard_though_this_clock_is_behind() {
    let mut bans = Bans::new(NodeId(1), 10);
    bans.take(&news(at(3_600).unix_ms, 2, Verdict::Banned), at(0));
    let lifted = bans.unban(address("192.0.2.1"), at(1)).expect("there is one");
    assert_eq!((lifted.stamp, lifted.left_ms, lifted.origin), (at(3_600).unix_ms + 1, 9_000, NodeId(1)));
    assert!(!bans.take(&news(at(3_600).unix_ms, 2, Verdict::Banned), at(2)), "it does not come back");
    assert!(bans.ban(address("192.0.2.1"), 5, "again".into(), true, at(3)).is_some_and(|ban| ban.stamp > lifted.stamp));
}

#[test]
fn sums_tell_tables_apart_and_the_parts_that_differ_mend_it() {
    let (mut one, mut other) = (Bans::new(NodeId(1), 1_000), Bans::new(NodeId(2), 1_000));
    for number in 0..200u8 {
        let told = one.ban(address(&format!("192.0.2.{number}")), 60, "x".into(), false, at(0)).expect("banned");
        if number % 50 != 0 {
            other.take(&told, at(1));
        }
    }
    other.ban(address("198.51.100.1"), 60, "y".into(), true, at(1));
    let (ones, others) = (one.sums(), other.sums());
    let differs = |part: usize| ones[part] != others[part];
    let (there, back) = (one.told(differs, at(2).instant), other.told(differs, at(2).instant));
    assert!(there.len() < 100, "only the parts that differ: {}", there.len());
    assert!(there.iter().filter(|ban| other.take(ban, at(2))).count() == 4);
    assert!(back.iter().filter(|ban| one.take(ban, at(2))).count() == 1);
    assert_eq!(one.sums(), other.sums());
    assert_eq!((one.len(), other.len()), (201, 201));
    assert_eq!(there.iter().map(|ban| ban.left_ms).max(), Some(58_000));
}

#[test]
fn nobody_is_believed_everything() {
    let mut bans = Bans::new(NodeId(1), 2);
    let endless = SharedBan { left_ms: u64::MAX, reason: "x".repeat(5_000), ..news(1, 2, Verdict::Banned) };
    assert!(bans.take(&endless, at(0)));
    let list = bans.list(at(0).instant);
    assert_eq!((list[0].until_ms - at(0).unix_ms, list[0].reason.len()), (LEFT_MS_MAX, REASON_MAX));
    for number in 2..9 {
        let address = address(&format!("192.0.2.{number}"));
        bans.take(&SharedBan { address, ..news(1, 2, Verdict::Banned) }, at(0));
    }
    assert_eq!(bans.len(), 2, "bounded");
    assert!(!bans.take(&SharedBan { stamp: u64::MAX, ..endless }, at(0)), "nothing could outdo it");
    assert!(!bans.take(&SharedBan { left_ms: 0, ..news(9, 2, Verdict::Banned) }, at(0)));
}
