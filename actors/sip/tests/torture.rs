//! The torture messages of RFC 4475 and RFC 5118: what reading and judging each of them must come to,
//! alone in a datagram and over a stream cut at every byte.

use Stream::*;
use Verdict::*;
use sip::{ErrorKind, Frame, FrameError, Framer, Limits, Message, ParseError, Status, View};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// Read and found fit; the layer above decides (420, 483, 401 ...).
    Accept,
    /// A request to be answered with this status.
    Refuse(u16),
    /// A response that nobody may act upon, or no SIP at all.
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stream {
    /// Delivers this many messages, the first with the same verdict as the datagram.
    Gives(usize),
    /// The message never ends: the idle timer of the connection decides.
    Waits,
    /// Delivers two, then closes: bytes are left behind the second that begin no message.
    GivesTwoThenCloses,
    /// The stream cannot be trusted and is closed with this status.
    Closes(u16),
}

const RFC_4475: &[(&str, Verdict, Stream)] = &[
    // 3.1.1 valid messages
    ("wsinv", Accept, Gives(1)),
    ("intmeth", Accept, Gives(1)),
    ("esc01", Accept, Gives(1)),
    ("escnull", Accept, Gives(1)),
    ("esc02", Accept, Gives(1)),
    ("lwsdisp", Accept, Gives(1)),
    ("longreq", Accept, Gives(1)),
    // The body of its second message is longer than announced.
    ("dblreq", Accept, GivesTwoThenCloses),
    ("semiuri", Accept, Gives(1)),
    ("transports", Accept, Gives(1)),
    ("mpart01", Accept, Gives(1)),
    ("unreason", Accept, Gives(1)),
    ("noreason", Accept, Gives(1)),
    // 3.1.2 invalid messages
    ("badinv01", Refuse(400), Gives(1)),
    ("clerr", Refuse(400), Waits),
    ("ncl", Refuse(400), Closes(400)),
    ("scalar02", Refuse(400), Gives(1)),
    ("scalarlg", Drop, Gives(1)),
    ("quotbal", Refuse(400), Gives(1)),
    ("ltgtruri", Refuse(400), Gives(1)),
    ("lwsruri", Refuse(400), Gives(1)),
    ("lwsstart", Refuse(400), Gives(1)),
    ("trws", Refuse(400), Gives(1)),
    ("escruri", Refuse(400), Gives(1)),
    // Read, with the Date left for nobody to believe.
    ("baddate", Accept, Gives(1)),
    ("regbadct", Refuse(400), Gives(1)),
    ("badaspec", Refuse(400), Gives(1)),
    // The archive lacks the empty line.
    ("baddn", Refuse(400), Waits),
    ("badvers", Refuse(505), Gives(1)),
    ("mismatch01", Refuse(400), Gives(1)),
    ("mismatch02", Refuse(501), Gives(1)),
    ("bigcode", Drop, Gives(1)),
    // 3.2 transaction layer
    ("badbranch", Accept, Gives(1)),
    // 3.3 application layer
    ("insuf", Refuse(400), Gives(1)),
    ("unkscm", Refuse(416), Gives(1)),
    ("novelsc", Refuse(416), Gives(1)),
    ("unksm2", Accept, Gives(1)),
    ("bext01", Accept, Gives(1)),
    ("invut", Accept, Gives(1)),
    ("regaut01", Accept, Gives(1)),
    ("multi01", Refuse(400), Gives(1)),
    ("mcl01", Refuse(400), Closes(400)),
    ("bcast", Drop, Gives(1)),
    ("zeromf", Accept, Gives(1)),
    ("cparam01", Accept, Gives(1)),
    ("cparam02", Accept, Gives(1)),
    ("regescrt", Accept, Gives(1)),
    ("sdp01", Accept, Gives(1)),
    // 3.4 backward compatibility: no Content-Length, no branch, no Max-Forwards
    ("inv2543", Accept, Closes(400)),
    // In the archive only, not in the RFC: a start line without a version is no SIP.
    ("test", Drop, Closes(400)),
];

const RFC_5118: &[(&str, Verdict, Stream)] = &[
    ("ipv6-good", Accept, Gives(1)),
    ("ipv6-bad", Refuse(400), Gives(1)),
    // An address as if it were host and port: read as the address it is.
    ("port-ambiguous", Accept, Gives(1)),
    ("port-unambiguous", Accept, Gives(1)),
    ("via-received-param-with-delim", Accept, Gives(1)),
    ("via-received-param-no-delim", Accept, Gives(1)),
    ("ipv6-in-sdp", Accept, Gives(1)),
    ("mult-ip-in-header", Accept, Gives(1)),
    ("mult-ip-in-sdp", Accept, Gives(1)),
    ("ipv4-mapped-ipv6", Accept, Gives(1)),
    ("ipv6-bug-abnf-3-colons", Refuse(400), Gives(1)),
    ("ipv6-correct-abnf-2-colons", Accept, Gives(1)),
];

