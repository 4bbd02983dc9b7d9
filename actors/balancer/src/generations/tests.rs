use super::*;

fn at(seconds: u64) -> Instant {
    Instant(seconds * 1_000_000)
}

#[test]
fn what_is_used_stays() {
    let mut table: Generations<u32> = Generations::new(1_000, Duration::from_secs(60));
    *table.at(1, at(100)) = 11;
    *table.at(2, at(100)) = 22;
    assert_eq!(table.get(1, at(150)).copied(), Some(11));
    assert_eq!(table.get(1, at(200)).copied(), Some(11), "moved to the younger generation");
    assert_eq!(table.get(1, at(250)).copied(), Some(11));
    assert_eq!(table.get(2, at(250)), None, "not used for more than twice the period");
}

#[test]
fn a_long_silence_empties_it() {
    let mut table: Generations<u32> = Generations::new(1_000, Duration::from_secs(60));
    *table.at(1, at(100)) = 11;
    assert_eq!(table.get(1, at(1_000)), None);
    assert!(table.is_empty());
}

#[test]
fn it_never_grows_beyond_its_limit() {
    let mut table: Generations<u32> = Generations::new(100, Duration::from_secs(60));
    for key in 0..10_000 {
        *table.at(key, at(100)) = 1;
        assert!(table.len() <= 100, "{}", table.len());
    }
    assert!(table.get(9_999, at(100)).is_some());
    table.remove(9_999);
    assert!(table.get(9_999, at(100)).is_none());
    let mut tiny: Generations<u32> = Generations::new(0, Duration::ZERO);
    *tiny.at(1, at(1)) = 1;
    assert!(tiny.len() <= 2);
}
