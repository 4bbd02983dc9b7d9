use proptest::prelude::*;

use super::*;
use SdpErrorKind as K;

pub(crate) const PHONE: &[u8] =
    b"v=0\r\no=alice 53655765 2353687637 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nb=AS:84\r\nt=0 0\r\n\
a=sendrecv\r\nm=audio 49172/2 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n\
m=video 0 RTP/AVP 31\r\n";

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";

fn fault(body: &str) -> Option<(K, usize)> {
    Session::parse(body.as_bytes()).err().map(|error| (error.kind, error.line))
}

#[test]
fn a_phone_is_understood() {
    let session = Session::parse(PHONE).unwrap();
    assert_eq!(session.origin().unwrap().session_id, "53655765");
    assert_eq!(session.media.len(), 2);
    let audio = &session.media[0];
    assert_eq!((&*audio.kind, audio.port, audio.ports, &*audio.protocol), ("audio", 49172, 2, "RTP/AVP"));
    assert_eq!(audio.formats, ["0", "8", "101"]);
    assert_eq!(audio.attribute("ptime"), Some(&b"20"[..]));
    assert!(session.media[1].is_refused());
    assert_eq!(session.to_bytes(), PHONE);
}

#[test]
fn sloppiness_is_tolerated() {
    let media = "m=audio 4000 RTP/AVP 0";
    for body in [
        format!("{HEAD}{media}"),
        format!("{HEAD}{media}\n"),
        format!("{HEAD}{media}\r"),
        format!("{HEAD}{media}\r\n\r\n"),
        format!("\r\n{HEAD}\r\n{media}"),
        format!("{}{media}", HEAD.replace("\r\n", "\n")),
        format!("{}{media}", HEAD.replace("s=-\r\n", "")),
        format!("{}{media}", HEAD.replace("s=-", "s=")),
        format!("v=0 \r\n{}{media}", &HEAD[5..]),
    ] {
        let session = Session::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body:?}"));
        assert_eq!(session.media.len(), 1, "{body:?}");
        assert!(session.to_bytes().ends_with(b"m=audio 4000 RTP/AVP 0\r\n"));
    }
}

#[test]
fn what_is_wrong_and_where() {
    let many = |count: usize| "m=audio 4000 RTP/AVP 0\r\n".repeat(count);
    let rows: Vec<(String, Option<(K, usize)>)> = vec![
        ("".into(), Some((K::Version, 0))),
        ("\r\n\r\n".into(), Some((K::Version, 0))),
        ("v=1\r\n".into(), Some((K::Version, 1))),
        ("o=- 1 1 IN IP4 h\r\nv=0\r\n".into(), Some((K::Version, 1))),
        (format!("{HEAD}v=0\r\n"), Some((K::Version, 4))),
        ("v=0\r\ns=-\r\n".into(), Some((K::NoOrigin, 0))),
        ("v=0\r\no=- 1 IN IP4 h\r\n".into(), Some((K::Origin, 2))),
        (format!("{HEAD}m=audio 1 RTP/AVP 0\r\no=- 1 1 IN IP4 h\r\n"), Some((K::Origin, 5))),
        (format!("{HEAD}hello"), Some((K::Line, 4))),
        (format!("{HEAD} c=IN IP4 h"), Some((K::Line, 4))),
        (format!("{HEAD}a"), Some((K::Line, 4))),
        (format!("{HEAD}=x"), Some((K::Line, 4))),
        (format!("{HEAD}a=x\0y"), Some((K::Line, 4))),
        (format!("{HEAD}c=IN IP4"), Some((K::Connection, 4))),
        (format!("{HEAD}b="), Some((K::Bandwidth, 4))),
        (format!("{HEAD}b=AS"), Some((K::Bandwidth, 4))),
        (format!("{HEAD}b=AS:"), Some((K::Bandwidth, 4))),
        (format!("{HEAD}b=:1"), Some((K::Bandwidth, 4))),
        (format!("{HEAD}b=AS:x"), Some((K::Bandwidth, 4))),
        (format!("{HEAD}b=AS:64"), None),
        (format!("{HEAD}m=audio"), Some((K::Media, 4))),
        (format!("{HEAD}m=audio 1 RTP/AVP"), Some((K::Media, 4))),
        (format!("{HEAD}m=audio 0 RTP/AVP"), None),
        (format!("{HEAD}m=audio x RTP/AVP 0"), Some((K::Media, 4))),
        (format!("{HEAD}m=audio 65536 RTP/AVP 0"), Some((K::Media, 4))),
        (format!("{HEAD}m=audio +1 RTP/AVP 0"), Some((K::Media, 4))),
        (format!("{HEAD}m=audio 1/x RTP/AVP 0"), Some((K::Media, 4))),
        (format!("{HEAD}m=audio 1 RTP/AVP{}", " 0".repeat(128)), None),
        (format!("{HEAD}m=audio 1 RTP/AVP{}", " 0".repeat(129)), Some((K::TooManyFormats, 4))),
        (format!("{HEAD}{}", many(32)), None),
        (format!("{HEAD}{}", many(500)), Some((K::TooManyMedia, 36))),
        (format!("{HEAD}{}", "a=x\r\n".repeat(2_046)), Some((K::TooManyLines, 2_049))),
        ("v".repeat(65_536), Some((K::TooLarge, 0))),
    ];
    for (body, expected) in rows {
        assert_eq!(fault(&body), expected, "{}", &body[..body.len().min(120)]);
    }
    assert_eq!(Session::parse(b"v=0\r\no=x\r\n").unwrap_err().to_string(), "bad SDP in line 2 (byte 5): bad o= line");
}

#[test]
fn bytes_that_are_not_text_stay() {
    let body = [HEAD.as_bytes(), b"i=caf\xe9\r\n"].concat();
    assert_eq!(Session::parse(&body).unwrap().to_bytes(), body);
    let body = [HEAD.as_bytes(), b"m=aud\xe9o 1 RTP/AVP 0\r\n"].concat();
    assert_eq!(Session::parse(&body).unwrap_err().kind, K::Media);
}

proptest! {
    #[test]
    fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Session::parse(&bytes);
    }

    /// parse(print(s)) == s, also for what mutation made of a good one.
    #[test]
    fn printing_is_the_inverse(changes in proptest::collection::vec((0..PHONE.len(), any::<u8>()), 0..6), cut in 0..=PHONE.len()) {
        let mut body = PHONE[..cut].to_vec();
        for (place, byte) in changes {
            if let Some(old) = body.get_mut(place) {
                *old = byte;
            }
        }
        if let Ok(session) = Session::parse(&body) {
            let printed = session.to_bytes();
            let again = Session::parse(&printed).unwrap();
            prop_assert_eq!(&again, &session);
            prop_assert_eq!(again.to_bytes(), printed);
            let _ = (session.is_hold(), session.origin(), session.connection());
            let _ = crate::safety::judge(&session, &crate::Rules::default());
            let _ = crate::check_answer(&session, &session);
            let mut edited = session.clone();
            edited.strip_ice();
            crate::codec::filter(&mut edited, &["PCMA"]);
            prop_assert!(Session::parse(&edited.to_bytes()).is_ok());
        }
    }

    #[test]
    fn lines_in_any_order_do_not_break_it(lines in proptest::collection::vec("[a-z]=[ -~]{0,30}", 0..30)) {
        let body = format!("v=0\r\no=- 1 1 IN IP4 h\r\n{}", lines.join("\r\n"));
        if let Ok(session) = Session::parse(body.as_bytes()) {
            let printed = session.to_bytes();
            prop_assert_eq!(&Session::parse(&printed).unwrap(), &session);
        }
    }
}
