use super::*;

const WIDE: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 96 8 0 13 101 111\r\n\
a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
a=ptime:20\r\nm=video 4002 RTP/AVP 97 98\r\na=rtpmap:97 VP8/90000\r\na=rtcp-fb:97 nack\r\na=rtcp-fb:* ccm fir\r\na=rtpmap:98 rtx/90000\r\n\
a=fmtp:98 apt=97\r\nm=image 4004 udptl t38\r\n";

fn filtered(names: &[&str]) -> (bool, Vec<String>) {
    let mut session = Session::parse(WIDE.as_bytes()).unwrap();
    let left = filter(&mut session, names);
    let printed = String::from_utf8(session.to_bytes()).unwrap();
    Session::parse(printed.as_bytes()).unwrap();
    (left, printed.lines().skip(5).map(str::to_owned).collect())
}

#[test]
fn codecs_have_names_and_rates() {
    let session = Session::parse(WIDE.as_bytes()).unwrap();
    let found: Vec<(&str, &str, u32, &str)> =
        session.media[0].codecs().map(|c| (c.format, c.name, c.rate, c.parameters)).collect();
    assert_eq!(
        found,
        [
            ("96", "opus", 48_000, "2"),
            ("8", "PCMA", 8_000, ""),
            ("0", "PCMU", 8_000, ""),
            ("13", "CN", 8_000, ""),
            ("101", "telephone-event", 8_000, ""),
            ("111", "", 0, ""),
        ]
    );
    assert_eq!(session.media[2].codecs().count(), 0, "no codecs outside RTP");
}

#[test]
fn the_filter_keeps_what_belongs_together() {
    assert_eq!(
        filtered(&["pcma", "VP8"]),
        (
            true,
            [
                "m=audio 4000 RTP/AVP 8 13 101",
                "a=rtpmap:8 PCMA/8000",
                "a=rtpmap:101 telephone-event/8000",
                "a=fmtp:101 0-16",
                "a=ptime:20",
                "m=video 4002 RTP/AVP 97 98",
                "a=rtpmap:97 VP8/90000",
                "a=rtcp-fb:97 nack",
                "a=rtcp-fb:* ccm fir",
                "a=rtpmap:98 rtx/90000",
                "a=fmtp:98 apt=97",
                "m=image 4004 udptl t38",
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
}

#[test]
fn a_stream_without_a_codec_is_refused() {
    let (left, lines) = filtered(&["G729"]);
    assert!(left, "the fax stream is no RTP");
    assert_eq!(lines, ["m=audio 0 RTP/AVP 96 8 0 13 101 111", "m=video 0 RTP/AVP 97 98", "m=image 4004 udptl t38"]);
    let mut session = Session::parse(WIDE.as_bytes()).unwrap();
    session.media.pop();
    assert!(!filter(&mut session, &[]));
}
