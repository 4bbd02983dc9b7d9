use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::links::roles::Role;
use crate::testing::Directory;

fn order() -> Order {
    let roles = [Role::Proxy, Role::Director].into_iter().collect();
    Order { node: NodeId(3), name: "b1".to_owned(), chassis: 2, roles, days: 90 }
}

fn der(pair: &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM")
}

#[test]
fn a_certificate_says_what_was_ordered() {
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let authority = authority("a cluster", 3_650, now).expect("an authority");
    let pair = node(&authority, &order(), now).expect("a certificate");
    let facts = read(&der(&pair)).expect("facts");
    assert_eq!((facts.node, facts.chassis, facts.name.as_str()), (NodeId(3), 2, "b1"));
    assert_eq!(facts.roles.to_string(), "proxy, director");
    assert_eq!(facts.not_after_s, 1_800_000_000 + 90 * 86_400);
    assert_eq!(facts.not_before_s, 1_800_000_000 - 3_600);
    assert!(read(&der(&authority)).is_err(), "an authority is no node");
}

#[test]
fn keys_are_readable_by_their_owner_only_and_nothing_is_replaced() {
    let directory = Directory::new("certificate");
    let authority = authority("a cluster", 30, SystemTime::now()).expect("an authority");
    let inner = directory.path().join("new");
    let (certificate, key) = authority.write(&inner, "authority").expect("files");
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode(&key), mode(&certificate) & 0o400), (0o600, 0o400));
    let again = authority.write(&inner, "authority").expect_err("it is there").to_string();
    assert!(again.contains("exists already"), "{again}");
    let loaded = load(&certificate, &key).expect("a pair");
    assert!(node(&loaded, &order(), SystemTime::now()).is_ok(), "as good as the one in memory");
    assert!(matches!(show_file(&certificate), Ok(Shown::Authority { name, .. }) if name == "a cluster"));
    let error = show_file(&key).expect_err("a key").to_string();
    assert!(error.contains("no certificate"), "{error}");
    let error = show_file(Path::new("/nowhere")).expect_err("nothing").to_string();
    assert!(error.contains("cannot read /nowhere"), "{error}");
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let authority = authority("a cluster", 30, SystemTime::now()).expect("an authority");
    for name in ["", "a b", "-a", "a-", "ä", "a.b", &"x".repeat(64)] {
        let error = node(&authority, &Order { name: name.to_owned(), ..order() }, SystemTime::now());
        assert!(error.is_err(), "{name}");
    }
    assert!(node(&authority, &Order { roles: Roles::default(), ..order() }, SystemTime::now()).is_err(), "no role");
    let swapped = Pair { certificate: authority.key.clone(), key: authority.certificate.clone() };
    assert!(node(&swapped, &order(), SystemTime::now()).is_err(), "the wrong way round");
}

#[test]
fn certificates_of_others_are_read_with_care() {
    let now = SystemTime::now();
    let authority = authority("a cluster", 30, now).expect("an authority");
    let signer = KeyPair::from_pem(&authority.key).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, signer).expect("an issuer");
    let key = KeyPair::generate().expect("a key");
    let cases: [(&str, &[&str]); 7] = [
        ("no alternative names", &[]),
        ("names no node number", &["tandem:chassis/1"]),
        ("names no chassis", &["tandem:node/1"]),
        ("more than one node number", &["tandem:node/1", "tandem:node/2", "tandem:chassis/1"]),
        ("more than one chassis", &["tandem:node/1", "tandem:chassis/2", "tandem:chassis/1"]),
        ("node number is no number", &["tandem:node/65536", "tandem:chassis/1"]),
        ("chassis is no number", &["tandem:node/1", "tandem:chassis/-1"]),
    ];
    for (text, uris) in cases {
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| san(SanType::URI, uri).expect("a URI")).collect();
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let error = read(certificate.der()).expect_err(text).to_string();
        assert!(error.contains(text), "{text}: {error}");
    }
    let mut params = CertificateParams::default();
    let uris = ["tandem:node/1", "tandem:chassis/2", "tandem:role/emperor", "https://example.org"];
    params.subject_alt_names = uris.iter().map(|uri| san(SanType::URI, uri).expect("a URI")).collect();
    let facts = read(params.signed_by(&key, &issuer).expect("a certificate").der()).expect("facts");
    assert!(facts.roles.is_empty(), "an unknown role allows nothing");
    let whole = der(&node(&authority, &order(), now).expect("a certificate"));
    for length in 0..whole.len() {
        let _ = read(&CertificateDer::from(whole[..length].to_vec()));
    }
}
