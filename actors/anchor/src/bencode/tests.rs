use proptest::prelude::*;

use super::*;

fn decode(text: &str) -> Result<Value<'_>, BencodeError> {
    Value::decode(text.as_bytes())
}

#[test]
fn values() {
    assert_eq!(decode("i0e"), Ok(Value::Integer(0)));
    assert_eq!(decode("i-42e"), Ok(Value::Integer(-42)));
    assert_eq!(decode("i9223372036854775807e"), Ok(Value::Integer(i64::MAX)));
    assert_eq!(decode("0:"), Ok(Value::from("")));
    assert_eq!(decode("4:spam"), Ok(Value::from("spam")));
    assert_eq!(decode("le"), Ok(Value::List(vec![])));
    assert_eq!(decode("li1e1:ae"), Ok(Value::List(vec![Value::Integer(1), Value::from("a")])));
    let unsorted = decode("d1:zi1e1:ai2e1:zi3ee").unwrap();
    assert_eq!((unsorted.number("z"), unsorted.number("a"), unsorted.get("b")), (Some(1), Some(2), None));
    assert_eq!(Value::decode(b"2:\xff\x00").unwrap().as_bytes(), Some(&b"\xff\x00"[..]));
}

#[test]
fn what_is_no_bencode() {
    use BencodeError::*;
    let rows = [
        ("", Short),
        ("i1", Short),
        ("ie", Syntax(1)),
        ("i-e", Syntax(1)),
        ("i+1e", Syntax(1)),
        ("i1 e", Syntax(1)),
        ("i9223372036854775808e", Syntax(1)),
        ("i000000000000000000000000000000e", Syntax(1)),
        ("5:spam", Short),
        ("4spam", Short),
        ("99999999999999999999999:x", Syntax(0)),
        ("9223372036854775807:x", Short),
        ("-1:x", Syntax(0)),
        ("l", Short),
        ("d", Short),
        ("d1:a", Short),
        ("d1:ae", Syntax(4)),
        ("di1ei2ee", Syntax(1)),
        ("x", Syntax(0)),
        ("e", Syntax(0)),
        ("4:spamx", Trailing(6)),
    ];
    for (text, expected) in rows {
        assert_eq!(decode(text), Err(expected), "{text}");
    }
}

/// The datagrams that abort other decoders by a stack overflow.
#[test]
fn nesting_is_limited() {
    for opening in ["l", "d1:a"] {
        let text = opening.repeat(60_000 / opening.len());
        assert_eq!(decode(&text), Err(BencodeError::Deep));
    }
    let (fits, deep) = (DEPTH_MAX, DEPTH_MAX + 1);
    assert!(decode(&format!("{}{}", "l".repeat(fits), "e".repeat(fits))).is_ok());
    assert_eq!(decode(&format!("{}{}", "l".repeat(deep + 1), "e".repeat(deep + 1))), Err(BencodeError::Deep));
    assert_eq!(Value::decode(&vec![b'l'; BYTES_MAX + 1]), Err(BencodeError::TooLarge));
}

fn value() -> impl Strategy<Value = Value<'static>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        bytes.clone().prop_map(|bytes| Value::Bytes(Cow::Owned(bytes)))
    ];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        let pair = (bytes.clone().prop_map(Cow::Owned), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(Value::List),
            proptest::collection::vec(pair, 0..6).prop_map(Value::Dictionary)
        ]
    })
}

proptest! {
    #[test]
    fn decoding_is_the_inverse(value in value()) {
        let mut out = Vec::new();
        value.encode(&mut out);
        prop_assert_eq!(Value::decode(&out), Ok(value));
    }

    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Value::decode(&bytes);
    }

    #[test]
    fn no_mutation_of_a_reply_breaks_it(changes in proptest::collection::vec((0usize..2_044, any::<u8>()), 1..8), cut in 0usize..2_044) {
        let mut reply = include_bytes!("../../fixtures/delete_reply.bin").to_vec();
        for (place, byte) in changes {
            let length = reply.len();
            reply[place % length] = byte;
        }
        for reply in [&reply[..], &reply[..cut.min(reply.len())]] {
            if let Ok(crate::ng::Reply::Done(value)) = crate::ng::reply(reply) {
                let _ = crate::stats::streams(&value);
            }
        }
    }
}
