use super::{parse, text};

#[test]
fn text_and_back() {
    for (unix_ms, written) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ] {
        assert_eq!(text(unix_ms), written);
        assert_eq!(parse(written), Some(unix_ms), "{written}");
    }
}

#[test]
fn what_else_is_read() {
    for (written, unix_ms) in [
        ("2000-02-29", Some(951_782_400_000)),
        ("2000-02-29 00:00:01", Some(951_782_401_000)),
        ("2000-02-29T01:00:00+01:00", Some(951_782_400_000)),
        ("2000-02-29T00:00:00.5Z", Some(951_782_400_500)),
        ("2000-13-01", None),
        ("2000-02-29T24:00:00Z", None),
        ("1969-12-31", None),
        ("yesterday", None),
        ("2000-02-29T", None),
        ("2000-02-29T00:00:00 somewhere", None),
        ("2000-02-2\u{e9}", None),
    ] {
        assert_eq!(parse(written), unix_ms, "{written}");
    }
}
