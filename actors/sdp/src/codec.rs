//! Payload types and the codec filter. RFC 3551 6 for the static ones, RFC 8866 6.6 for `rtpmap`.

use crate::session::{Line, Media, Session};

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec<'a> {
    /// Payload type, as it stands in the m-line.
    pub format: &'a str,
    /// Encoding name; compare without case.
    pub name: &'a str,
    /// Clock rate, Hz; 0 when unknown.
    pub rate: u32,
    /// Channels or other parameters behind the second slash; empty where there are none.
    pub parameters: &'a str,
}

impl Media<'_> {
    /// The codecs of an RTP stream in order of preference; a dynamic type without `rtpmap` has no name.
    pub fn codecs(&self) -> impl Iterator<Item = Codec<'_>> {
        let rtp = self.is_rtp();
        self.formats.iter().filter(move |_| rtp).map(|format| self.codec(format))
    }

    fn codec<'b>(&'b self, format: &'b str) -> Codec<'b> {
        let map = self.attributes("rtpmap").find_map(|value| {
            let (own, encoding) = std::str::from_utf8(value).ok()?.trim_start().split_once(' ')?;
            (own == format).then(|| encoding.trim())
        });
        let encoding = map.or_else(|| static_encoding(format)).unwrap_or("");
        let mut parts = encoding.splitn(3, '/');
        let name = parts.next().unwrap_or("");
        let rate = parts.next().and_then(|rate| rate.parse().ok()).unwrap_or(0);
        Codec { format, name, rate, parameters: parts.next().unwrap_or("") }
    }

    /// Keeps the codecs that `keep` picks, with their attributes; says whether any is left.
    ///
    /// A retransmission stream (RFC 4588) goes with the codec it belongs to.
    pub fn keep_codecs(&mut self, mut keep: impl FnMut(&Codec<'_>) -> bool) -> bool {
        let mut kept: Vec<String> = self
            .codecs()
            .filter(|codec| !is_named(codec, "rtx") && keep(codec))
            .map(|codec| codec.format.to_owned())
            .collect();
        let repeats: Vec<String> = self
            .codecs()
            .filter(|codec| is_named(codec, "rtx"))
            .filter(|codec| self.repeated_by(codec.format).is_some_and(|of| kept.contains(&of)))
            .map(|codec| codec.format.to_owned())
            .collect();
        kept.extend(repeats);
        self.formats.retain(|format| kept.iter().any(|own| **own == **format));
        self.lines.retain(|line| format_of(line).is_none_or(|format| kept.iter().any(|own| own.as_bytes() == format)));
        !kept.is_empty()
    }

    /// The payload type that `format` repeats, from `a=fmtp:97 apt=96`.
    fn repeated_by(&self, format: &str) -> Option<String> {
        self.attributes("fmtp").find_map(|value| {
            let (own, parameters) = std::str::from_utf8(value).ok()?.trim_start().split_once(' ')?;
            let apt = parameters.split(';').find_map(|part| part.trim().strip_prefix("apt="))?;
            (own == format).then(|| apt.to_owned())
        })
    }
}

/// Keeps only the named codecs (any case) in every RTP stream; telephone events and comfort noise stay beside a codec.
///
/// A stream that has none of them is refused. Says whether a stream is left.
pub fn filter(session: &mut Session<'_>, names: &[&str]) -> bool {
    for media in session.media.iter_mut().filter(|media| media.is_rtp() && !media.is_refused()) {
        let wanted = media.codecs().any(|codec| names.iter().any(|name| is_named(&codec, name)));
        if !wanted {
            media.refuse();
            continue;
        }
        media.keep_codecs(|codec| is_companion(codec) || names.iter().any(|name| is_named(codec, name)));
    }
    session.media.iter().any(|media| !media.is_refused())
}

fn is_companion(codec: &Codec<'_>) -> bool {
    is_named(codec, "telephone-event") || is_named(codec, "CN")
}

fn is_named(codec: &Codec<'_>, name: &str) -> bool {
    codec.name.eq_ignore_ascii_case(name)
}

/// The payload type an attribute line is about.
fn format_of<'b>(line: &'b Line<'_>) -> Option<&'b [u8]> {
    let (name, value) = line.attribute()?;
    if !matches!(name, b"rtpmap" | b"fmtp" | b"rtcp-fb") {
        return None;
    }
    let format = value.trim_ascii_start().split(u8::is_ascii_whitespace).next()?;
    (format != b"*").then_some(format)
}

fn static_encoding(format: &str) -> Option<&'static str> {
    Some(match format {
        "0" => "PCMU/8000",
        "3" => "GSM/8000",
        "4" => "G723/8000",
        "5" => "DVI4/8000",
        "6" => "DVI4/16000",
        "7" => "LPC/8000",
        "8" => "PCMA/8000",
        "9" => "G722/8000",
        "10" => "L16/44100/2",
        "11" => "L16/44100",
        "12" => "QCELP/8000",
        "13" => "CN/8000",
        "14" => "MPA/90000",
        "15" => "G728/8000",
        "16" => "DVI4/11025",
        "17" => "DVI4/22050",
        "18" => "G729/8000",
        "25" => "CelB/90000",
        "26" => "JPEG/90000",
        "28" => "nv/90000",
        "31" => "H261/90000",
        "32" => "MPV/90000",
        "33" => "MP2T/90000",
        "34" => "H263/90000",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
