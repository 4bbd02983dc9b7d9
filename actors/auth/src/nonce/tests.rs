use super::*;

const NOW: u64 = 1_800_000_000_000;

fn nonces() -> Nonces {
    Nonces::new([7; 16])
}

#[test]
fn age_and_binding_decide() {
    let nonce = nonces().issue(NOW, b"call-1");
    assert_eq!(nonce.len(), 30);
    let rows: &[(&str, u64, &[u8], NonceState)] = &[
        ("at once", NOW, b"call-1", NonceState::Fresh(NOW)),
        ("just before the end", NOW + 299_999, b"call-1", NonceState::Fresh(NOW)),
        ("at its end", NOW + 300_000, b"call-1", NonceState::Stale),
        ("clock a little behind", NOW - 10_000, b"call-1", NonceState::Fresh(NOW)),
        ("clock set back", NOW - 10_001, b"call-1", NonceState::Stale),
        ("another call", NOW, b"call-2", NonceState::Forged),
        ("no call", NOW, b"", NonceState::Forged),
    ];
    for (name, now, binding, expected) in rows {
        assert_eq!(nonces().check(nonce.as_bytes(), binding, *now), *expected, "{name}");
    }
}

#[test]
fn another_secret_life_or_start_changes_the_verdict() {
    let nonce = nonces().issue(NOW, b"c");
    let check = |nonces: Nonces| nonces.check(nonce.as_bytes(), b"c", NOW + 1_000);
    assert_eq!(check(Nonces::new([8; 16])), NonceState::Forged);
    assert_eq!(check(nonces().with_life(Duration::from_millis(1_000))), NonceState::Stale);
    assert_eq!(check(nonces().with_life(Duration::ZERO)), NonceState::Stale);
    assert_eq!(check(nonces().not_before(NOW)), NonceState::Fresh(NOW));
    assert_eq!(check(nonces().not_before(NOW + 1)), NonceState::Stale);
}

#[test]
fn no_single_character_can_be_changed() {
    let nonce = nonces().issue(NOW, b"c");
    for place in 0..nonce.len() {
        for byte in [b'A', b'z', b'9', b'=', b'"', 0, 255] {
            let mut forged = nonce.clone().into_bytes();
            if forged[place] != byte {
                forged[place] = byte;
                assert_eq!(nonces().check(&forged, b"c", NOW), NonceState::Forged, "{place} {byte}");
            }
        }
    }
    for odd in [&b""[..], b"x", &nonce.as_bytes()[..29], &[b'A'; 31]] {
        assert_eq!(nonces().check(odd, b"c", NOW), NonceState::Forged);
    }
}
