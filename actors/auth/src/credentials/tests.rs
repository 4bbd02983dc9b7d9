use proptest::prelude::*;

use super::*;

const FULL: &[u8] = br#"Digest username="alice", realm="example.test", nonce="abc", uri="sip:example.test", response="0123", algorithm=SHA-256, cnonce="xyz", qop=auth, nc=0000000A, opaque="o""#;

#[test]
fn every_parameter_is_read() {
    let credentials = Credentials::parse(FULL).unwrap();
    assert_eq!(credentials.user(), Some("alice"));
    assert_eq!(&*credentials.realm, b"example.test");
    assert_eq!(&*credentials.nonce, b"abc");
    assert_eq!(&*credentials.uri, b"sip:example.test");
    assert_eq!(&*credentials.response, b"0123");
    assert_eq!(credentials.algorithm, Algorithm::Sha256);
    assert_eq!(credentials.qop, Some(Qop::Auth));
    assert_eq!((credentials.nc, &*credentials.nc_text), (10, &b"0000000A"[..]));
    assert_eq!(&*credentials.cnonce, b"xyz");
    assert_eq!(credentials.opaque.as_deref(), Some(&b"o"[..]));
}

#[test]
fn what_phones_write() {
    let base = r#"username="a", realm="r", nonce="n", uri="u", response="x""#;
    let rows: &[(String, Result<(Algorithm, Option<Qop>), AuthError>)] = &[
        (format!("Digest {base}"), Ok((Algorithm::Md5, None))),
        (format!("digest   {base}"), Ok((Algorithm::Md5, None))),
        (format!("DIGEST\t{base} , algorithm = \"MD5\" "), Ok((Algorithm::Md5, None))),
        (format!("Digest {base},algorithm=md5,qop=\"auth\",nc=1,cnonce=c"), Ok((Algorithm::Md5, Some(Qop::Auth)))),
        (format!("Digest {base},qop=auth-int,nc=1,cnonce=c"), Ok((Algorithm::Md5, Some(Qop::AuthInt)))),
        (format!("Digest {base},qop=new,nc=1,cnonce=c"), Ok((Algorithm::Md5, Some(Qop::Other)))),
        (format!("Digest {base},algorithm=MD5-sess"), Ok((Algorithm::Other, None))),
        (format!("Digest {base},, unknown=\"a,b\\\"c\","), Ok((Algorithm::Md5, None))),
        (format!("Digest {base}, qop=auth, cnonce=c"), Err(AuthError::Missing("nc"))),
        (format!("Digest {base}, qop=auth, nc=00000000, cnonce=c"), Err(AuthError::Missing("nc"))),
        (format!("Digest {base}, qop=auth, nc=1"), Err(AuthError::Missing("cnonce"))),
        (format!("Digest {base}, nc=xyz"), Err(AuthError::Value("nc"))),
        (format!("Digest {base}, nc=123456789"), Err(AuthError::Value("nc"))),
        (format!("Digest {base}, nonce=\"m\""), Err(AuthError::Duplicate("nonce"))),
        (format!("Digest {base}, username*=UTF-8''b"), Err(AuthError::Duplicate("username"))),
        (format!("Digest {base}, opaque=\"open"), Err(AuthError::Syntax)),
        (format!("Digest {base}, opaque=\"open\\"), Err(AuthError::Syntax)),
        (format!("Digest {base}, flag, nc=1"), Err(AuthError::Syntax)),
        (format!("Digest {base}, opaque=\"a\" junk"), Err(AuthError::Syntax)),
        (format!("Digest {base}, opaque={}", "x".repeat(1_025)), Err(AuthError::Value("opaque"))),
        (format!("Digest {base}{}", ", a=b".repeat(40)), Err(AuthError::Syntax)),
        ("Digest realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"".into(), Err(AuthError::Missing("username"))),
        ("Digest username=\"a\", nonce=\"n\", uri=\"u\", response=\"x\"".into(), Err(AuthError::Missing("realm"))),
        ("Digest username=\"a\", realm=\"r\", uri=\"u\", response=\"x\"".into(), Err(AuthError::Missing("nonce"))),
        ("Digest username=\"a\", realm=\"r\", nonce=\"n\", response=\"x\"".into(), Err(AuthError::Missing("uri"))),
        ("Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\"".into(), Err(AuthError::Missing("response"))),
        ("Digest".into(), Err(AuthError::Missing("username"))),
        ("Basic dXNlcg==".into(), Err(AuthError::Scheme)),
        ("NoOneKnowsThisScheme opaque-data=here".into(), Err(AuthError::Scheme)),
        ("".into(), Err(AuthError::Scheme)),
    ];
    for (text, expected) in rows {
        let found = Credentials::parse(text.as_bytes()).map(|credentials| (credentials.algorithm, credentials.qop));
        assert_eq!(&found, expected, "{text}");
    }
}

#[test]
fn quoted_pairs_and_extended_names_are_decoded() {
    let text = br#"Digest username="a\"b\\", realm="r", nonce="n", uri="u", response="x""#;
    assert_eq!(&*Credentials::parse(text).unwrap().username, br#"a"b\"#);
    let text = b"Digest username*=UTF-8''J%C3%A4s, realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"";
    assert_eq!(Credentials::parse(text).unwrap().user(), Some("J\u{e4}s"));
    for broken in ["iso-8859-1''a", "UTF-8'a", "UTF-8''%4", "UTF-8''%zz"] {
        let text = format!("Digest username*={broken}, realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"");
        assert_eq!(Credentials::parse(text.as_bytes()), Err(AuthError::Value("username*")), "{broken}");
    }
}

#[test]
fn the_realm_picks_the_credentials() {
    let other = br#"Digest username="a", realm="other", nonce="n", uri="u", response="x""#;
    let broken = b"Digest realm=\"r\"";
    let picked = pick([&b"Basic x"[..], other, FULL], b"example.test").unwrap().unwrap();
    assert_eq!(picked.user(), Some("alice"));
    assert_eq!(pick([&b"Basic x"[..], other], b"example.test"), None);
    assert_eq!(pick([&broken[..]], b"example.test"), Some(Err(AuthError::Missing("username"))));
    assert!(pick([&broken[..], FULL], b"example.test").unwrap().is_ok());
}

#[test]
fn challenges_are_read() {
    let challenge =
        Challenge::parse(br#"Digest realm="r, s", nonce="n", qop="auth-int, auth", stale=TRUE, algorithm=MD5"#)
            .unwrap();
    assert_eq!((&*challenge.realm, challenge.qop_auth, challenge.stale), (&b"r, s"[..], true, true));
    let challenge = Challenge::parse(br#"Digest realm="r", nonce="n", qop="auth-int""#).unwrap();
    assert_eq!((challenge.qop_auth, challenge.qop_given), (false, true));
    assert_eq!(Challenge::parse(b"Digest nonce=\"n\""), Err(AuthError::Missing("realm")));
}

proptest! {
    #[test]
    fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Credentials::parse(&bytes);
        let _ = Challenge::parse(&bytes);
        let mut value = b"Digest ".to_vec();
        value.extend_from_slice(&bytes);
        let _ = Credentials::parse(&value);
    }

    #[test]
    fn no_mutation_breaks_the_parser(place in 0..FULL.len(), byte in any::<u8>(), cut in 0..FULL.len()) {
        let mut text = FULL.to_vec();
        text[place] = byte;
        let _ = Credentials::parse(&text);
        let _ = Credentials::parse(&text[..cut]);
    }

    #[test]
    fn any_quoted_name_comes_back(name in "[ -~]{0,40}") {
        let text = format!("Digest username={}, realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"", crate::server::quoted(&name));
        let credentials = Credentials::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&*credentials.username, name.as_bytes());
    }
}
