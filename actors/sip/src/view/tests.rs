use super::*;
use crate::testing::{all_torture, torture};
use crate::{CSeq, unfold};

fn parse(bytes: &[u8]) -> View<'_> {
    View::parse(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> ErrorKind {
    View::parse(text.as_bytes(), &Limits::default()).unwrap_err().kind
}

#[test]
fn a_request_written_as_oddly_as_allowed() {
    let bytes = torture("wsinv");
    let view = parse(&bytes);
    assert!(view.is_request());
    assert_eq!(view.method(), Method::Invite);
    assert_eq!(view.uri(), b"sip:vivekg@chair-dnrc.example.com;unknownparam");
    assert_eq!(view.call_id(), Ok(&b"wsinv.ndaksdj@192.0.2.1"[..]));
    assert_eq!(view.cseq(), Ok(CSeq { number: 9, method: Method::Invite }));
    assert_eq!(view.max_forwards(), Ok(Some(68)));
    assert_eq!(view.from().unwrap().tag(), Some(&b"98asjd8"[..]));
    assert_eq!(&*view.from().unwrap().display_decoded(), b"J Rosenberg \\\"");
    assert_eq!(view.to().unwrap().tag(), Some(&b"1918181833n"[..]));
    let branches: Vec<_> = view.vias().map(|via| via.unwrap().branch().unwrap()).collect();
    assert_eq!(branches, [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]);
    assert_eq!(view.count(Name::Via), 2);
    assert_eq!(view.contacts().next().unwrap().unwrap().q(), Ok(Some(330)));
    assert_eq!(view.header(Name::Subject), Some(&b""[..]));
    let newfangled = view.other("newfangledheader").unwrap();
    assert_eq!(&*unfold(newfangled), b"newfangled value continued newfangled value");
    assert_eq!(view.other("absent"), None);
    assert!(view.routes().next().unwrap().unwrap().uri().unwrap().param("lr").is_some());
    assert_eq!(view.body().len(), 150);
}

#[test]
fn a_response() {
    let bytes = torture("unreason");
    let view = parse(&bytes);
    assert!(!view.is_request());
    assert_eq!(view.status(), Some(Status::OK));
    assert_eq!(view.method(), Method::Invite);
    assert_eq!(view.uri(), b"");
    assert!(view.reason().starts_with(b"= 2**3 * 5**2 \xd0\xbd"));
    assert_eq!(parse(&torture("noreason")).reason(), b"");
    assert_eq!(parse(b"SIP/2.0 100\r\n\r\n").reason(), b"");
    assert_eq!(parse(b"sip/2.0 100 x\r\n\r\n").status(), Some(Status::TRYING));
}

#[test]
fn every_field_in_order() {
    let view = parse(b"OPTIONS sip:a SIP/2.0\r\ni: 1\r\nX-A :b\r\nX-A:\r\n\tc\r\na: *\r\n\r\n");
    let fields: Vec<_> = view.fields().map(|field| (field.id, field.name, field.value)).collect();
    assert_eq!(
        fields,
        [
            (Name::CallId, &b"i"[..], &b"1"[..]),
            (Name::Other, b"X-A", b"b"),
            (Name::Other, b"X-A", b"c"),
            (Name::Other, b"a", b"*"),
        ]
    );
    assert_eq!(view.others("x-a").collect::<Vec<_>>(), [b"b", b"c"]);
    assert_eq!(view.other("accept-contact"), Some(&b"*"[..]));
    assert_eq!(view.other("call-id"), Some(&b"1"[..]));
    assert_eq!(view.other("I"), Some(&b"1"[..]));
}

#[test]
fn numbers_and_option_tags() {
    let view = parse(
        b"OPTIONS sip:a SIP/2.0\r\nExpires: 3600\r\nSession-Expires: 90;refresher=uac\r\nMin-SE: x\r\nMin-Expires: 4294967296\r\nRetry-After: 5 (busy)\r\n\
        k: timer, 100rel\r\nSupported: path,,bad tag\r\nMax-Forwards: 256\r\n\r\n",
    );
    assert_eq!(view.number(Name::Expires), Ok(Some(3600)));
    assert_eq!(view.number(Name::SessionExpires), Ok(Some(90)));
    assert_eq!(view.number(Name::RetryAfter), Ok(Some(5)));
    assert_eq!(view.number(Name::RSeq), Ok(None));
    assert_eq!(view.number(Name::MinSe).unwrap_err().kind, ErrorKind::Syntax);
    assert_eq!(view.number(Name::MinExpires).unwrap_err().kind, ErrorKind::Range);
    assert_eq!(view.max_forwards().unwrap_err().kind, ErrorKind::Range);
    assert_eq!(view.option_tags(Name::Supported).collect::<Vec<_>>(), ["timer", "100rel", "path"]);
    assert!(view.has_option(Name::Supported, "100REL"));
    assert!(!view.has_option(Name::Require, "100rel"));
}

#[test]
fn borders_of_a_datagram() {
    let view = parse(b"\r\n\n\r\nOPTIONS sip:a SIP/2.0\nl: 2\n\nabcd");
    assert_eq!(view.body(), b"ab");
    assert_eq!(view.bytes(), b"OPTIONS sip:a SIP/2.0\nl: 2\n\nab");
    assert_eq!(parse(b"OPTIONS sip:a SIP/2.0\r\n\r\nabcd").body(), b"abcd");
    assert_eq!(parse(b"OPTIONS sip:a SIP/2.0\r\n").body(), b"");
    assert_eq!(parse(b"OPTIONS sip:a SIP/2.0\r\ni: 1\r\n").body(), b"");
}

#[test]
fn refused() {
    use ErrorKind::*;
    let rows = [
        ("", NotSip),
        ("\r\n\r\n", NotSip),
        ("hello", NotSip),
        ("hello\r\n\r\n", NotSip),
        ("GET / HTTP/1.1\r\n\r\n", NotSip),
        ("OPTIONS sip:a SIP/2.0", NotSip),
        ("OPTIONS SIP/2.0\r\n\r\n", Syntax),
        ("OPTIONS  SIP/2.0\r\n\r\n", Syntax),
        ("OPT\u{e9} sip:a SIP/2.0\r\n\r\n", NotSip),
        ("OPTIONS\tsip:a SIP/2.0\r\n\r\n", NotSip),
        ("OPTIONS sip:a\tb SIP/2.0\r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.0 \r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.1\r\n\r\n", Version),
        ("OPTIONS sip:a SIP/7.0\r\n\r\n", Version),
        ("OPTIONS sip:a SIP/2.00\r\n\r\n", Version),
        ("SIP/3.0 200 OK\r\n\r\n", Version),
        ("SIP/2.0 99 x\r\n\r\n", Syntax),
        ("SIP/2.0 700 x\r\n\r\n", Syntax),
        ("SIP/2.0 4294967301 x\r\n\r\n", Syntax),
        ("SIP/2.0  200 x\r\n\r\n", Syntax),
        ("SIP/2.0\r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.0\r\nX", Incomplete),
        ("OPTIONS sip:a SIP/2.0\r\nX: y", Incomplete),
        ("OPTIONS sip:a SIP/2.0\r\nno colon\r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.0\r\n: x\r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.0\r\n X: y\r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.0\r\nX\u{e9}: y\r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.0\r\nCall-ID\0: y\r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.0\r\nCall ID: y\r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.0\r\nCall\rID: y\r\n\r\n", Syntax),
        ("OPTIONS sip:a SIP/2.0\r\nl: 5\r\n\r\nabcd", Truncated),
        ("OPTIONS sip:a SIP/2.0\r\nl: 4294967296\r\n\r\nabcd", Truncated),
        ("OPTIONS sip:a SIP/2.0\r\nl: -1\r\n\r\nabcd", ContentLength),
        ("OPTIONS sip:a SIP/2.0\r\nl: 18446744073709551616\r\n\r\nabcd", ContentLength),
        ("OPTIONS sip:a SIP/2.0\r\nl: 4\r\nContent-Length: 4\r\n\r\nabcd", Duplicate),
    ];
    for (text, kind) in rows {
        assert_eq!(error(text), kind, "{text:?}");
    }
    let text = format!("OPTIONS sip:a SIP/2.0\r\n{}: y\r\n\r\n", "x".repeat(256));
    assert_eq!(error(&text), LineTooLong);
    let shown = View::parse(b"OPTIONS sip:a SIP/2.0\r\nl: -1\r\n\r\n", &Limits::default()).unwrap_err();
    assert_eq!(shown.to_string(), "bad Content-Length at byte 26: not one plain number");
}

#[test]
fn limits() {
    let limits = Limits { message_bytes_max: 100, headers_max: 3, line_bytes_max: 30 };
    let kind = |text: &str| View::parse(text.as_bytes(), &limits).map(|_| ()).map_err(|error| error.kind);
    assert_eq!(kind("OPTIONS sip:a SIP/2.0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"), Ok(()));
    assert_eq!(kind("OPTIONS sip:a SIP/2.0\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n"), Err(ErrorKind::TooMany));
    assert_eq!(kind(&format!("OPTIONS sip:a SIP/2.0\r\n\r\n{}", "x".repeat(100))), Err(ErrorKind::TooLarge));
    assert_eq!(kind("OPTIONS sip:aaaaaaaaaaaaaaaa SIP/2.0\r\n\r\n"), Err(ErrorKind::LineTooLong));
    assert_eq!(
        kind("OPTIONS sip:a SIP/2.0\r\nX: aaaaaaaaaaa\r\n aaaaaaaaaaaaaaaaa\r\n\r\n"),
        Err(ErrorKind::LineTooLong)
    );
    let zero = Limits { message_bytes_max: 0, headers_max: 0, line_bytes_max: 0 };
    assert!(View::parse(b"OPTIONS sip:a SIP/2.0\r\n\r\n", &zero).is_err());
    let many = format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(256));
    assert_eq!(parse(many.as_bytes()).others("X").count(), 256);
    let more = format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(257));
    assert_eq!(error(&more), ErrorKind::TooMany);
}

