use super::*;

#[test]
fn a_newer_owner_wins_whatever_the_clocks_say() {
    let now = BEGIN_MS + 40_000_000_000;
    assert!(of(2, now) > of(1, now + 3_600_000));
    assert!(of(1, now + 1_000) > of(1, now));
    assert!(of(0, 0) > weak(now), "a witnessed end wins over a guessed one");
    assert!(weak(0) > 0);
}

#[test]
fn no_write_time_lies_in_the_future() {
    let latest = of(u64::MAX, u64::MAX);
    assert!((latest as u64) < BEGIN_MS * 1000, "{latest}");
    assert_eq!(of(EPOCHS_MAX, BEGIN_MS), of(u64::MAX, BEGIN_MS), "epochs beyond the last count as it");
}
