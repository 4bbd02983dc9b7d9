use super::*;

#[test]
fn long_names_in_any_case() {
    for name in Name::ALL {
        let text = name.text();
        assert_eq!(Name::of(text.as_bytes()), *name);
        assert_eq!(Name::of(text.to_uppercase().as_bytes()), *name);
        assert_eq!(Name::of(text.to_lowercase().as_bytes()), *name);
    }
    assert_eq!(Name::Other.text(), "");
}

#[test]
fn compact_names() {
    for (letter, name) in COMPACT {
        assert_eq!(Name::of(&[letter]), name);
        assert_eq!(Name::of(&[letter.to_ascii_uppercase()]), name);
    }
    for letter in (0..=255u8).filter(|byte| !COMPACT.iter().any(|(letter, _)| letter == &byte.to_ascii_lowercase())) {
        assert_eq!(Name::of(&[letter]), Name::Other, "{letter}");
    }
}

#[test]
fn nearly_a_name_is_another_name() {
    for text in [
        "",
        "Vi",
        "Viaa",
        "Via ",
        "Via\0",
        "Call\rID",
        "Call_ID",
        "CSeq\0\0",
        "To\0",
        "\0",
        "P-Asserted-Identit",
        "P-Asserted-Identity\0",
    ] {
        assert_eq!(Name::of(text.as_bytes()), Name::Other, "{text:?}");
    }
    for name in Name::ALL {
        for at in 0..name.text().len() {
            for wrong in [0u8, b'\r', b' ', b'@', b'{', 0x80, b'\\'] {
                let mut text = name.text().as_bytes().to_vec();
                text[at] = wrong;
                assert_eq!(Name::of(&text), Name::Other, "{name:?} {at} {wrong}");
            }
            let mut flipped = name.text().as_bytes().to_vec();
            flipped[at] ^= 0x20;
            let letter = flipped[at].is_ascii_alphabetic();
            assert_eq!(Name::of(&flipped) == *name, letter, "{name:?} {at}");
        }
    }
    assert_eq!(Name::of(&[b'x'; 300]), Name::Other);
}