/// S23: work grows with the size of the input only.
#[test]
fn huge_inputs_are_read_or_refused() {
    let wide = Limits { message_bytes_max: 1 << 20, headers_max: 1 << 20, line_bytes_max: 1 << 20 };
    let name = format!("OPTIONS sip:a SIP/2.0\r\nFrom: \"{}\" <sip:a>\r\n\r\n", "x".repeat(1 << 19));
    let view = View::parse(name.as_bytes(), &wide).unwrap();
    assert_eq!(view.from().unwrap().display.len(), 1 << 19);
    let vias = format!("OPTIONS sip:a SIP/2.0\r\nVia: {}\r\n\r\n", vec!["SIP/2.0/UDP a"; 10_000].join(","));
    assert_eq!(View::parse(vias.as_bytes(), &wide).unwrap().vias().count(), 10_000);
    let lines = format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "Route: <sip:a;lr>\r\n".repeat(10_000));
    assert_eq!(View::parse(lines.as_bytes(), &wide).unwrap().routes().count(), 10_000);
}

#[test]
fn salvage_reads_what_is_needed_for_an_answer() {
    let view =
        View::salvage(b"INVITE  sip:a  SIP/7.0 \r\nVia: x\r\nbroken\r\ni: 1\r\nl: 99\r\n\r\nbody", &Limits::default())
            .unwrap();
    assert_eq!(view.method(), Method::Invite);
    assert_eq!(view.call_id(), Ok(&b"1"[..]));
    assert_eq!(view.body(), b"");
    assert!(View::salvage(b"hello\r\n\r\n", &Limits::default()).is_none());
}

#[test]
fn offsets_name_the_byte() {
    for (name, bytes) in all_torture() {
        let Ok(view) = View::parse(&bytes, &Limits::default()) else { continue };
        if let Err(error) = view.check() {
            assert!(error.offset <= view.bytes().len(), "{name}");
        }
    }
    let view = parse(b"OPTIONS sip:a SIP/2.0\r\nCSeq: 1 OPT@\r\nFrom: <sip:a\r\n\r\n");
    let error = view.cseq().unwrap_err();
    assert_eq!((error.offset, error.field), (31, "CSeq"));
    let error = view.from().unwrap_err();
    assert_eq!((&view.bytes()[error.offset..error.offset + 4], error.field), (&b"<sip"[..], "From"));
}
