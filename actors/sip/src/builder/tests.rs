use super::*;
use crate::testing::torture;

#[test]
fn a_request() {
    let message = Builder::request(Method::Invite, "sip:a@b")
        .header(Name::Via, "SIP/2.0/UDP c;branch=z9")
        .header(Name::ContentLength, "99")
        .header(Name::Other, "lost")
        .other("X-One", " two ")
        .other("content-length", "5")
        .other("L", "5")
        .body(b"application/sdp", b"v=0\r\n")
        .build();
    assert_eq!(
        &message.bytes()[..],
        b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9\r\nX-One: two\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    );
    assert_eq!(message.method(), crate::MethodName::Invite);
}

#[test]
fn nothing_breaks_out_of_its_line() {
    let message = Builder::request(Method::Other("BAD METHOD\r\n"), b"sip:a b\r\nX: y")
        .header(Name::Subject, "a\r\nEvil: 1\n\0b")
        .other("Na me:\r\n", "v")
        .build();
    assert_eq!(
        &message.bytes()[..],
        b"BAD-METHOD-- sip:a%20b%0D%0AX:%20y SIP/2.0\r\nSubject: a  Evil: 1  b\r\nNa-me---: v\r\nContent-Length: 0\r\n\r\n"
    );
    let empty = Builder::request(Method::Other(""), "").build();
    assert_eq!(empty.view().uri(), b"-");
    let odd = Builder::response_with(Status(0), b"a\r\nb").build();
    assert_eq!(odd.view().reason(), b"a  b");
    assert_eq!(odd.status(), Some(Status::SERVER_INTERNAL_ERROR));
}

#[test]
fn an_answer() {
    let bytes = b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=1\r\nv: SIP/2.0/UDP d\r\n ;branch=2\r\nRecord-Route: <sip:p;lr>\r\n\
        From: <sip:x@y>;tag=1\r\nTo: \"B\" <sip:a@b>\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\nTimestamp: 5\r\nContent-Length: 0\r\n\r\n";
    let request = View::parse(bytes, &Limits::default()).unwrap();
    let text = |status, tag: Option<&[u8]>| {
        let reply = Builder::reply_to(&request, status, tag).build();
        String::from_utf8(reply.bytes().to_vec()).unwrap().replace("\r\n", "\n")
    };
    let vias = "Via: SIP/2.0/UDP c;branch=1\nVia: SIP/2.0/UDP d   ;branch=2\n";
    assert_eq!(
        text(Status::TRYING, None),
        format!(
            "SIP/2.0 100 Trying\n{vias}From: <sip:x@y>;tag=1\nTo: \"B\" <sip:a@b>\nCall-ID: i\nCSeq: 1 INVITE\nTimestamp: 5\nContent-Length: 0\n\n"
        )
    );
    assert_eq!(
        text(Status::RINGING, Some(b"t\r\n")),
        format!(
            "SIP/2.0 180 Ringing\n{vias}Record-Route: <sip:p;lr>\nFrom: <sip:x@y>;tag=1\nTo: \"B\" <sip:a@b>;tag=t--\nCall-ID: i\nCSeq: 1 INVITE\nContent-Length: 0\n\n"
        )
    );
    assert_eq!(
        text(Status::BUSY_HERE, Some(b"t")),
        format!(
            "SIP/2.0 486 Busy Here\n{vias}From: <sip:x@y>;tag=1\nTo: \"B\" <sip:a@b>;tag=t\nCall-ID: i\nCSeq: 1 INVITE\nContent-Length: 0\n\n"
        )
    );
}

#[test]
fn a_tag_that_is_there_stays() {
    let bytes = torture("intmeth");
    let request = View::parse(&bytes, &Limits::default()).unwrap();
    let reply = Builder::reply_to(&request, Status::OK, Some(b"new")).build();
    assert_eq!(reply.view().to().unwrap().tag(), Some(&b"new"[..]));
    let again = Builder::reply_to(&reply.view(), Status::OK, Some(b"other")).build();
    assert_eq!(again.view().to().unwrap().tag(), Some(&b"new"[..]));
}

#[test]
fn copies() {
    let bytes = torture("wsinv");
    let view = View::parse(&bytes, &Limits::default()).unwrap();
    let message = Builder::request(view.method(), view.uri())
        .copy_where(&view, |field| field.id != Name::Via)
        .copy(&view, Name::Via)
        .payload(view.body().to_vec())
        .build();
    let copy = message.view();
    assert_eq!(copy.vias().filter_map(Result::ok).count(), 3);
    assert_eq!(copy.body(), view.body());
    assert_eq!(copy.to().unwrap().tag(), Some(&b"1918181833n"[..]));
    assert_eq!(copy.other("NewFangledHeader"), Some(&b"newfangled value   continued newfangled value"[..]));
    assert_eq!(copy.check(), Ok(()));
}

#[test]
fn more_headers_than_fit_on_the_stack() {
    let builder = (0..500).fold(Builder::response(Status::OK), |builder, n| builder.other("X", n.to_string()));
    let message = builder.build();
    assert_eq!(message.view().others("x").count(), 500);
    assert_eq!(message.view().others("X").last(), Some(&b"499"[..]));
}
