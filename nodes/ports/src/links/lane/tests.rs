use bytes::BytesMut;

use super::*;
use crate::links::frame::{self, FRAME_BYTES_MAX, Frame};

#[test]
fn nothing_is_taken_without_a_session() {
    let mut out = Outgoing::new(1 << 20, 10);
    assert_eq!(put(&mut out, b"x", false), Err(Refused::Down));
    out.begin(SessionId(1));
    assert_eq!(put(&mut out, b"x", false), Ok(true), "the writer sleeps");
    assert_eq!(put(&mut out, b"y", false), Ok(false), "it is on its way");
    out.end();
    assert_eq!(put(&mut out, b"x", false), Err(Refused::Down));
    assert_eq!(out.waiting(), (0, 0));
}

#[test]
fn urgent_parcels_go_first_and_have_numbers_of_their_own() {
    let mut out = begun();
    for text in ["a", "b", "c"] {
        put(&mut out, text.as_bytes(), false).expect("room");
    }
    put(&mut out, b"u", true).expect("room");
    assert_eq!(written(&mut out), ["0:1 u", "1:1 a b c"]);
    put(&mut out, b"v", true).expect("room");
    put(&mut out, b"d", false).expect("room");
    assert_eq!(written(&mut out), ["0:2 v", "1:4 d"]);
    assert!(out.is_written());
}

#[test]
fn acknowledged_batches_are_dropped_and_the_rest_is_written_again() {
    let mut out = begun();
    for text in ["a", "b", "c"] {
        put(&mut out, text.as_bytes(), false).expect("room");
        written(&mut out);
    }
    put(&mut out, b"d", false).expect("room");
    assert!(out.acknowledge([0, 2]));
    out.rewind();
    assert_eq!(written(&mut out), ["1:3 c", "1:4 d"]);
    assert!(out.acknowledge([0, 4]));
    assert_eq!(out.waiting(), (0, 0));
    assert_eq!(written(&mut out), [""; 0]);
    assert!(out.acknowledge([0, 1]), "an old acknowledgement changes nothing");
    assert!(!out.acknowledge([0, 5]), "nobody has what was never sent");
    assert!(!out.acknowledge([1, 4]));
}

#[test]
fn a_parcel_that_still_waits_cannot_be_acknowledged() {
    let mut out = begun();
    put(&mut out, b"a", false).expect("room");
    assert!(!out.acknowledge([0, 1]));
}

#[test]
fn a_full_window_ends_the_session() {
    let mut out = Outgoing::new(4096, 1_000_000);
    out.begin(SessionId(1));
    let mut bytes = 0;
    while put(&mut out, &[7; 100], false).is_ok() {
        bytes += 104;
        assert!(out.waiting().0 <= 4096);
    }
    assert!(bytes > 3_500);
    assert_eq!((out.session(), out.waiting()), (None, (0, 0)));
    let mut out = Outgoing::new(1 << 20, 5);
    out.begin(SessionId(2));
    let taken = (0..9).filter(|_| put(&mut out, b"x", false).is_ok()).count();
    assert_eq!((taken, out.session()), (5, None));
}

#[test]
fn batches_stay_small_and_a_large_parcel_has_its_own() {
    let mut out = Outgoing::new(8 << 20, 1_000_000);
    out.begin(SessionId(1));
    let large = vec![1; frame::PARCEL_BYTES_MAX];
    for _ in 0..1_000 {
        put(&mut out, &[0; 200], false).expect("room");
    }
    put(&mut out, &large, false).expect("room");
    put(&mut out, b"x", false).expect("room");
    let mut bytes = Vec::new();
    out.take(&mut bytes, usize::MAX);
    let mut buffer = BytesMut::from(&bytes[..]);
    let mut next = 1;
    while let Some((kind, body)) = frame::cut(&mut buffer, FRAME_BYTES_MAX).expect("frames within the limit") {
        let Ok(Frame::Batch { lane: ORDERED, first, count, parcels }) = frame::parse(kind, body) else {
            panic!("a batch")
        };
        assert_eq!(first, next);
        next += u64::from(count);
        assert!(parcels.len() <= BATCH_BYTES || count == 1);
    }
    assert_eq!(next, 1_003);
}

