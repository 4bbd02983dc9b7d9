use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Guard, Users, hash_password};

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

#[test]
fn right_and_wrong_passwords() {
    let sha256 = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"; // "secret"
    let configured =
        BTreeMap::from([("admin".to_owned(), hash_password("pass:word ü")), ("robot".to_owned(), sha256.to_owned())]);
    let users = Users::new(&configured).expect("good hashes");
    for (authorization, user) in [
        (basic("admin:pass:word ü"), Some("admin")),
        (basic("admin:pass:word ü"), Some("admin")), // remembered
        (basic("admin:pass"), None),
        (basic("robot:secret"), Some("robot")),
        (basic("robot:"), None),
        (basic("nobody:secret"), None),
        (basic("secret"), None),
        ("Basic !!!".to_owned(), None),
        ("Bearer abc".to_owned(), None),
        (String::new(), None),
    ] {
        assert_eq!(users.verify(&authorization).as_deref(), user, "{authorization}");
    }
}

#[test]
fn hashes_that_are_none() {
    for text in ["secret", "plain:secret", "sha256:00", "pbkdf2:0:00:00", "pbkdf2:99999999:00:00", "sha256:zz"] {
        let configured = BTreeMap::from([("admin".to_owned(), text.to_owned())]);
        assert!(Users::new(&configured).is_err(), "{text}");
    }
    let configured = BTreeMap::from([("a:b".to_owned(), hash_password("x"))]);
    assert!(Users::new(&configured).is_err(), "a colon in a name");
}

#[test]
fn guessing_is_banned_ever_longer() {
    let (start, address) = (Instant::now(), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let guard = Guard::new(3, 300, 1_000);
    let mut now = start;
    for length in [300, 600, 1_000, 1_000] {
        assert_eq!(guard.banned(address, now), None);
        assert!(!guard.on_failure(address, now));
        assert!(!guard.on_failure(address, now));
        assert!(guard.on_failure(address, now));
        assert_eq!(guard.banned(address, now), Some(Duration::from_secs(length)));
        now += Duration::from_secs(length);
    }
    guard.on_failure(address, now);
    guard.on_success(address);
    assert!(!guard.on_failure(address, now) && !guard.on_failure(address, now), "a right password forgives");
    let lenient = Guard::new(0, 300, 1_000);
    assert!((0..100).all(|_| !lenient.on_failure(address, now)), "zero never bans");
}
