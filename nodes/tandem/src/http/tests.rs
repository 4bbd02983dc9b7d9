use super::{base64, encode};

#[test]
fn base64_of_every_remainder() {
    for (plain, coded) in
        [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("admin:tandem", "YWRtaW46dGFuZGVt")]
    {
        assert_eq!(base64(plain.as_bytes()), coded);
    }
}

#[test]
fn encoded_for_a_url() {
    assert_eq!(encode("a b&c@d/ü"), "a%20b%26c%40d%2F%C3%BC");
}
