use super::*;
use crate::ng::{self, Reply};

fn recorded(reply: &[u8]) -> Vec<StreamStats> {
    match ng::reply(reply) {
        Ok(Reply::Done(value)) => streams(&value),
        other => panic!("{other:?}"),
    }
}

/// A call of rtpengine 10.5.3 with 100 RTP packets from alice, 60 from bob, three RTCP reports from each.
#[test]
fn a_recorded_call() {
    let expected = [
        StreamStats { tag: "alice".into(), packets: 100, bytes: 17_200, ..StreamStats::default() },
        StreamStats { tag: "bob".into(), packets: 60, bytes: 10_320, errors: 0, lost: Some(5), jitter: Some(3) },
    ];
    assert_eq!(recorded(include_bytes!("../../fixtures/delete_reply.bin")), expected);
    assert_eq!(recorded(include_bytes!("../../fixtures/query_reply.bin")), expected);
}

#[test]
fn odd_replies_give_what_they_have() {
    let of = |streams: &str| format!("d6:result2:ok4:tagsd1:ad6:mediasld7:streamsl{streams}eeeeee");
    let rows = [
        ("d6:result2:oke".to_owned(), 0),
        ("d6:result2:ok4:tags1:xe".to_owned(), 0),
        ("d6:result2:ok4:tagsd1:a1:xee".to_owned(), 0),
        (of("de"), 0),
        (of("d5:flagsl3:RTPee"), 0), // no port: a leg that was dropped
        (of("d10:local porti1e5:flagsl4:RTCPee"), 0),
        (of("d10:local porti1e5:flagsl3:RTPee"), 1),
        (of("d10:local porti1e5:flagsl3:RTP4:RTCPee"), 1),
        (of(&"d10:local porti1e5:flagsl3:RTPee".repeat(200)), STREAMS_MAX),
    ];
    for (reply, count) in rows {
        let found = recorded(reply.as_bytes());
        assert_eq!(found.len(), count, "{reply}");
        assert!(found.iter().all(|stream| stream.packets == 0 && stream.lost.is_none()));
    }
}
