//! Statistics in the reply to `delete` and `query`, as rtpengine 10.5 writes them.
//!
//! `tags` has a dictionary for each leg, its `medias` a list, their `streams` a list: the packets that came *from* that
//! leg. `SSRC` has what the other side's RTCP said of each source.

use fabric::letters::media::StreamStats;

use crate::bencode::Value;

/// Most streams that are kept of a reply, count.
pub const STREAMS_MAX: usize = 64;

/// One entry for each RTP stream that each leg sent, legs in the order of the reply.
pub fn streams(reply: &Value<'_>) -> Vec<StreamStats> {
    let Some(tags) = reply.get("tags") else { return Vec::new() };
    let sources = reply.get("SSRC");
    let mut out = Vec::new();
    for (tag, leg) in tags.pairs() {
        let medias = leg.get("medias").map(Value::items).unwrap_or_default();
        for stream in medias.iter().flat_map(|media| media.get("streams").map(Value::items).unwrap_or_default()) {
            if out.len() == STREAMS_MAX {
                return out;
            }
            // A leg that was dropped keeps its entry but has no port.
            if is_rtp(stream) && stream.get("local port").is_some() {
                out.push(one(&String::from_utf8_lossy(tag), stream, sources));
            }
        }
    }
    out
}

fn is_rtp(stream: &Value<'_>) -> bool {
    let flags = stream.get("flags").map(Value::items).unwrap_or_default();
    // With RTCP multiplexing one stream has both flags.
    flags.iter().any(|flag| flag.as_bytes() == Some(b"RTP"))
}

fn one(tag: &str, stream: &Value<'_>, sources: Option<&Value<'_>>) -> StreamStats {
    let counter = |name| stream.get("stats").and_then(|stats| stats.number(name)).unwrap_or(0);
    let source = stream.number("SSRC").and_then(|ssrc| sources?.get(&ssrc.to_string()));
    let jitter = source.and_then(|source| source.get("average MOS")?.number("jitter"));
    StreamStats {
        tag: tag.to_owned(),
        packets: counter("packets"),
        bytes: counter("bytes"),
        errors: counter("errors"),
        lost: source.and_then(|source| source.number("cumulative loss")),
        jitter: jitter.map(|jitter| u32::try_from(jitter).unwrap_or(u32::MAX)),
    }
}

#[cfg(test)]
mod tests;
