use super::*;

#[test]
fn what_was_challenged_is_answered_word_for_word() {
    let challenge =
        Challenge::parse(br#"Digest realm="a \"b\"", nonce="n1", qop="auth", opaque="o/p", algorithm=SHA-256"#)
            .unwrap();
    let ha1 = Ha1::of("alice", "a \"b\"", "secret");
    let answering = Answering { user: "ali\"ce", ha1: &ha1, method: "INVITE", uri: "sip:x", nc: 255, cnonce: "c" };
    let text = respond(&challenge, &answering).unwrap();
    for part in [
        r#"username="ali\"ce""#,
        r#"realm="a \"b\"""#,
        r#"nonce="n1""#,
        r#"uri="sip:x""#,
        "algorithm=SHA-256",
        "qop=auth",
        "nc=000000ff",
        r#"cnonce="c""#,
        r#"opaque="o/p""#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn an_unknown_algorithm_is_not_answered() {
    let challenge = Challenge::parse(br#"Digest realm="r", nonce="n", algorithm=SHA-512-256"#).unwrap();
    let ha1 = Ha1::of("a", "r", "p");
    let answering = Answering { user: "a", ha1: &ha1, method: "INVITE", uri: "sip:x", nc: 1, cnonce: "c" };
    assert_eq!(respond(&challenge, &answering), None);
}
