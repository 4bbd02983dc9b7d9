use super::*;
use crate::testing::torture;
use Frame::{Ping, Pong};

fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
    let mut framer = Framer::new(Limits { message_bytes_max: 2_000, headers_max: 20, line_bytes_max: 300 });
    let mut frames = Vec::new();
    for piece in pieces {
        framer.feed(piece);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn message(text: &str) -> Frame {
    Frame::Message(Bytes::from(text.as_bytes().to_vec()))
}

const ONE: &str = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 3\r\n\r\nabc";

#[test]
fn keep_alives() {
    assert_eq!(frames(&[b"\r\n\r\n"]).0, [Ping]);
    assert_eq!(frames(&[b"\r\n"]).0, [Pong]);
    assert_eq!(frames(&[b"\r\n", b"\r\n"]).0, [Pong, Ping]);
    assert_eq!(frames(&[b"\r", b"\n\r", b"\n"]).0, [Pong, Ping]);
    assert_eq!(frames(&[b"\r\n\r\n\r\n\r\n"]).0, [Ping, Ping]);
    assert_eq!(frames(&[b"\r\n", ONE.as_bytes(), b"\r\n"]).0, [Pong, message(ONE), Pong]);
    assert_eq!(frames(&[b"\n\n"]).0, []);
}

#[test]
fn several_in_one_read_and_one_in_many() {
    let stream = format!("\r\n\r\n{ONE}{ONE}\r\n\r\n{ONE}");
    let expected = [Ping, message(ONE), message(ONE), Ping, message(ONE)];
    assert_eq!(frames(&[stream.as_bytes()]).0, expected);
    let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
    let without_pong: Vec<Frame> = frames(&single).0.into_iter().filter(|frame| *frame != Pong).collect();
    assert_eq!(without_pong, expected);
}

/// S5 of the security page: no second message is ever made of body bytes.
#[test]
fn lengths_that_lie_close_the_stream() {
    let evil = "INVITE sip:evil@x SIP/2.0\r\nContent-Length: 0\r\n\r\n";
    let rows = [
        ("Content-Length: -1", 400),
        ("Content-Length: 4294967296", 413),
        ("Content-Length: 4294967299", 413),
        ("Content-Length: 18446744073709551616", 400),
        ("Content-Length: 18446744073709551619", 400),
        ("Content-Length: 99999999999999999999999999", 400),
        ("Content-Length: +3", 400),
        ("Content-Length: 0x3", 400),
        ("Content-Length: 3 3", 400),
        ("Content-Length: 3,3", 400),
        ("Content-Length: 3;x", 400),
        ("Content-Length: 3\r\n 0", 400),
        ("Content-Length: ", 400),
        ("Content-Length:", 400),
        ("Content-Length: 3\r\nContent-Length: 3", 400),
        ("Content-Length: 3\r\nContent-Length: 0", 400),
        ("Content-Length: 0\r\nl: 3", 400),
        ("l: 3\r\nCONTENT-LENGTH : 0", 400),
        ("Content-Length: 2000", 413),
        ("X: y", 400),
        ("Content-Length\0: 3", 400),
        ("Content-Lengt\u{ff}h: 3", 400),
        ("Content_Length: 3", 400),
    ];
    for (line, code) in rows {
        let stream = format!("OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\n{line}\r\n\r\nabc{evil}");
        for cut in [0, 10, 40, stream.len() - 5, stream.len()] {
            let (frames, error) = frames(&[&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]]);
            assert_eq!(frames, [], "{line}");
            let error = error.unwrap_or_else(|| panic!("{line}: accepted"));
            assert_eq!(error.status().code(), code, "{line}");
            assert!(error.head.unwrap().ends_with(b"\r\n\r\n"));
        }
    }
}

#[test]
fn after_an_error_nothing_comes() {
    let mut framer = Framer::new(Limits::default());
    framer.feed(b"OPTIONS sip:a@b SIP/2.0\r\nl: x\r\n\r\n");
    let error = framer.next().unwrap_err();
    framer.feed(ONE.as_bytes());
    assert_eq!(framer.next(), Err(error));
    assert_eq!(framer.pending_bytes(), 0);
}

#[test]
fn limits() {
    let long_line = format!("OPTIONS sip:{} SIP/2.0", "a".repeat(400));
    let long_field = format!("OPTIONS sip:a SIP/2.0\r\nX: {}\r\nl: 0\r\n\r\n", "a".repeat(400));
    let many = format!("OPTIONS sip:a SIP/2.0\r\n{}l: 0\r\n\r\n", "X: a\r\n".repeat(30));
    let endless = format!("OPTIONS sip:a SIP/2.0\r\n{}", "X: a\r\n".repeat(400));
    let late = format!("OPTIONS sip:{} SIP/2.0\r\nX: ", "a".repeat(400));
    let rows: [(&[u8], ErrorKind); 8] = [
        (late.as_bytes(), ErrorKind::LineTooLong),
        (long_line.as_bytes(), ErrorKind::LineTooLong),
        (long_field.as_bytes(), ErrorKind::LineTooLong),
        (many.as_bytes(), ErrorKind::TooMany),
        (endless.as_bytes(), ErrorKind::TooLarge),
        (b"GET / HTTP/1.1\r\n", ErrorKind::NotSip),
        (b"hello\n", ErrorKind::NotSip),
        (b"a\r\n\r\n", ErrorKind::NotSip),
    ];
    for (stream, kind) in rows {
        let (frames, error) = frames(&[stream]);
        assert_eq!(frames, []);
        assert_eq!(error.unwrap().error.kind, kind, "{}", String::from_utf8_lossy(&stream[..20.min(stream.len())]));
    }
}

#[test]
fn a_message_keeps_only_its_own_bytes() {
    let mut framer = Framer::new(Limits::default());
    framer.feed(&torture("dblreq"));
    let Ok(Some(Frame::Message(first))) = framer.next() else { panic!("no message") };
    assert!(first.ends_with(b"Content-Length: 0\r\n\r\n"));
    assert_eq!(first.len(), first.try_into_mut().unwrap().capacity());
}
