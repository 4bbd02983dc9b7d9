//! The messages of RFC 4475 and RFC 5118 at the perimeter, over UDP; expected results as of the torture list.

use std::path::PathBuf;

use super::*;

/// File, and what happens: the kind of actor that gets it, the status of the answer, or `drop`.
#[rustfmt::skip]
const ROWS: [(&str, &str); 62] = [
    // Valid ones go on, wherever they lead. An INVITE with a To tag belongs to a dialog that is not ours.
    ("wsinv", "481"), ("intmeth", "call"), ("esc01", "call"), ("escnull", "registration"), ("esc02", "call"),
    ("lwsdisp", "call"), ("longreq", "call"), ("dblreq", "registration"), ("semiuri", "call"), ("transports", "call"),
    ("mpart01", "call"), ("unreason", "drop"), ("noreason", "drop"), ("test", "drop"),
    // Invalid ones.
    ("badinv01", "400"), ("clerr", "400"), ("ncl", "400"), ("scalar02", "400"), ("scalarlg", "drop"), ("quotbal", "400"),
    ("ltgtruri", "400"), ("lwsruri", "400"), ("lwsstart", "400"), ("trws", "400"), ("escruri", "400"), ("baddate", "call"),
    ("regbadct", "400"), ("badaspec", "400"), ("baddn", "400"), ("badvers", "505"), ("mismatch01", "400"),
    ("mismatch02", "501"), ("bigcode", "drop"), ("badbranch", "call"), ("insuf", "400"), ("unkscm", "416"),
    ("novelsc", "416"), ("unksm2", "registration"), ("bext01", "420"), ("invut", "call"), ("regaut01", "registration"),
    ("multi01", "400"), ("mcl01", "400"), ("bcast", "drop"), ("zeromf", "483"), ("cparam01", "registration"),
    ("cparam02", "registration"), ("regescrt", "registration"), ("sdp01", "call"), ("inv2543", "call"),
    // RFC 5118; a BYE of a dialog that is not ours gets its 481.
    ("ipv4-mapped-ipv6", "call"), ("ipv6-bad", "400"), ("ipv6-bug-abnf-3-colons", "400"),
    ("ipv6-correct-abnf-2-colons", "call"), ("ipv6-good", "registration"), ("ipv6-in-sdp", "call"),
    ("mult-ip-in-header", "481"), ("mult-ip-in-sdp", "call"), ("port-ambiguous", "registration"),
    ("port-unambiguous", "registration"), ("via-received-param-no-delim", "call"),
    ("via-received-param-with-delim", "481"),
];

#[test]
fn every_message_has_its_result() {
    let mut wrong = Vec::new();
    for (name, expected) in ROWS {
        let mut bench = Bench::new(Settings::default());
        let got = bench.receive(torture(name)).outcome();
        if got != expected {
            wrong.push(format!("{name}: {got}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_prefix_of_every_message_is_survived() {
    for (name, _) in ROWS {
        let bytes = torture(name);
        let mut bench = Bench::new(Settings { flood_messages_per_s: 0, ..Settings::default() });
        for length in (0..bytes.len().min(1_200)).step_by(3) {
            let answers = bench.receive(bytes[..length].to_vec()).0.len();
            assert!(answers <= 1, "{name}: {answers} letters for {length} bytes");
        }
    }
}

/// S2 in small: bytes changed, cut out, doubled and swapped, by a seed.
#[test]
fn mutations_are_survived() {
    let mut seed = 0x5eed_u64;
    let mut chance = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below.max(1)
    };
    let mut bench = Bench::new(Settings { flood_messages_per_s: 0, ..Settings::default() });
    for (name, _) in ROWS {
        let original = torture(name);
        for _ in 0..60 {
            let mut bytes = original.clone();
            for _ in 0..=chance(4) {
                let (at, to) = (chance(bytes.len()), chance(bytes.len()));
                let (first, last) = (at.min(to), at.max(to));
                match chance(5) {
                    0 => bytes[at] = chance(256) as u8,
                    1 => drop(bytes.drain(first..last.min(first + 40))),
                    2 => bytes.extend_from_within(first..last),
                    3 => bytes.swap(at, to),
                    _ => bytes.insert(at, b"\r\n:;,<>\"@ \0%"[chance(12)]),
                }
                bytes.truncate(70_000);
                if bytes.is_empty() {
                    bytes.push(b'x');
                }
            }
            let over = if chance(2) == 0 { flow() } else { tcp() };
            let letters = bench.receive_over(over, bytes).0;
            assert!(letters.len() <= 1, "{name}: {letters:?}");
            for mail in letters {
                if let Letter::Transmit(transmit) = mail.letter {
                    assert!(!parse(&transmit.bytes).is_request(), "{name}");
                }
            }
        }
    }
}

/// A message; those of RFC 5118 with their line ends made CRLF and their Content-Length fitting.
fn torture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/torture");
    if let Ok(bytes) = std::fs::read(folder.join("rfc4475").join(format!("{name}.dat"))) {
        return bytes;
    }
    let text = std::fs::read_to_string(folder.join("rfc5118").join(name)).expect(name);
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let body = body.replace('\n', "\r\n");
    let lines = head.lines().map(|line| match line.strip_prefix("Content-Length:") {
        Some(_) => format!("Content-Length: {}\r\n", body.len()),
        None => format!("{line}\r\n"),
    });
    format!("{}\r\n{body}", lines.collect::<String>()).into_bytes()
}
