use super::*;

fn question<'a>(nonce: &'a str, cnonce: &'a str) -> Question<'a> {
    Question {
        method: b"GET",
        uri: b"/dir/index.html",
        nonce: nonce.as_bytes(),
        qop_auth: Some((b"00000001", cnonce.as_bytes())),
    }
}

#[test]
fn the_example_of_rfc_7616_3_9_1() {
    let ha1 = Ha1::of("Mufasa", "http-auth@example.org", "Circle of Life");
    let question =
        question("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ");
    assert_eq!(response(Algorithm::Md5, &ha1, &question).unwrap().text(), "8ca523f5e9506fed4657c9700eebdbec");
    assert_eq!(
        response(Algorithm::Sha256, &ha1, &question).unwrap().text(),
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    );
    assert!(response(Algorithm::Other, &ha1, &question).is_none());
}

#[test]
fn the_example_of_rfc_2617_3_5_with_and_without_qop() {
    let ha1 = Ha1::of("Mufasa", "testrealm@host.com", "Circle Of Life");
    let question = question("dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b");
    assert_eq!(response(Algorithm::Md5, &ha1, &question).unwrap().text(), "6629fae49393a05397450978507c4ef1");
    let old = Question { qop_auth: None, ..question };
    assert_eq!(response(Algorithm::Md5, &ha1, &old).unwrap().text(), "670fd8c2df070c60b045671b8b24ff02");
}

#[test]
fn comparison_takes_any_case_and_nothing_else() {
    let hex = Hex::of(&[0xab, 0xcd]);
    let rows: &[(&[u8], bool)] = &[
        (b"abcd", true),
        (b"ABCD", true),
        (b"abce", false),
        (b"abc", false),
        (b"abcd0", false),
        (b"", false),
        (b"\x01bcd", false),
    ];
    for (text, expected) in rows {
        assert_eq!(hex.matches(text), *expected, "{text:?}");
    }
}

#[test]
fn decoys_differ_by_user_and_secret() {
    let one = decoy(&[1; 16], b"alice");
    assert_eq!(one, decoy(&[1; 16], b"alice"));
    assert_ne!(one, decoy(&[1; 16], b"bob"));
    assert_ne!(one, decoy(&[2; 16], b"alice"));
    assert_eq!(format!("{one:?}"), "Ha1(..)");
}
