//! Helpers of the tests: messages, time, and the journey through the codec that replicas use.

use bytes::Bytes;
use fabric::{Instant, Now};
use sip::{Limits, Message};

use crate::Hop;

pub const HOP: Hop<'static> = Hop {
    via: b"SIP/2.0/UDP us.example;branch=z9hG4bKnext;rport",
    contact: b"<sip:token@us.example>",
    max_forwards: 69,
};

pub fn start() -> Now {
    Now { instant: Instant(3_000_000), unix_ms: 1_700_000_000_000 }
}

pub fn message(text: &str) -> Message {
    Message::parse(Bytes::from(text.replace('\n', "\r\n").into_bytes()), &Limits::default()).expect("a test message")
}

pub fn text(message: &Message) -> String {
    String::from_utf8(message.bytes().to_vec()).expect("ASCII").replace("\r\n", "\n")
}

/// `message` with pieces of its text replaced; an empty new piece removes the old one.
pub fn altered(message_text: &str, changes: &[(&str, &str)]) -> Message {
    let mut text = message_text.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} in {text}");
        text = text.replace(from, to);
    }
    message(&text)
}

/// Alice calls us.
pub const INVITE: &str = "INVITE sip:bob@us.example SIP/2.0\n\
    Via: SIP/2.0/UDP alice.example;branch=z9hG4bKa\n\
    Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>\n\
    Record-Route: <sip:p3.example;lr>\n\
    Max-Forwards: 70\n\
    From: \"Alice\" <sip:alice@us.example>;tag=alice\n\
    To: <sip:bob@us.example>\n\
    Call-ID: call-1@alice.example\n\
    CSeq: 10 INVITE\n\
    Contact: <sip:alice@192.0.2.1:5062;ob>\n\
    Allow: INVITE, ACK, CANCEL, BYE, UPDATE, PRACK\n\
    Supported: timer, 100rel, replaces\n\n";

/// A request of Alice within the dialog of `INVITE`.
pub fn within(method: &str, cseq: u32, more: &str) -> Message {
    message(&format!(
        "{method} sip:token@us.example SIP/2.0\n\
         Via: SIP/2.0/UDP alice.example;branch=z9hG4bKb\n\
         From: <sip:alice@us.example>;tag=alice\n\
         To: <sip:bob@us.example>;tag=ours\n\
         Call-ID: call-1@alice.example\n\
         CSeq: {cseq} {method}\n{more}\n"
    ))
}

/// We call Bob.
pub const OUT: &str = "INVITE sip:bob@192.0.2.2 SIP/2.0\n\
    Via: SIP/2.0/UDP us.example;branch=z9hG4bKo\n\
    Max-Forwards: 70\n\
    From: <sip:alice@us.example>;tag=ours\n\
    To: <sip:bob@us.example>\n\
    Call-ID: call-2@us.example\n\
    CSeq: 1 INVITE\n\
    Contact: <sip:token@us.example>\n\n";

/// Bob's response to a request of ours.
pub fn reply(status: &str, cseq: &str, more: &str) -> Message {
    message(&format!(
        "SIP/2.0 {status}\n\
         Via: SIP/2.0/UDP us.example;branch=z9hG4bKo\n\
         From: <sip:alice@us.example>;tag=ours\n\
         To: <sip:bob@us.example>;tag=bob\n\
         Call-ID: call-2@us.example\n\
         CSeq: {cseq}\n{more}\n"
    ))
}

/// The value after a journey through the codec.
pub fn codec<T: serde::Serialize + for<'a> serde::Deserialize<'a> + PartialEq + std::fmt::Debug>(value: &T) -> T {
    let bytes = postcard::to_allocvec(value).expect("it serialises");
    let twin = postcard::from_bytes(&bytes).expect("and comes back");
    assert_eq!(value, &twin);
    twin
}
