use super::*;

fn text(lines: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{}", lines.replace('|', "\r\n"))
}

#[test]
fn who_is_on_hold() {
    let rows = [
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0", false),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=sendonly", true),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=inactive", true),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=recvonly", false),
        ("c=IN IP4 192.0.2.1|a=sendonly|m=audio 4000 RTP/AVP 0", true),
        ("c=IN IP4 192.0.2.1|a=sendonly|m=audio 4000 RTP/AVP 0|a=sendrecv", false),
        ("c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0", true),
        ("c=IN IP6 ::|m=audio 4000 RTP/AVP 0", true),
        ("c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0|c=IN IP4 192.0.2.1", false),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|c=IN IP4 0.0.0.0", true),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=sendonly|m=video 4002 RTP/AVP 31", false),
        ("c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=sendonly|m=video 0 RTP/AVP 31", true),
        ("c=IN IP4 192.0.2.1|m=audio 0 RTP/AVP 0", false),
        ("c=IN IP4 192.0.2.1", false),
    ];
    for (lines, expected) in rows {
        let text = text(lines);
        assert_eq!(Session::parse(text.as_bytes()).unwrap().is_hold(), expected, "{lines}");
    }
}

/// Each row: lines, edit, lines after it.
#[test]
fn edits() {
    type Edit = fn(&mut Session<'_>);
    let rows: &[(&str, Edit, &str)] = &[
        (
            "a=sendonly|m=audio 4000 RTP/AVP 0|a=recvonly|a=ptime:20|m=video 0 RTP/AVP 31|",
            |s| s.set_direction(Direction::Inactive),
            "m=audio 4000 RTP/AVP 0|a=ptime:20|a=inactive|m=video 0 RTP/AVP 31|",
        ),
        (
            "c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|c=IN IP4 192.0.2.2|",
            |s| s.set_address("2001:db8::9".parse().unwrap()),
            "c=IN IP6 2001:db8::9|m=audio 4000 RTP/AVP 0|c=IN IP6 2001:db8::9|",
        ),
        (
            "a=ice-lite|m=audio 4000 RTP/AVP 0|a=ice-ufrag:x|a=ice-pwd:y|a=candidate:1 1 UDP 1 10.0.0.1 9 typ host|a=mid:0|a=end-of-candidates|",
            |s| assert!(s.strip_ice()),
            "m=audio 4000 RTP/AVP 0|a=mid:0|",
        ),
        ("m=audio 4000 RTP/AVP 0|", |s| assert!(!s.strip_ice()), "m=audio 4000 RTP/AVP 0|"),
        ("m=audio 4000/2 RTP/AVP 0 8|a=ptime:20|", |s| s.media[0].refuse(), "m=audio 0 RTP/AVP 0 8|"),
        (
            "m=audio 4000 RTP/AVP 0|",
            |s| s.media[0].add_attribute("x", "a\r\nm=evil"),
            "m=audio 4000 RTP/AVP 0|a=x:a  m=evil|",
        ),
    ];
    for (before, edit, after) in rows {
        let body = text(before);
        let mut session = Session::parse(body.as_bytes()).unwrap();
        edit(&mut session);
        assert_eq!(String::from_utf8(session.to_bytes()).unwrap(), text(after));
        let owned = session.clone().into_owned();
        assert_eq!(owned, session);
    }
}

#[test]
fn an_address_is_added_where_there_is_none() {
    let body = text("m=audio 4000 RTP/AVP 0|");
    let mut session = Session::parse(body.as_bytes()).unwrap();
    session.set_address("192.0.2.9".parse().unwrap());
    session.set_origin("tandem", 7, 8, "192.0.2.9".parse().unwrap());
    assert_eq!(
        String::from_utf8(session.to_bytes()).unwrap(),
        "v=0\r\no=tandem 7 8 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    );
    let mut bare = Session { lines: vec![Line::new(b'v', "0")], media: Vec::new() };
    bare.set_origin("-", 1, 1, "192.0.2.9".parse().unwrap());
    assert!(bare.origin().is_some());
}
