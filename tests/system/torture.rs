//! The 62 messages of RFC 4475 and RFC 5118 on the public port of a running switch: over UDP, and over TCP a byte at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use crate::stage::Stage;

/// What the sender of a message gets over TCP.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Stream {
    /// The same as over UDP, and the connection stays.
    Same,
    /// This final status, and the connection is closed behind it.
    Closed(u16),
    /// Nothing: the message does not end, and the idle limit will close the connection.
    Waits,
    /// Besides the same as over UDP this status, for a second message; then it is closed: bytes are left behind.
    TwoThenClosed(u16),
}
use Stream::*;

/// Final status of the answer, 0 when there must be none, and what differs over TCP.
///
/// Nobody proves who he is: a valid INVITE is challenged with 407, a valid REGISTER with 401, whatever their domains; a
/// request with a To tag belongs to no dialog (481).
#[rustfmt::skip]
const ROWS: [(&str, u16, Stream); 62] = [
    // RFC 4475 3.1.1: valid.
    ("wsinv", 481, Same), ("intmeth", 501, Same), ("esc01", 407, Same), ("escnull", 401, Same), ("esc02", 501, Same),
    ("lwsdisp", 407, Same), ("longreq", 407, Same), ("dblreq", 401, TwoThenClosed(488)), ("semiuri", 407, Same),
    ("transports", 407, Same), ("mpart01", 407, Same), ("unreason", 0, Same), ("noreason", 0, Same),
    // RFC 4475 3.1.2: invalid.
    ("badinv01", 400, Same), ("clerr", 400, Waits), ("ncl", 400, Closed(400)), ("scalar02", 400, Same),
    ("scalarlg", 0, Same), ("quotbal", 400, Same), ("ltgtruri", 400, Same), ("lwsruri", 400, Same),
    ("lwsstart", 400, Same), ("trws", 400, Same), ("escruri", 400, Same), ("baddate", 407, Same),
    ("regbadct", 400, Same), ("badaspec", 400, Same), ("baddn", 400, Waits), ("badvers", 505, Same),
    ("mismatch01", 400, Same), ("mismatch02", 501, Same), ("bigcode", 0, Same),
    // RFC 4475 3.2 to 3.4.
    ("badbranch", 407, Same), ("insuf", 400, Same), ("unkscm", 416, Same), ("novelsc", 416, Same),
    ("unksm2", 400, Same), ("bext01", 420, Same), ("invut", 415, Same), ("regaut01", 401, Same),
    ("multi01", 400, Same), ("mcl01", 400, Closed(400)), ("bcast", 0, Same), ("zeromf", 483, Same),
    ("cparam01", 401, Same), ("cparam02", 401, Same), ("regescrt", 401, Same), ("sdp01", 407, Same),
    ("inv2543", 407, Closed(400)), ("test", 0, Closed(0)),
    // RFC 5118.
    ("ipv6-good", 401, Same), ("ipv6-bad", 400, Same), ("port-ambiguous", 401, Same), ("port-unambiguous", 401, Same),
    ("via-received-param-with-delim", 481, Same), ("via-received-param-no-delim", 407, Same), ("ipv6-in-sdp", 407, Same),
    ("mult-ip-in-header", 481, Same), ("mult-ip-in-sdp", 407, Same), ("ipv4-mapped-ipv6", 407, Same),
    ("ipv6-bug-abnf-3-colons", 400, Same), ("ipv6-correct-abnf-2-colons", 407, Same),
];

#[test]
fn torture_messages_over_udp() {
    let stage = Stage::plain(112);
    let mut wrong = Vec::new();
    for (name, expected, _) in ROWS {
        let socket = UdpSocket::bind((stage.ip(70), 5060)).expect("an address of the test");
        socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
        socket.send_to(&message(name), stage.switch.sip).expect("sent");
        // The answer to a request behind it says that an answer to it would have come by now, unless it asks actors first.
        let mut answers = Vec::new();
        if expected == 0 {
            socket.send_to(&ping(socket.local_addr().expect("its address"), "UDP"), stage.switch.sip).expect("sent");
        }
        let mut buffer = [0; 65_535];
        while let Ok(length) = socket.recv(&mut buffer) {
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let status = status_of(&answer);
            if answer.contains(PING) {
                break;
            }
            if status >= 200 {
                answers.push(status);
                break;
            }
        }
        compare(name, &answers, if expected == 0 { &[] } else { std::slice::from_ref(&expected) }, &mut wrong);
    }
    finish(stage, &wrong);
}

#[test]
fn torture_messages_over_tcp_a_byte_at_a_time() {
    let stage = Stage::plain(113);
    let mut wrong = Vec::new();
    for (name, datagram, stream) in ROWS {
        let mut connection = connect(&stage);
        for byte in message(name) {
            // A switch that has closed its end already refuses the rest.
            if connection.write_all(&[byte]).is_err() {
                break;
            }
        }
        let answered = |status: u16| if status == 0 { Vec::new() } else { vec![status] };
        let (expected, closes) = match stream {
            Same => (answered(datagram), false),
            Closed(status) => (answered(status), true),
            Waits => (Vec::new(), false),
            TwoThenClosed(status) => (vec![datagram, status], true),
        };
        let patience = if stream == Waits { Duration::from_millis(300) } else { Duration::from_secs(3) };
        let ping = !closes && stream != Waits;
        let (answers, closed) = read_answers(&mut connection, &expected, closes, ping, patience);
        compare(name, &answers, &expected, &mut wrong);
        if closed != closes {
            wrong.push(format!("{name}: {}", if closed { "closed" } else { "not closed" }));
        }
    }
    finish(stage, &wrong);
}

