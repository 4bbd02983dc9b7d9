//! Commands and replies of rtpengine's NG protocol: `cookie SP dictionary`, one a datagram.

use std::borrow::Cow;

use bytes::Bytes;
use fabric::letters::media::{RelayAsk, RelayVerb};

use crate::bencode::{BencodeError, Value};

/// What rtpengine replied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    Pong,
    /// Done; the whole dictionary, with `sdp` for offer and answer and `tags` for delete and query.
    Done(Value<'a>),
    /// It has no room for another session; another rtpengine may.
    Full(String),
    /// It does not know the call; for a delete that is as good as done.
    Unknown(String),
    /// It will not do this, and would not the next time.
    Refused(String),
}

/// A ping.
pub fn ping(cookie: &str) -> Bytes {
    let mut pairs = Pairs::with_capacity(1);
    put(&mut pairs, "command", Value::from("ping"));
    datagram(cookie, pairs)
}

/// The command for an ask; `delete_delay_s` goes with a delete.
pub fn command(cookie: &str, ask: &RelayAsk, delete_delay_s: u32) -> Bytes {
    let mut pairs = Pairs::with_capacity(16);
    put(&mut pairs, "command", Value::from(verb(ask.verb)));
    put(&mut pairs, "call-id", Value::from(ask.call_id.as_str()));
    // Without one a delete takes the whole call, and tells nothing of it.
    if !ask.from_tag.is_empty() {
        put(&mut pairs, "from-tag", Value::from(ask.from_tag.as_str()));
    }
    if let Some(tag) = &ask.to_tag {
        put(&mut pairs, "to-tag", Value::from(tag.as_str()));
    }
    if let Some(branch) = &ask.via_branch {
        put(&mut pairs, "via-branch", Value::from(branch.as_str()));
    }
    match ask.verb {
        RelayVerb::Offer | RelayVerb::Answer => put(&mut pairs, "sdp", Value::from(&*ask.sdp)),
        RelayVerb::Delete => put(&mut pairs, "delete delay", Value::Integer(i64::from(delete_delay_s))),
        RelayVerb::Query => {}
    }
    if ask.verb == RelayVerb::Offer {
        put(&mut pairs, "supports", Value::list(["load limit"]));
    }
    if !ask.flags.is_empty() {
        put(&mut pairs, "flags", Value::list(&ask.flags));
    }
    if !ask.replace.is_empty() {
        put(&mut pairs, "replace", Value::list(&ask.replace));
    }
    for (key, value) in &ask.keys {
        let value = match LIST_KEYS.contains(&key.as_str()) {
            true => Value::list(value.split_ascii_whitespace()),
            false => Value::from(value.as_str()),
        };
        put(&mut pairs, key, value);
    }
    datagram(cookie, pairs)
}

/// Keys whose value is a list; in `RelayAsk::keys` its items are separated by spaces.
const LIST_KEYS: [&str; 5] = ["received from", "rtcp-mux", "direction", "SDES", "T.38"];

type Pairs<'a> = Vec<(Cow<'a, [u8]>, Value<'a>)>;

fn put<'a>(pairs: &mut Pairs<'a>, key: &'a str, value: Value<'a>) {
    pairs.push((Cow::Borrowed(key.as_bytes()), value));
}

fn datagram(cookie: &str, pairs: Pairs<'_>) -> Bytes {
    let mut out = Vec::with_capacity(1_024);
    out.extend_from_slice(cookie.as_bytes());
    out.push(b' ');
    Value::Dictionary(pairs).encode(&mut out);
    Bytes::from(out)
}

/// NG name of a verb.
pub fn verb(verb: RelayVerb) -> &'static str {
    match verb {
        RelayVerb::Offer => "offer",
        RelayVerb::Answer => "answer",
        RelayVerb::Delete => "delete",
        RelayVerb::Query => "query",
    }
}

/// Cookie and document of a datagram; `None` when it has no cookie.
pub fn split(datagram: &[u8]) -> Option<(&str, &[u8])> {
    let space = datagram.iter().take(COOKIE_BYTES_MAX).position(|byte| *byte == b' ')?;
    Some((std::str::from_utf8(&datagram[..space]).ok()?, &datagram[space + 1..]))
}

/// Longest cookie worth looking at, bytes.
const COOKIE_BYTES_MAX: usize = 64;

/// What a reply says.
pub fn reply(document: &[u8]) -> Result<Reply<'_>, BencodeError> {
    let value = Value::decode(document)?;
    let reason = || {
        let text = value.bytes("error-reason").or_else(|| value.bytes("message")).or_else(|| value.bytes("warning"));
        String::from_utf8_lossy(text.unwrap_or(b"no reason given")).into_owned()
    };
    Ok(match value.bytes("result") {
        Some(b"pong") => Reply::Pong,
        Some(b"ok") if value.bytes("warning").is_some_and(is_unknown) => Reply::Unknown(reason()),
        Some(b"ok") => Reply::Done(value),
        Some(b"load limit") => Reply::Full(reason()),
        Some(b"error") => {
            let reason = reason();
            match () {
                _ if FULL.iter().any(|full| contains(&reason, full)) => Reply::Full(reason),
                _ if is_unknown(reason.as_bytes()) => Reply::Unknown(reason),
                _ => Reply::Refused(reason),
            }
        }
        _ => Reply::Refused("a reply without a result".to_owned()),
    })
}

/// What an rtpengine without room says.
const FULL: [&str; 5] = ["load limit", "session limit", "out of ports", "media ports", "free ports"];

fn is_unknown(reason: &[u8]) -> bool {
    let reason = String::from_utf8_lossy(reason);
    contains(&reason, "unknown call-id") || contains(&reason, "call-id not found")
}

fn contains(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase().contains(part)
}

#[cfg(test)]
mod tests;
