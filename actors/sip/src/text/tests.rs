use super::*;
use proptest::prelude::*;

fn commas(text: &str) -> Vec<&str> {
    split_commas(text.as_bytes()).map(|value| std::str::from_utf8(value).unwrap()).collect()
}

#[test]
fn commas_shielded_by_quotes_and_brackets() {
    let rows: &[(&str, &[&str])] = &[
        ("", &[]),
        (" , ,", &[]),
        ("a", &["a"]),
        ("a,b , c", &["a", "b", "c"]),
        ("\"a,b\" <sip:x>, c", &["\"a,b\" <sip:x>", "c"]),
        ("<sip:a,b@c>,<d>", &["<sip:a,b@c>", "<d>"]),
        ("\"a\\\",b\",c", &["\"a\\\",b\"", "c"]),
        ("\"open,a,b", &["\"open,a,b"]),
        ("<open,a", &["<open,a"]),
        ("a\r\n ,\r\n b", &["a", "b"]),
    ];
    for (text, expected) in rows {
        assert_eq!(commas(text), *expected, "{text:?}");
    }
}

#[test]
fn parameters() {
    let text = b"tag = 1 ;;lr; x=\"a;b\" ;\r\n y =\r\n 2;empty=";
    let found: Vec<_> = params(text).collect();
    assert_eq!(
        found,
        [
            (&b"tag"[..], Some(&b"1"[..])),
            (b"lr", None),
            (b"x", Some(b"\"a;b\"")),
            (b"y", Some(b"2")),
            (b"empty", Some(b"")),
        ]
    );
    assert_eq!(params(text).get("LR"), Some(&b""[..]));
    assert_eq!(params(text).get("tag"), Some(&b"1"[..]));
    assert_eq!(params(text).get("none"), None);
}

#[test]
fn folds_become_one_space() {
    assert_eq!(&*unfold(b"a \r\n  b\r\n\tc"), b"a b c");
    assert_eq!(&*unfold(b"a\n b"), b"a b");
    assert!(matches!(unfold(b"plain"), Cow::Borrowed(b"plain")));
}

#[test]
fn escapes_and_quotes() {
    assert_eq!(&*unescape(b"a%40b%zz%4"), b"a@b%zz%4");
    assert_eq!(&*unescape(b"%00"), b"\0");
    assert_eq!(&*unquote(b"\"a\\\"b\\\\\""), b"a\"b\\");
    assert_eq!(&*unquote(b"plain"), b"plain");
    assert_eq!(quote(b"a\"b\\\r\n"), b"\"a\\\"b\\\\  \"");
}

#[test]
fn decimals() {
    for (text, expected) in [
        ("0", Some(0)),
        ("0068", Some(68)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1 ", None),
    ] {
        assert_eq!(decimal(text.as_bytes()), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn find_is_position(text in proptest::collection::vec(any::<u8>(), 0..40), a: u8, b: u8) {
        prop_assert_eq!(find([a], &text), text.iter().position(|&byte| byte == a));
        prop_assert_eq!(find([a, b], &text), text.iter().position(|&byte| byte == a || byte == b));
        prop_assert_eq!(find([a, b, 0], &text), text.iter().position(|&byte| byte == a || byte == b || byte == 0));
    }

    #[test]
    fn quoting_is_undone(text in "[^\r\n\0]{0,20}") {
        let quoted = quote(text.as_bytes());
        prop_assert_eq!(quoted_len(&quoted), Some(quoted.len()));
        prop_assert_eq!(&*unquote(&quoted), text.as_bytes());
    }
}