/// REGISTERs whose Contact must be kept as it is, parameters in their place; the sender proves who it is.
#[test]
fn contacts_of_torture_messages_are_kept() {
    let stage = Stage::plain(114);
    stage.switch.provision_in("example.com", &["watson", "user"]);
    for (name, user, contact) in [
        ("cparam01", "watson", "sip:+19725552222@gw1.example.net"),
        ("cparam02", "watson", "sip:+19725552222@gw1.example.net;unknownparam"),
        ("regescrt", "user", "sip:user@example.com?Route=%3Csip:sip.example.com%3E"),
    ] {
        let socket = UdpSocket::bind((stage.ip(70), 5060)).expect("an address of the test");
        socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
        let register = String::from_utf8(message(name)).expect("text");
        let ask = |request: &str| {
            socket.send_to(request.as_bytes(), stage.switch.sip).expect("sent");
            let mut buffer = [0; 65_535];
            let length = socket.recv(&mut buffer).expect("an answer");
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        let refused = ask(&register);
        assert_eq!(status_of(&refused), 401, "{name}: {refused}");
        let credentials = answer_to(&refused, user, "sip:example.com");
        let (start, rest) = register.split_once("\r\n").expect("a start line");
        let again = format!("{start}\r\nAuthorization: {credentials}\r\n{rest}").replace("z9hG4bK", "z9hG4bKnew");
        let accepted = ask(&again);
        assert_eq!(status_of(&accepted), 200, "{name}: {accepted}");
        let kept = stage.switch.ctl(&["registrations", &format!("{user}@example.com")]);
        let kept: Vec<_> =
            kept["registrations"].as_array().into_iter().flatten().map(|row| row["contact"].clone()).collect();
        assert!(kept.iter().any(|uri| uri == contact), "{name}: {kept:?}");
    }
}

fn answer_to(refused: &str, user: &str, uri: &str) -> String {
    let line = refused.lines().find_map(|line| line.strip_prefix("WWW-Authenticate:")).expect("a challenge");
    let challenge = auth::Challenge::parse(line.trim().as_bytes()).expect("a challenge that can be read");
    let ha1 = auth::Ha1::of(user, "example.com", "secret");
    let answering = auth::Answering { user, ha1: &ha1, method: "REGISTER", uri, cnonce: "0a4f113b", nc: 1 };
    auth::respond(&challenge, &answering).expect("a challenge that can be answered")
}

fn connect(stage: &Stage) -> TcpStream {
    let connection = TcpStream::connect(stage.switch.sip).expect("the switch listens for TCP");
    connection.set_nodelay(true).expect("each byte a segment");
    connection
}

/// Final answers of a connection until as many came as expected and nothing follows, and whether it was closed.
fn read_answers(
    connection: &mut TcpStream,
    expected: &[u16],
    closes: bool,
    ping_after: bool,
    patience: Duration,
) -> (Vec<u16>, bool) {
    connection.set_read_timeout(Some(patience)).expect("a timeout");
    let mut text = String::new();
    let mut pinged = false;
    let mut buffer = [0; 65_535];
    loop {
        let answers: Vec<u16> = text.split("SIP/2.0 ").skip(1).filter(|part| !part.contains(PING)).map(code).collect();
        let finals: Vec<u16> = answers.into_iter().filter(|status| *status >= 200).collect();
        if ping_after && !pinged && finals.len() >= expected.len() {
            pinged = true;
            let local = connection.local_addr().expect("its address");
            if connection.write_all(&ping(local, "TCP")).is_err() {
                return (finals, true);
            }
        }
        if pinged && text.contains(PING) && text.ends_with("\r\n\r\n") {
            return (finals, false);
        }
        match connection.read(&mut buffer) {
            Ok(0) => return (finals, true),
            Ok(length) => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return (finals, false);
            }
            Err(_) => return (finals, closes),
        }
    }
}

/// Two actors answer two messages in either order.
fn compare(name: &str, answers: &[u16], expected: &[u16], wrong: &mut Vec<String>) {
    let sorted = |codes: &[u16]| {
        let mut codes = codes.to_vec();
        codes.sort_unstable();
        codes
    };
    if sorted(answers) != sorted(expected) {
        wrong.push(format!("{name}: {answers:?}, not {expected:?}"));
    }
}

/// Every message had its result, the switch still runs, and takes a call.
fn finish(mut stage: Stage, wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(stage.switch.process.is_running(), "no restart");
    assert_eq!(stage.switch.panics(), 0);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).run().passed();
    callee.end().passed();
}

/// Call-ID of the request that follows a torture message.
const PING: &str = "are-you-there@torture";

fn ping(local: SocketAddr, transport: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bKping;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.test>;tag=1\r\nTo: <sip:example.test>\r\nCall-ID: {PING}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn status_of(answer: &str) -> u16 {
    answer.strip_prefix("SIP/2.0 ").map_or(0, code)
}

fn code(rest: &str) -> u16 {
    rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// A torture message; those of RFC 5118 are archived with LF line ends and Content-Lengths that do not fit.
fn message(name: &str) -> Vec<u8> {
    let folder: PathBuf = tandem_tests::root().join("tests/conformance/torture");
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
