use super::*;

#[test]
fn who_is_refused_when_changes_cross() {
    use Side::{Peer, Us};
    // what is pending, the peer's request, the answer
    type Row = (&'static [(Side, Method<'static>)], Method<'static>, u16);
    let rows: &[Row] = &[
        (&[], Method::Invite, 200),
        (&[], Method::Update, 200),
        (&[(Us, Method::Invite)], Method::Invite, 491),
        (&[(Peer, Method::Invite)], Method::Invite, 500),
        (&[(Us, Method::Invite), (Peer, Method::Invite)], Method::Invite, 500),
        (&[(Us, Method::Update)], Method::Invite, 200),
        (&[(Us, Method::Invite)], Method::Update, 200),
        (&[(Peer, Method::Invite)], Method::Update, 200),
        (&[(Peer, Method::Update)], Method::Update, 500),
        (&[(Us, Method::Update)], Method::Update, 200),
        (&[(Us, Method::Invite), (Peer, Method::Update)], Method::Info, 200),
        (&[(Us, Method::Invite)], Method::Bye, 200),
    ];
    for (pending, method, status) in rows {
        let mut state = Pending::default();
        pending.iter().for_each(|(side, method)| state.begin(*side, *method));
        let got = state.admit(*method, 25);
        assert_eq!(got.clone().map_or_else(|reject| reject.status.code(), |()| 200), *status, "{pending:?} {method}");
        if *status == 500 {
            assert_eq!(got.unwrap_err().headers, [("Retry-After".to_string(), "3".to_string())]);
        }
        pending.iter().for_each(|(side, method)| state.end(*side, *method));
        assert!(state.is_empty());
        assert_eq!(state.admit(*method, 0), Ok(()), "free again");
    }
}

#[test]
fn what_we_may_send_meanwhile() {
    let mut state = Pending::default();
    state.begin(Side::Peer, Method::Invite);
    assert!(!state.may_send(Method::Invite) && state.may_send(Method::Update) && state.may_send(Method::Bye));
    state.end(Side::Peer, Method::Invite);
    state.begin(Side::Us, Method::Update);
    assert!(state.may_send(Method::Invite) && !state.may_send(Method::Update) && state.may_send(Method::Info));
    state.begin(Side::Us, Method::Invite);
    assert!(!state.may_send(Method::Invite));
    assert!(state.has(Side::Us, Method::Update) && !state.has(Side::Peer, Method::Update));
}

#[test]
fn the_owner_of_the_call_id_waits_longer() {
    for seed in 0..1_000 {
        let (owner, other) = (retry_delay(Side::Us, seed), retry_delay(Side::Peer, seed));
        assert!(owner >= Duration::from_millis(2_100) && owner <= Duration::from_millis(4_000));
        assert!(other <= Duration::from_millis(2_000));
        assert_eq!((owner.as_millis() % 10, other.as_millis() % 10), (0, 0));
    }
    assert_eq!(retry_delay(Side::Us, 190), Duration::from_millis(4_000));
    assert_eq!(retry_delay(Side::Peer, 200), Duration::from_millis(2_000));
    let _ = retry_delay(Side::Us, u64::MAX);
}

#[test]
fn retry_after_is_at_most_ten_seconds() {
    for seed in 0..100 {
        let seconds: u32 = busy(seed).headers[0].1.parse().unwrap();
        assert!(seconds <= 10);
    }
}
