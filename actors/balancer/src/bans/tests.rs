use super::*;

fn at(seconds: u64) -> Now {
    Now { instant: Instant(seconds * 1_000_000), unix_ms: 1_700_000_000_000 + seconds * 1_000 }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_ban_has_an_end() {
    let mut bans = Bans::new(10);
    bans.ban(address("192.0.2.1"), 10, "x".into(), at(0));
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
    let mut bans = Bans::new(10);
    bans.ban(address("192.0.2.1"), 10, "x".into(), at(0));
    bans.drops(address("192.0.2.1"), at(1).instant);
    bans.ban(address("192.0.2.1"), 20, "y".into(), at(5));
    bans.expire(at(10).instant);
    let list = bans.list(at(10).instant);
    assert_eq!((list.len(), list[0].dropped, &*list[0].reason, list[0].until_ms), (1, 1, "y", at(25).unix_ms));
    bans.ban(address("192.0.2.1"), 1, "shorter".into(), at(11));
    assert!(!bans.drops(address("192.0.2.1"), at(12).instant));
    bans.expire(at(30).instant);
    assert_eq!((bans.len(), bans.earliest()), (0, None));
}

#[test]
fn the_one_that_ends_first_gives_way() {
    let mut bans = Bans::new(2);
    bans.ban(address("192.0.2.1"), 30, "a".into(), at(0));
    bans.ban(address("192.0.2.2"), 10, "b".into(), at(0));
    bans.ban(address("192.0.2.3"), 20, "c".into(), at(0));
    let left: Vec<_> = bans.list(at(0).instant).iter().map(|ban| ban.address.to_string()).collect();
    assert_eq!(left, ["192.0.2.1", "192.0.2.3"]);
    for _ in 0..1_000 {
        bans.ban(address("192.0.2.3"), 20, "c".into(), at(0));
        bans.unban(address("192.0.2.3"));
    }
    assert!(bans.ends.len() <= 2 * 2 + ENDS_SPARE + 1);
}

#[test]
fn zero_bans_nobody() {
    let mut bans = Bans::new(2);
    bans.ban(address("192.0.2.1"), 0, "a".into(), at(0));
    assert!(bans.is_empty());
    let mut none = Bans::new(0);
    none.ban(address("192.0.2.1"), 5, "a".into(), at(0));
    assert!(none.is_empty());
}

#[test]
fn an_ipv6_host_is_its_network() {
    let mut bans = Bans::new(2);
    bans.ban(address("2001:db8::1"), 10, "a".into(), at(0));
    assert!(bans.drops(address("2001:db8::ffff:2"), at(0).instant));
    assert!(!bans.drops(address("2001:db8:0:1::1"), at(0).instant));
    assert!(bans.unban(address("2001:db8::3")));
}