#[test]
fn every_file_has_a_row() {
    for (folder, table) in [("rfc4475", RFC_4475), ("rfc5118", RFC_5118)] {
        let mut files: Vec<String> = std::fs::read_dir(folder_of(folder))
            .expect("the torture files are in the repository")
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| name.trim_end_matches(".dat").to_owned())
            .collect();
        let mut rows: Vec<String> = table.iter().map(|row| row.0.to_owned()).collect();
        files.sort();
        rows.sort();
        assert_eq!(files, rows);
    }
    assert_eq!((RFC_4475.len(), RFC_5118.len()), (50, 12));
}

#[test]
fn datagrams() {
    for (name, expected, _) in rows() {
        assert_eq!(judge(&bytes_of(name)), *expected, "{name}");
    }
}

#[test]
fn a_refused_request_can_be_answered() {
    for (name, expected, _) in rows() {
        let bytes = bytes_of(name);
        if let Refuse(code) = expected {
            let view = View::salvage(&bytes, &Limits::default()).expect(name);
            let reply = sip::Builder::reply_to(&view, Status(*code), Some(b"t")).build();
            assert_eq!(reply.status(), Some(Status(*code)), "{name}");
            assert_eq!(reply.view().count(sip::Name::Via), view.count(sip::Name::Via), "{name}");
        }
    }
}

#[test]
fn streams_cut_at_every_byte() {
    for (name, verdict, expected) in rows() {
        let bytes = bytes_of(name);
        for cut in 0..=bytes.len() {
            let outcome = stream(&[&bytes[..cut], &bytes[cut..]]);
            compare(name, *verdict, *expected, outcome);
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        compare(name, *verdict, *expected, stream(&single));
    }
}

#[test]
fn a_message_behind_another_is_found() {
    for (name, verdict, expected) in rows() {
        if let Gives(count) = expected {
            let mut bytes = bytes_of(name);
            bytes.extend_from_slice(b"\r\n\r\n");
            bytes.extend_from_slice(&bytes_of("lwsdisp"));
            compare(name, *verdict, Gives(count + 1), stream(&[&bytes]));
        }
    }
}

fn compare(name: &str, verdict: Verdict, expected: Stream, outcome: (Vec<Vec<u8>>, Option<FrameError>)) {
    let (messages, error) = outcome;
    let count = match expected {
        Gives(count) => count,
        GivesTwoThenCloses => 2,
        Waits | Closes(_) => 0,
    };
    assert_eq!(messages.len(), count, "{name}: {error:?}");
    if let Some(first) = messages.first() {
        assert_eq!(judge(first), verdict, "{name}");
    }
    let code = error.map(|error| error.status().code());
    match expected {
        Gives(_) | Waits => assert_eq!(code, None, "{name}"),
        GivesTwoThenCloses => assert!(code.is_some(), "{name}"),
        Closes(expected) => assert_eq!(code, Some(expected), "{name}"),
    }
}

/// The messages of a stream that arrives in these pieces, and why it was closed.
fn stream(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut framer = Framer::new(Limits::default());
    let mut messages = Vec::new();
    for piece in pieces {
        framer.feed(piece);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(bytes))) => messages.push(bytes.to_vec()),
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

fn judge(bytes: &[u8]) -> Verdict {
    let verdict = |error: ParseError| {
        let nobody_to_answer = bytes.starts_with(b"SIP/") || error.kind == ErrorKind::NotSip;
        if nobody_to_answer { Drop } else { Refuse(error.status().code()) }
    };
    let view = match View::parse(bytes, &Limits::default()) {
        Ok(view) => view,
        Err(error) => return verdict(error),
    };
    let message = Message::parse(bytes.to_vec().into(), &Limits::default()).expect("read before");
    assert_eq!(message.bytes(), view.bytes());
    assert_eq!(message.view().check(), view.check());
    match view.check() {
        Ok(()) => Accept,
        Err(error) => verdict(error),
    }
}

fn rows() -> impl Iterator<Item = &'static (&'static str, Verdict, Stream)> {
    RFC_4475.iter().chain(RFC_5118)
}

fn folder_of(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/torture").join(name)
}

fn bytes_of(name: &str) -> Vec<u8> {
    if let Ok(bytes) = std::fs::read(folder_of("rfc4475").join(format!("{name}.dat"))) {
        return bytes;
    }
    let text = std::fs::read_to_string(folder_of("rfc5118").join(name)).expect(name);
    wire_form(&text)
}

/// RFC 5118 is archived with LF line ends, sometimes without the empty line, and with Content-Lengths that do not fit.
fn wire_form(text: &str) -> Vec<u8> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let body = body.replace('\n', "\r\n");
    let lines = head.lines().map(|line| match line.strip_prefix("Content-Length:") {
        Some(_) => format!("Content-Length: {}\r\n", body.len()),
        None => format!("{line}\r\n"),
    });
    format!("{}\r\n{body}", lines.collect::<String>()).into_bytes()
}
