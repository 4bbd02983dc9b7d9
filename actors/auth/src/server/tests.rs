use super::*;
use crate::credentials::Challenge;
use crate::{Answering, choose, respond};

const NOW: u64 = 1_800_000_000_000;
const ASKED: Asked<'static> = Asked { method: b"REGISTER", uri: b"sip:example.test", binding: b"call-1" };

fn ha1() -> Ha1 {
    Ha1::of("alice", "example.test", "secret")
}

fn server() -> Server {
    Server::new([3; 16], both())
}

/// An answer to the server's challenge number `which`.
fn answer(server: &Server, which: usize, nc: u32, change: impl Fn(&mut Answering<'_>)) -> String {
    let lines = server.challenge("example.test", b"call-1", false, NOW);
    let challenge = Challenge::parse(lines[which].as_bytes()).unwrap();
    let ha1 = ha1();
    let mut answering =
        Answering { user: "alice", ha1: &ha1, method: "REGISTER", uri: "sip:example.test", nc, cnonce: "cafe" };
    change(&mut answering);
    respond(&challenge, &answering).unwrap()
}

/// Both algorithms offered.
fn both() -> Policy {
    Policy { sha256: true, ..Policy::default() }
}

fn check(server: &Server, text: &str, asked: &Asked<'_>, counts: &mut NonceCounts, now: u64) -> Outcome {
    server.check(&Credentials::parse(text.as_bytes()).unwrap(), asked, &ha1(), counts, now)
}

#[test]
fn challenges_come_with_the_preferred_algorithm_first() {
    let policy = |sha256, md5| Policy { sha256, md5, ..Policy::default() };
    let rows: &[(Policy, &[&str])] = &[
        (policy(true, true), &["algorithm=SHA-256", "algorithm=MD5"]),
        (policy(true, false), &["algorithm=SHA-256"]),
        (policy(false, true), &["algorithm=MD5"]),
        (policy(false, false), &[]),
    ];
    for (policy, expected) in rows {
        let lines = challenges("example.test", "n", false, policy);
        assert_eq!(lines.len(), expected.len());
        for (line, algorithm) in lines.iter().zip(*expected) {
            assert!(line.contains(algorithm) && line.ends_with("qop=\"auth\""), "{line}");
        }
    }
    assert_eq!(
        challenges("a\"b\r\nc", "n", true, &both())[1],
        "Digest realm=\"a\\\"b  c\", nonce=\"n\", stale=true, algorithm=MD5, qop=\"auth\""
    );
}

#[test]
fn what_becomes_of_an_answer() {
    use Refusal::*;
    let server = server();
    let good = answer(&server, 0, 1, |_| {});
    let other_method = Asked { method: b"INVITE", ..ASKED };
    let other_uri = Asked { uri: b"sip:other.test", ..ASKED };
    let other_call = Asked { binding: b"call-2", ..ASKED };
    let wrong = Ha1::of("alice", "example.test", "guess");
    let rows: Vec<(&str, String, Asked<'_>, u64, Outcome)> = vec![
        ("SHA-256", good.clone(), ASKED, NOW, Outcome::Accepted),
        ("MD5", answer(&server, 1, 1, |_| {}), ASKED, NOW, Outcome::Accepted),
        (
            "upper-case hexadecimal",
            good.replace(&response_of(&good), &response_of(&good).to_uppercase()),
            ASKED,
            NOW,
            Outcome::Accepted,
        ),
        ("old nonce, right password", good.clone(), ASKED, NOW + 300_000, Outcome::Stale),
        (
            "old nonce, wrong password",
            answer(&server, 0, 1, |a| a.user = "bob").replace("bob", "alice").replace("response=\"", "response=\"0"),
            ASKED,
            NOW + 300_000,
            Outcome::Refused(WrongResponse),
        ),
        ("another method", good.clone(), other_method, NOW, Outcome::Refused(WrongResponse)),
        ("another Request-URI", good.clone(), other_uri, NOW, Outcome::Refused(WrongUri)),
        ("another call", good.clone(), other_call, NOW, Outcome::Refused(ForgedNonce)),
        ("cnonce changed", good.replace("cafe", "beef"), ASKED, NOW, Outcome::Refused(WrongResponse)),
        ("nc changed", good.replace("nc=00000001", "nc=00000002"), ASKED, NOW, Outcome::Refused(WrongResponse)),
        ("qop taken out", good.replace("qop=auth, ", ""), ASKED, NOW, Outcome::Refused(Qop)),
        ("auth-int", good.replace("qop=auth", "qop=auth-int"), ASKED, NOW, Outcome::Refused(Qop)),
        ("unknown algorithm", good.replace("SHA-256", "SHA-512-256"), ASKED, NOW, Outcome::Refused(Algorithm)),
    ];
    for (name, text, asked, now, expected) in rows {
        assert_eq!(check(&server, &text, &asked, &mut NonceCounts::new(), now), expected, "{name}");
    }
    let credentials = Credentials::parse(good.as_bytes()).unwrap();
    let outcome = server.check(&credentials, &ASKED, &wrong, &mut NonceCounts::new(), NOW);
    assert_eq!(outcome, Outcome::Refused(WrongResponse), "wrong password");
}

/// S14: the first use is fine, every other use of the same nonce and count is not, and is not "stale".
#[test]
fn a_replay_is_refused() {
    let server = server();
    let mut counts = NonceCounts::new();
    let (first, second, ninth) =
        (answer(&server, 0, 1, |_| {}), answer(&server, 0, 2, |_| {}), answer(&server, 1, 9, |_| {}));
    let rows = [
        (&first, Outcome::Accepted),
        (&first, Outcome::Refused(Refusal::Replayed)),
        (&ninth, Outcome::Accepted),
        (&second, Outcome::Accepted),
        (&second, Outcome::Refused(Refusal::Replayed)),
        (&ninth, Outcome::Refused(Refusal::Replayed)),
    ];
    for (step, (text, expected)) in rows.into_iter().enumerate() {
        assert_eq!(check(&server, text, &ASKED, &mut counts, NOW), expected, "step {step}");
    }
}

/// A refused answer takes no count: an attacker cannot use up those of the right client.
#[test]
fn a_wrong_answer_takes_no_count() {
    let server = server();
    let mut counts = NonceCounts::new();
    let good = answer(&server, 0, 1, |_| {});
    assert_ne!(check(&server, &good.replace("cafe", "beef"), &ASKED, &mut counts, NOW), Outcome::Accepted);
    assert_eq!(check(&server, &good, &ASKED, &mut counts, NOW), Outcome::Accepted);
}

/// S15: no algorithm that policy forbids, however right the digest.
#[test]
fn no_downgrade() {
    let strict = Server::new([3; 16], Policy { md5: false, ..both() });
    let text = answer(&server(), 1, 1, |_| {});
    assert_eq!(check(&strict, &text, &ASKED, &mut NonceCounts::new(), NOW), Outcome::Refused(Refusal::Algorithm));
}

#[test]
fn without_qop_only_by_policy_and_each_nonce_once() {
    let lines = server().challenge("example.test", b"call-1", false, NOW);
    let line = lines[1].replace(", qop=\"auth\"", "");
    let challenge = Challenge::parse(line.as_bytes()).unwrap();
    let ha1 = ha1();
    let answering =
        Answering { user: "alice", ha1: &ha1, method: "REGISTER", uri: "sip:example.test", nc: 1, cnonce: "c" };
    let text = respond(&challenge, &answering).unwrap();
    assert!(!text.contains("qop") && !text.contains("cnonce"));
    let mut counts = NonceCounts::new();
    assert_eq!(check(&server(), &text, &ASKED, &mut counts, NOW), Outcome::Refused(Refusal::Qop));
    let lenient = Server::new([3; 16], Policy { without_qop: true, ..both() });
    assert_eq!(check(&lenient, &text, &ASKED, &mut counts, NOW), Outcome::Accepted);
    assert_eq!(check(&lenient, &text, &ASKED, &mut counts, NOW), Outcome::Refused(Refusal::Replayed));
}

#[test]
fn digest_uris_that_name_the_same() {
    let rows = [
        ("sip:example.test", "sip:example.test", true),
        ("sip:example.test", "sip:EXAMPLE.test;transport=udp", true),
        ("sip:example.test:5060", "sip:example.test", true),
        ("SIP:bob@example.test;user=phone", "sip:bob@example.test?x=y", true),
        ("sip:bob@example.test", "sip:Bob@example.test", false),
        ("sip:bob@example.test", "sip:example.test", false),
        ("sip:example.test:5061", "sip:example.test", false),
        ("sips:example.test", "sip:example.test", false),
        ("sip:b@c@example.test", "sip:b@example.test", false),
        ("/index.html", "sip:example.test", false),
        ("tel:+431", "tel:+431", true),
        ("", "", true),
    ];
    for (digest, request, expected) in rows {
        assert_eq!(same_resource(digest.as_bytes(), request.as_bytes()), expected, "{digest} {request}");
    }
}

#[test]
fn the_client_takes_the_first_challenge_it_can_answer() {
    let lines = [
        "algorithm=SHA-512-256, qop=\"auth\"",
        "algorithm=SHA-256, qop=\"auth-int\"",
        "algorithm=MD5, qop=\"auth\"",
        "algorithm=MD5",
    ];
    let lines = lines.map(|line| format!("Digest realm=\"r\", nonce=\"n\", {line}"));
    let all: Vec<_> = lines.iter().map(|line| Challenge::parse(line.as_bytes()).unwrap()).collect();
    assert_eq!(choose(&all), Some(&all[2]));
    assert_eq!(choose(&all[..2]), None);
    assert_eq!(choose(&all[3..]), Some(&all[3]));
}

fn response_of(text: &str) -> String {
    text.split("response=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}
