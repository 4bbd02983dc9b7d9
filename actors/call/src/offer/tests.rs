use sip::{Builder, Message, Method};

use super::*;

fn message(kind: &str, body: &str, encoding: Option<&str>) -> Message {
    let mut builder = Builder::request(Method::Invite, b"sip:bob@example.test");
    if let Some(encoding) = encoding {
        builder = builder.header(Name::ContentEncoding, encoding);
    }
    builder.body(kind.as_bytes(), body.as_bytes()).build()
}

#[test]
fn session_descriptions_in_bodies() {
    let mixed =
        "--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n";
    let text = "--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n";
    // Content-Type, body, encoding, what comes out: Ok(Some), Ok(None) or the status
    let rows: [(&str, &str, Option<&str>, Result<Option<&str>, u16>); 8] = [
        ("application/sdp", "v=0", None, Ok(Some("v=0"))),
        ("Application/SDP; charset=utf-8", "v=0", None, Ok(Some("v=0"))),
        ("application/sdp", "", None, Ok(None)),
        ("application/sdp", "v=0", Some("identity"), Ok(Some("v=0"))),
        ("application/sdp", "v=0", Some("gzip"), Err(415)),
        ("text/plain", "hi", None, Err(415)),
        ("multipart/mixed;boundary=b", mixed, None, Ok(Some("v=0"))),
        ("multipart/mixed;boundary=b", text, None, Err(415)),
    ];
    for (kind, body, encoding, wanted) in rows {
        let message = message(kind, body, encoding);
        let found = sdp_of(&message.view()).map_err(|reject| reject.status.0);
        assert_eq!(found, wanted.map(|body| body.map(str::as_bytes)), "{kind} {body}");
    }
}

#[test]
fn answers_of_the_media_session() {
    let refuse = Settings::default();
    let unanchored = Settings { without_relay: WithoutRelay::Unanchored, ..Settings::default() };
    let done = |done: MediaDone| Ok(Letter::MediaDone(Box::new(done)));
    let status = |made: Result<Option<Bytes>, Reject>| made.map_err(|reject| reject.status.0);
    let sdp = Bytes::from_static(b"v=0");
    assert_eq!(status(made(done(MediaDone::Sdp(sdp.clone())), &refuse)), Ok(Some(sdp)));
    assert_eq!(status(made(done(MediaDone::Unanchored), &refuse)), Ok(None));
    assert_eq!(status(made(done(MediaDone::Dropped), &refuse)), Err(488));
    // fault, refused policy, unanchored policy
    let rows = [
        (Fault::unavailable("x"), Err(503), Ok(None)),
        (Fault::timeout("x"), Err(503), Ok(None)),
        (Fault::new(FaultKind::Overload, "x"), Err(503), Ok(None)),
        (Fault::refused("x"), Err(488), Err(488)),
    ];
    for (fault, strict, lax) in rows {
        assert_eq!(status(made(Err(fault.clone()), &refuse)), strict, "{fault:?}");
        assert_eq!(status(made(Err(fault.clone()), &unanchored)), lax, "{fault:?}");
    }
}
