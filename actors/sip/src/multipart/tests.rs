use super::*;
use crate::testing::torture;
use crate::{Limits, Name, View};

const TYPE: &[u8] = b"multipart/mixed;boundary=x";

fn found(body: &str) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    parts(TYPE, body.as_bytes()).unwrap().map(|part| (text(part.headers), text(part.body))).collect()
}

#[test]
fn a_binary_part_of_rfc_4475() {
    let bytes = torture("mpart01");
    let view = View::parse(&bytes, &Limits::default()).unwrap();
    let content_type = view.header(Name::ContentType).unwrap();
    let found: Vec<Part> = parts(content_type, view.body()).unwrap().collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].header("content-type"), Some(&b"text/plain"[..]));
    assert_eq!(found[0].body, b"Hello");
    assert_eq!(found[1].header("Content-Transfer-Encoding"), Some(&b"binary"[..]));
    assert!(found[1].body.starts_with(&[0x30, 0x82]));
}

#[test]
fn shapes() {
    let pair = |headers: &str, body: &str| (headers.to_owned(), body.to_owned());
    assert_eq!(found("--x\r\nA: 1\r\n\r\nbody\r\n--x--\r\n"), [pair("A: 1", "body")]);
    assert_eq!(found("preamble\r\n--x\r\n\r\nbody\r\n--x--"), [pair("", "body")]);
    assert_eq!(found("--x \r\n\r\n\r\n--x\nA: 1\n\nb\n--x--\nepilogue\n--x\n"), [pair("", ""), pair("A: 1", "b")]);
    assert_eq!(found("--x\r\n\r\n--xy\r\n --x\r\n--x--\r\n"), [pair("", "--xy\r\n --x")]);
    assert_eq!(found("--x\r\nA: 1\r\n--x--\r\n"), [pair("A: 1", "")]);
    assert_eq!(found("--x\r\n--x--\r\n"), [pair("", "")]);
}

#[test]
fn folded_part_headers() {
    let body = b"--x\r\nContent-Type: a/b;\r\n c=d\r\nB: 2\r\n\r\n--x--";
    let part = parts(TYPE, body).unwrap().next().unwrap();
    assert_eq!(part.header("content-type"), Some(&b"a/b;\r\n c=d"[..]));
    assert_eq!(part.header("b"), Some(&b"2"[..]));
    assert_eq!(part.header("c"), None);
}

#[test]
fn refused() {
    for body in ["", "--x", "--x\r\n\r\nbody", "--x--", "body", "--y\r\n\r\n--y--"] {
        assert!(parts(TYPE, body.as_bytes()).is_err(), "{body}");
    }
    for content_type in ["multipart/mixed", "multipart/mixed;boundary", "multipart/mixed;boundary=\"\"", ""] {
        assert!(parts(content_type.as_bytes(), b"--x\r\n\r\n--x--").is_err(), "{content_type}");
    }
    let many = "--x\r\n\r\n".repeat(PARTS_MAX + 1) + "--x--";
    assert!(matches!(parts(TYPE, many.as_bytes()).map(|_| ()), Err(error) if error.kind == ErrorKind::TooMany));
    assert_eq!(boundary(b"multipart/mixed;boundary=\"a b\"").unwrap(), b"a b");
}
