use super::*;

#[test]
fn digest_credentials() {
    let value = b"Digest username=\"bob\\\"x\", realm=\"a, b <c\",\r\n nonce=abc , qop=auth,nc=00000001,cnonce=\"\"";
    let auth = AuthParams::parse(value).unwrap();
    assert_eq!(auth.scheme(), "Digest");
    assert!(auth.is_digest());
    assert_eq!(auth.get("USERNAME").as_deref(), Some(&b"bob\"x"[..]));
    assert_eq!(auth.get("realm").as_deref(), Some(&b"a, b <c"[..]));
    assert_eq!(auth.get("nonce").as_deref(), Some(&b"abc"[..]));
    assert_eq!(auth.get("cnonce").as_deref(), Some(&b""[..]));
    assert_eq!(auth.get_raw("cnonce"), Some(&b"\"\""[..]));
    assert_eq!(auth.get("opaque"), None);
    assert_eq!(auth.params().count(), 6);
}

#[test]
fn other_schemes_are_not_judged() {
    let auth = AuthParams::parse(b"NoOneKnowsThisScheme opaque-data=here").unwrap();
    assert_eq!(auth.get("opaque-data").as_deref(), Some(&b"here"[..]));
    assert_eq!(AuthParams::parse(b"Bearer abc.def==").unwrap().scheme(), "Bearer");
    assert_eq!(AuthParams::parse(b"Digest").unwrap().params().count(), 0);
}

#[test]
fn refused() {
    for value in [
        "",
        " ",
        "Dig\"est a=b",
        "Digest a",
        "Digest a=",
        "Digest =b",
        "Digest a=\"open",
        "Digest a=b c=d",
        "Digest a=\"b\"c",
        "Digest username=a,username=b",
        "Digest Nonce=a,nonce=b",
    ] {
        assert!(AuthParams::parse(value.as_bytes()).is_err(), "{value}");
    }
    let many: String = (0..=PARAMS_MAX).map(|n| format!("p{n}=1,")).collect();
    let error = AuthParams::parse(format!("Digest {many}").as_bytes()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooMany);
}
