use super::*;

#[test]
fn rows() {
    // text, display, uri, raw parameters
    let rows: &[(&str, &str, &str, &str)] = &[
        ("<sip:a@b>", "", "sip:a@b", ""),
        (" \"A, B\" <sip:a@b>;tag=1 ", "A, B", "sip:a@b", "tag=1"),
        ("caller<sip:a@b>;tag=1", "caller", "sip:a@b", "tag=1"),
        ("sip:a@b;tag=1", "", "sip:a@b", "tag=1"),
        ("sip:a@b", "", "sip:a@b", ""),
        ("J \"Rex\" S <sip:a@b>", "J \"Rex\" S", "sip:a@b", ""),
        ("\"<sip:evil@x>\" <sip:a@b>", "<sip:evil@x>", "sip:a@b", ""),
        ("<sip:a@b;lr> ;\r\n x = y", "", "sip:a@b;lr", "\r\n x = y"),
        ("sip:a@b;x=\"<sip:evil@x>\"", "", "sip:a@b", "x=\"<sip:evil@x>\""),
        ("\"a\\\"\" <sip:a@b>", "a\\\"", "sip:a@b", ""),
    ];
    for (text, display, uri, params) in rows {
        let found = parse_name_addr(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found.display, display.as_bytes(), "{text}");
        assert_eq!(found.uri, uri.as_bytes(), "{text}");
        assert_eq!(found.raw_params(), params.as_bytes(), "{text}");
    }
}

#[test]
fn refused() {
    for text in
        ["", "<", "<>", "<sip:a@b", "\"open <sip:a@b>", "<sip:a@b> x", "<sip:a@b>>", ";tag=1", "<sip:a@b>;x=\"open"]
    {
        assert!(parse_name_addr(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn parameters() {
    let found = parse_name_addr(b"<sip:a@b>;q=0.33;expires=60;+sip.instance=\"<urn:uuid:1>\";tag=").unwrap();
    assert_eq!(found.q(), Ok(Some(330)));
    assert_eq!(found.expires(), Some(60));
    assert_eq!(found.param("+SIP.instance"), Some(&b"\"<urn:uuid:1>\""[..]));
    assert_eq!(found.tag(), None);
    for (text, expected) in [
        ("1", Some(1000)),
        ("1.000", Some(1000)),
        ("0", Some(0)),
        ("0.5", Some(500)),
        (".5", Some(500)),
        ("0.", Some(0)),
        ("0.001", Some(1)),
        ("1.001", None),
        ("2", None),
        ("0.1234", None),
        ("x", None),
        ("-1", None),
        ("", None),
        (".", None),
    ] {
        assert_eq!(thousandths(text.as_bytes()), expected, "{text}");
    }
    let huge = parse_name_addr(b"<sip:a@b>;expires=280297596632815").unwrap();
    assert_eq!(huge.expires(), Some(u32::MAX));
}

#[test]
fn star() {
    assert!(parse_name_addr(b" * ").unwrap().is_star());
    assert!(!parse_name_addr(b"<*>").unwrap().is_star());
}
