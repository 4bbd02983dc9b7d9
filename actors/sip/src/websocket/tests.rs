use super::*;

#[test]
fn one_message_per_frame() {
    let limits = Limits { message_bytes_max: 200, ..Limits::default() };
    let frame = |text: &str| frame_websocket(text.as_bytes(), &limits);
    let head = "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\n";
    for text in [format!("{head}\r\nabc"), format!("{head}l: 3\r\n\r\nabc"), format!("{head}\r\n")] {
        assert_eq!(frame(&text), Ok(Frame::Message(text.clone().into())));
    }
    assert_eq!(frame("\r\n\r\n"), Ok(Frame::Ping));
    assert_eq!(frame("\r\n"), Ok(Frame::Pong));
    for (text, kind, has_head) in [
        (format!("{head}l: 2\r\n\r\nabc"), ErrorKind::Truncated, true),
        (format!("{head}l: 4\r\n\r\nabc"), ErrorKind::Truncated, true),
        (format!("{head}l: x\r\n\r\nabc"), ErrorKind::ContentLength, true),
        (format!("{head}l: 3\r\nl: 3\r\n\r\nabc"), ErrorKind::Duplicate, true),
        (head.to_owned(), ErrorKind::Incomplete, false),
        (String::new(), ErrorKind::Incomplete, false),
        ("hello\r\n\r\n".to_owned(), ErrorKind::NotSip, false),
        (format!("{head}\r\n{}", "x".repeat(200)), ErrorKind::TooLarge, false),
    ] {
        let error = frame(&text).unwrap_err();
        assert_eq!((error.error.kind, error.head.is_some()), (kind, has_head), "{text}");
    }
}