#[test]
fn a_write_takes_no_more_than_asked_and_a_batch() {
    let mut out = Outgoing::new(8 << 20, 1_000_000);
    out.begin(SessionId(1));
    for _ in 0..10_000 {
        put(&mut out, &[0; 200], false).expect("room");
    }
    let mut bytes = Vec::new();
    out.take(&mut bytes, 100_000);
    assert!((100_000..100_000 + BATCH_BYTES + 100).contains(&bytes.len()));
}

#[test]
fn duplicates_and_holes_are_noticed() {
    let incoming = Incoming { received: [0, 10] };
    for (first, count, known) in [
        (11, 5, Some(0)),
        (12, 1, None),
        (u64::MAX, 1, None),
        (10, 1, Some(1)),
        (9, 5, Some(2)),
        (1, 3, Some(3)),
        (1, u32::MAX, Some(10)),
    ] {
        assert_eq!(incoming.known(ORDERED, first, count), known, "{count} from {first}");
    }
    assert_eq!(incoming.known(URGENT, 1, 1), Some(0));
}

fn begun() -> Outgoing {
    let mut out = Outgoing::new(1 << 20, 1_000);
    out.begin(SessionId(1));
    out
}

/// What is written next: `lane:first parcels`.
fn written(out: &mut Outgoing) -> Vec<String> {
    let mut bytes = Vec::new();
    out.take(&mut bytes, usize::MAX);
    let mut buffer = BytesMut::from(&bytes[..]);
    let mut all = Vec::new();
    while let Some((kind, body)) = frame::cut(&mut buffer, FRAME_BYTES_MAX).expect("frames") {
        let Ok(Frame::Batch { lane, first, count, mut parcels }) = frame::parse(kind, body) else { panic!("a batch") };
        let mut text = format!("{lane}:{first}");
        for _ in 0..count {
            let parcel = frame::next_parcel(&mut parcels).expect("a parcel");
            text = format!("{text} {}", String::from_utf8_lossy(&parcel));
        }
        all.push(text);
    }
    all
}

#[test]
fn what_no_frame_holds_leaves_the_lane_as_it_was() {
    let large = vec![1; frame::PARCEL_BYTES_MAX + 1];
    for before in [&[][..], &["a"]] {
        let mut out = begun();
        for text in before {
            put(&mut out, text.as_bytes(), false).expect("room");
        }
        let waiting = out.waiting();
        assert_eq!(put(&mut out, &large, false), Err(Refused::TooLarge(large.len())));
        assert_eq!(out.waiting(), waiting);
        put(&mut out, b"b", false).expect("room");
        let all = before.iter().chain(&["b"]).fold("1:1".to_owned(), |all, text| format!("{all} {text}"));
        assert_eq!(written(&mut out), [all]);
    }
}

#[test]
fn the_room_of_what_is_acknowledged_is_used_again() {
    let mut out = Outgoing::new(4 << 20, 1_000);
    out.begin(SessionId(1));
    put(&mut out, &[b'a'; 5_000], false).expect("room");
    written(&mut out);
    assert!(out.acknowledge([0, 1]));
    assert_eq!(out.spare.len(), 1);
    put(&mut out, b"b", false).expect("room");
    assert_eq!((out.spare.len(), written(&mut out)), (0, vec!["1:2 b".to_owned()]));
    for number in 3..100 {
        put(&mut out, &vec![b'c'; 40_000], false).expect("room");
        written(&mut out);
        assert!(number < 50 || out.acknowledge([0, number - 20]));
    }
    assert!(out.acknowledge([0, 99]));
    assert_eq!((out.spare.len(), out.waiting()), (SPARE_MAX, (0, 0)));
}

fn put(out: &mut Outgoing, parcel: &[u8], is_urgent: bool) -> Result<bool, Refused> {
    out.push(is_urgent, |bytes| bytes.extend_from_slice(parcel))
}
